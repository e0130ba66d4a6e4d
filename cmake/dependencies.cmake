# What roars::roars stands on. The project and the installed package both read this file, after defining
# roars_require(<arguments of find_package>) to report a missing package in their own way.
#
#   ROARS_HOST_SYSTEM   OMP, TBB or CPP (one thread): how Thrust works on the host
#   ROARS_THRUST_DIR    the folder that holds thrust/: a CUDA toolkit's include/cccl, or /usr/include (libthrust-dev)
roars_require(Threads)
roars_require(Eigen3 3.4 CONFIG)
roars_require(Boost 1.70 CONFIG)
roars_require(RoarsHeaders)
find_package(nlohmann_json QUIET)
find_package(OpenMP QUIET COMPONENTS CXX)

if(OpenMP_CXX_FOUND)
    set(ROARS_HOST_SYSTEM OMP CACHE STRING "Thrust's host system: OMP, TBB or CPP")
else()
    set(ROARS_HOST_SYSTEM CPP CACHE STRING "Thrust's host system: OMP, TBB or CPP")
endif()
set_property(CACHE ROARS_HOST_SYSTEM PROPERTY STRINGS OMP TBB CPP)

if(NOT TARGET roars::dependencies)
    add_library(roars::dependencies INTERFACE IMPORTED GLOBAL)
    set(dependencies Threads::Threads Eigen3::Eigen Boost::headers)
    if(TARGET nlohmann_json::nlohmann_json)
        list(APPEND dependencies nlohmann_json::nlohmann_json)
    endif()
    if(ROARS_HOST_SYSTEM STREQUAL "OMP")
        roars_require(OpenMP COMPONENTS CXX)
        list(APPEND dependencies OpenMP::OpenMP_CXX)
    elseif(ROARS_HOST_SYSTEM STREQUAL "TBB")
        roars_require(TBB)
        list(APPEND dependencies TBB::tbb)
    elseif(NOT ROARS_HOST_SYSTEM STREQUAL "CPP")
        message(FATAL_ERROR "ROARS_HOST_SYSTEM is '${ROARS_HOST_SYSTEM}'; expected OMP, TBB or CPP")
    endif()
    target_link_libraries(roars::dependencies INTERFACE ${dependencies})
    # nvcc brings its own Thrust and chooses its own system.
    target_include_directories(roars::dependencies SYSTEM INTERFACE
        $<$<NOT:$<COMPILE_LANGUAGE:CUDA>>:${ROARS_THRUST_DIR}> ${ROARS_RANDOM123_DIR} ${ROARS_XSIMD_DIR})
    target_compile_definitions(roars::dependencies INTERFACE
        $<$<NOT:$<COMPILE_LANGUAGE:CUDA>>:THRUST_DEVICE_SYSTEM=THRUST_DEVICE_SYSTEM_${ROARS_HOST_SYSTEM}>)
endif()

# Optional, each a target where it was found: roars::hdf5 (data sets; libhdf5-dev), roars::mujoco (its worlds;
# libmujoco-dev). The headers that use them ask for ROARS_HDF5 and ROARS_MUJOCO.
find_path(ROARS_HDF5_DIR hdf5.h PATH_SUFFIXES hdf5/serial DOC "Folder that holds hdf5.h (libhdf5-dev)")
find_library(ROARS_HDF5_LIBRARY NAMES hdf5_serial hdf5 DOC "HDF5's C library (libhdf5-dev)")
find_path(ROARS_MUJOCO_DIR mujoco/mujoco.h DOC "Folder that holds mujoco/ (libmujoco-dev)")
find_library(ROARS_MUJOCO_LIBRARY NAMES mujoco DOC "MuJoCo's library (libmujoco-dev)")
mark_as_advanced(ROARS_HDF5_DIR ROARS_HDF5_LIBRARY ROARS_MUJOCO_DIR ROARS_MUJOCO_LIBRARY)
foreach(package hdf5 mujoco)
    string(TOUPPER ROARS_${package} prefix)
    if(${prefix}_DIR AND ${prefix}_LIBRARY AND NOT TARGET roars::${package})
        add_library(roars::${package} INTERFACE IMPORTED GLOBAL)
        target_include_directories(roars::${package} SYSTEM INTERFACE ${${prefix}_DIR})
        target_link_libraries(roars::${package} INTERFACE ${${prefix}_LIBRARY})
        target_compile_definitions(roars::${package} INTERFACE ${prefix})
    endif()
endforeach()
