# Libraries of headers whose packages bring no CMake file, or (Debian's xsimd) one that links what is not installed.
# Thrust comes from a CUDA toolkit or from Debian. Sets ROARS_THRUST_DIR, ROARS_RANDOM123_DIR and ROARS_XSIMD_DIR.
find_path(ROARS_THRUST_DIR thrust/version.h
    HINTS $ENV{CUDA_HOME} $ENV{CUDA_PATH} /usr/local/cuda
    PATH_SUFFIXES include/cccl include
    DOC "Folder that holds thrust/ (a CUDA toolkit's include/cccl, or /usr/include from libthrust-dev)")
find_path(ROARS_RANDOM123_DIR Random123/philox.h DOC "Folder that holds Random123/ (librandom123-dev)")
find_path(ROARS_XSIMD_DIR xsimd/xsimd.hpp DOC "Folder that holds xsimd/ (libxsimd-dev)")
mark_as_advanced(ROARS_THRUST_DIR ROARS_RANDOM123_DIR ROARS_XSIMD_DIR)

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(RoarsHeaders
    REQUIRED_VARS ROARS_THRUST_DIR ROARS_RANDOM123_DIR ROARS_XSIMD_DIR
    REASON_FAILURE_MESSAGE "install libthrust-dev (or a CUDA toolkit), librandom123-dev and libxsimd-dev")
