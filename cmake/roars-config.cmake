# find_package(roars CONFIG)                   -> roars::roars
# find_package(roars CONFIG COMPONENTS cuda)   -> roars::cuda too, where the CUDA backend was installed
include(CMakeFindDependencyMacro)
macro(roars_require)
    find_dependency(${ARGN})
endmacro()

list(PREPEND CMAKE_MODULE_PATH ${CMAKE_CURRENT_LIST_DIR})
include(${CMAKE_CURRENT_LIST_DIR}/dependencies.cmake)
list(REMOVE_AT CMAKE_MODULE_PATH 0)
if(DEFINED roars_FOUND AND NOT roars_FOUND)
    return()
endif()
include(${CMAKE_CURRENT_LIST_DIR}/roars-targets.cmake)

include(${CMAKE_CURRENT_LIST_DIR}/roars-cuda-targets.cmake OPTIONAL RESULT_VARIABLE roars_cuda_FOUND)
if("cuda" IN_LIST roars_FIND_COMPONENTS)
    if(NOT roars_cuda_FOUND)
        set(roars_FOUND FALSE)
        set(roars_NOT_FOUND_MESSAGE "roars was installed without its CUDA backend (ROARS_CUDA=OFF)")
        return()
    endif()
    if(NOT TARGET CUDA::nvToolsExt)
        add_library(CUDA::nvToolsExt INTERFACE IMPORTED)  # as in cuda/CMakeLists.txt
    endif()
    find_dependency(CUDAToolkit)
endif()
