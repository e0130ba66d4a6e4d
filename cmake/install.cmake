# The installed package: headers, targets, and the files with which find_package(roars CONFIG) finds what they need.
if(NOT ROARS_INSTALL)
    return()
endif()
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)
set(package_dir ${CMAKE_INSTALL_DATADIR}/cmake/roars)

install(DIRECTORY include/roars DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(TARGETS roars_library EXPORT roars-targets)
install(EXPORT roars-targets NAMESPACE roars:: DESTINATION ${package_dir})
if(ROARS_CUDA)
    install(DIRECTORY cuda/roars DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
    install(TARGETS roars_cuda roars_cuda_blas EXPORT roars-cuda-targets)
    install(EXPORT roars-cuda-targets NAMESPACE roars:: DESTINATION ${package_dir})
endif()

write_basic_package_version_file(roars-config-version.cmake COMPATIBILITY SameMinorVersion ARCH_INDEPENDENT)
install(FILES ${PROJECT_BINARY_DIR}/roars-config-version.cmake cmake/roars-config.cmake cmake/dependencies.cmake
              cmake/FindRoarsHeaders.cmake
        DESTINATION ${package_dir})
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
