# The other roof: octavo._core, the extension of the Python package in src/python/octavo, on the rooms
# `toolkit` and `hub`. Built by `pip install .` (pyproject.toml), and for its tests with OCTAVO_PYTHON.
option(OCTAVO_PYTHON "Build the Python extension" OFF)
set_property(GLOBAL APPEND_STRING PROPERTY octavo_arrows "python: toolkit;hub\n")
if(NOT OCTAVO_PYTHON)
  return()
endif()

# SKBUILD_SABI_COMPONENT is Development.SABIModule where the wheel is one of the stable ABI.
find_package(Python 3.10 REQUIRED COMPONENTS Interpreter Development.Module ${SKBUILD_SABI_COMPONENT})
if(NOT SKBUILD)
  execute_process(COMMAND ${Python_EXECUTABLE} -m nanobind --cmake_dir
    OUTPUT_VARIABLE nanobind_DIR OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
endif()
find_package(nanobind 3.1 CONFIG REQUIRED)
file(GLOB python_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/python/*.cc)
nanobind_add_module(octavo_python STABLE_ABI NB_STATIC NOMINSIZE NB_SUPPRESS_WARNINGS ${python_sources})
set_target_properties(octavo_python PROPERTIES OUTPUT_NAME _core
  LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/python/octavo)
target_compile_options(octavo_python PRIVATE ${OCTAVO_WARNINGS})
target_include_directories(octavo_python PRIVATE ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/include ${PROJECT_BINARY_DIR}/include)
target_link_libraries(octavo_python PRIVATE octavo::toolkit octavo::hub ${CMAKE_DL_LIBS})
# OpenSSL or ONNX's messages of another module in the same process must not meet ours: nothing but the
# module's own entry is seen from outside. libcurl is loaded when it is needed (src/python/loaded_curl.cc).
target_link_options(octavo_python PRIVATE -Wl,--exclude-libs,ALL -Wl,--as-needed)

if(SKBUILD)
  install(TARGETS octavo_python LIBRARY DESTINATION octavo COMPONENT python)
  if(OCTAVO_BESIDE)
    list(POP_FRONT OCTAVO_BESIDE file name)
    set_target_properties(octavo_python PROPERTIES INSTALL_RPATH "$ORIGIN")
    install(FILES ${file} DESTINATION octavo COMPONENT python RENAME ${name})
  endif()
else()
  # The package as an installation has it.
  set(package ${PROJECT_SOURCE_DIR}/src/python/octavo)
  file(GLOB package_files CONFIGURE_DEPENDS RELATIVE ${package} ${package}/*.py* ${package}/py.typed)
  file(MAKE_DIRECTORY ${PROJECT_BINARY_DIR}/python/octavo)
  foreach(file IN LISTS package_files)
    file(CREATE_LINK ${package}/${file} ${PROJECT_BINARY_DIR}/python/octavo/${file} SYMBOLIC)
  endforeach()
endif()
