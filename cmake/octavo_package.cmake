# What an installation holds: the program, one shared library made of every room, the public headers
# and the files for find_package(octavo). Packages of other people stay inside the library.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

# The objects of the rooms, not their archives: of an archive a linker would leave out what nobody
# inside calls, which is the public interface. The archives only bring what the rooms link to.
get_property(rooms GLOBAL PROPERTY octavo_rooms)
get_property(isa_objects GLOBAL PROPERTY octavo_isa_objects)
list(TRANSFORM rooms REPLACE "(.+)" "$<TARGET_OBJECTS:\\1>" OUTPUT_VARIABLE objects)
add_library(octavo_shared SHARED ${objects} ${isa_objects})
target_link_libraries(octavo_shared PRIVATE ${rooms})
target_link_options(octavo_shared PRIVATE -Wl,--no-undefined)
file(GLOB public_headers CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/include/octavo/*.h)
target_sources(octavo_shared PUBLIC FILE_SET HEADERS
  BASE_DIRS ${PROJECT_SOURCE_DIR}/include ${PROJECT_BINARY_DIR}/include
  FILES ${public_headers} ${PROJECT_BINARY_DIR}/include/octavo/version.h)
target_compile_features(octavo_shared INTERFACE cxx_std_20)
set_target_properties(octavo_shared PROPERTIES OUTPUT_NAME octavo EXPORT_NAME octavo LINKER_LANGUAGE CXX
  VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR}
  VERIFY_INTERFACE_HEADER_SETS ON)
add_library(octavo::octavo ALIAS octavo_shared)

# The manual is what --help says, so it cannot be out of date.
add_custom_command(OUTPUT ${PROJECT_BINARY_DIR}/octavo.1
  COMMAND ${CMAKE_COMMAND} -DPROGRAM=$<TARGET_FILE:octavo_cli> -DOUTPUT=${PROJECT_BINARY_DIR}/octavo.1
          -DVERSION=${PROJECT_VERSION} -P ${PROJECT_SOURCE_DIR}/cmake/man_page.cmake
  DEPENDS octavo_cli ${PROJECT_SOURCE_DIR}/cmake/man_page.cmake COMMENT "Writing octavo.1" VERBATIM)
add_custom_target(octavo_manual ALL DEPENDS ${PROJECT_BINARY_DIR}/octavo.1)

set(config_dir ${CMAKE_INSTALL_LIBDIR}/cmake/octavo)
install(TARGETS octavo_cli RUNTIME)
install(TARGETS octavo_shared EXPORT octavoTargets FILE_SET HEADERS)
install(EXPORT octavoTargets NAMESPACE octavo:: DESTINATION ${config_dir})
configure_package_config_file(cmake/octavoConfig.cmake.in octavoConfig.cmake INSTALL_DESTINATION ${config_dir})
# Until 1.0 a minor version may change the interface.
write_basic_package_version_file(octavoConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/octavoConfig.cmake ${PROJECT_BINARY_DIR}/octavoConfigVersion.cmake
  DESTINATION ${config_dir})
install(FILES ${PROJECT_BINARY_DIR}/octavo.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
install(FILES README.md CHANGELOG.md LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY docs DESTINATION ${CMAKE_INSTALL_DOCDIR})  # where README's links lead
