# The switches of the build. A surrounding project gets the library alone; on its own the project builds everything.
option(ROARS_TESTS "Build the tests" ${PROJECT_IS_TOP_LEVEL})
option(ROARS_BENCH "Build the benchmarks" ${PROJECT_IS_TOP_LEVEL})
option(ROARS_EXAMPLES "Build the examples" ${PROJECT_IS_TOP_LEVEL})
option(ROARS_PROGRAMS "Build the programs" ${PROJECT_IS_TOP_LEVEL})
option(ROARS_INSTALL "Generate the install target" ${PROJECT_IS_TOP_LEVEL})
option(ROARS_NATIVE "Compile programs and benchmarks for this machine's processor" OFF)
option(ROARS_WARNINGS_AS_ERRORS "Let a warning fail the build" OFF)
option(ROARS_PRECOMPILED_HEADERS "Precompile the headers that every test and program includes" ON)
set(ROARS_TEST_FLAGS "" CACHE STRING "Further flags of unit tests, benchmarks and roars_golden, behind all others")

# The CUDA backend is built where nvcc is. Everything else builds without a toolkit.
find_program(ROARS_NVCC nvcc HINTS $ENV{CUDA_HOME}/bin $ENV{CUDA_PATH}/bin /usr/local/cuda/bin)
mark_as_advanced(ROARS_NVCC)
file(GLOB_RECURSE cuda_sources CONFIGURE_DEPENDS cuda/*.cuh cuda/*.cu)
set(cuda_default OFF)
if(ROARS_NVCC AND cuda_sources)
    set(cuda_default ${PROJECT_IS_TOP_LEVEL})
endif()
option(ROARS_CUDA "Build the CUDA backend" ${cuda_default})

if(PROJECT_IS_TOP_LEVEL)
    if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
        set(CMAKE_BUILD_TYPE Release CACHE STRING "Debug, Release, RelWithDebInfo or MinSizeRel" FORCE)
    endif()
    set(CMAKE_CXX_EXTENSIONS OFF)
    set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
    find_program(ROARS_CCACHE ccache)
    mark_as_advanced(ROARS_CCACHE)
    if(ROARS_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
        # Without the sloppiness, ccache stores nothing that was compiled with a precompiled header; with the base folder,
        # what one checkout compiled serves the next.
        set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros
            CCACHE_BASEDIR=${PROJECT_SOURCE_DIR} CCACHE_NOHASHDIR=1 ${ROARS_CCACHE})
        set(CMAKE_CUDA_COMPILER_LAUNCHER ${ROARS_CCACHE})
    endif()
endif()

# What the project's own targets are compiled with; users of the library see none of it.
add_library(roars_warnings INTERFACE)
target_compile_options(roars_warnings INTERFACE
    $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra -Wpedantic -Wshadow $<$<BOOL:${ROARS_WARNINGS_AS_ERRORS}>:-Werror>>)
add_library(roars_optimised INTERFACE)
target_compile_options(roars_optimised INTERFACE $<$<AND:$<BOOL:${ROARS_NATIVE}>,$<COMPILE_LANGUAGE:CXX>>:-march=native>)
# g++ 12 copies constant arrays wrongly in moves of 64 bytes (a vector<double>{1, ..., 0, ...} becomes all ones), and takes
# its own AVX-512 intrinsics for uninitialised.
if(ROARS_NATIVE AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13 AND
   CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
    target_compile_options(roars_optimised INTERFACE
        $<$<COMPILE_LANGUAGE:CXX>:-mmove-max=128> $<$<COMPILE_LANGUAGE:CXX>:-mstore-max=128>
        $<$<COMPILE_LANGUAGE:CXX>:-Wno-maybe-uninitialized> $<$<COMPILE_LANGUAGE:CXX>:-Wno-uninitialized>)
endif()

# One program for each NAME.cpp and for each folder NAME with sources; their names are left in `programs`.
macro(roars_add_programs prefix)
    set(programs)
    file(GLOB_RECURSE sources CONFIGURE_DEPENDS RELATIVE ${CMAKE_CURRENT_SOURCE_DIR} *.cpp)
    foreach(source IN LISTS sources)
        string(REGEX REPLACE "(/.*|\\.cpp)$" "" name "${prefix}${source}")
        if(NOT name IN_LIST programs)
            add_executable(${name})
            target_link_libraries(${name} PRIVATE roars::roars roars_warnings roars_optimised)
            list(APPEND programs ${name})
        endif()
        target_sources(${name} PRIVATE ${source})
    endforeach()
endmacro()

# Links what was found of the optional packages: roars_link_optional(<target> PRIVATE|INTERFACE).
function(roars_link_optional target scope)
    foreach(package hdf5 mujoco)
        if(TARGET roars::${package})
            target_link_libraries(${target} ${scope} roars::${package})
        endif()
    endforeach()
endfunction()
