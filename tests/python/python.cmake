# The Python package. Every test_<name>.py here is one ctest entry, python.<name>, run where the
# extension was built for: OCTAVO_PYTHON and Python_EXECUTABLE, an interpreter with requirements.txt.
if(NOT OCTAVO_PYTHON)
  return()
endif()
set(OCTAVO_WHEELS "${PROJECT_SOURCE_DIR}/build/wheels" CACHE PATH "Folder with the wheels of requirements-wheel.txt")
set(OCTAVO_ADAPTERS_PYTHON "${PROJECT_SOURCE_DIR}/build/venv/adapters/bin/python" CACHE FILEPATH "Python with requirements-adapters.txt")
set(OCTAVO_DATABASES_PYTHON "${PROJECT_SOURCE_DIR}/build/venv/databases/bin/python" CACHE FILEPATH "Python with requirements-databases.txt")
set(OCTAVO_ENGINES_PYTHON "${PROJECT_SOURCE_DIR}/build/venv/engines/bin/python" CACHE FILEPATH "Python with requirements-engines.txt")
set(OCTAVO_MTEB_PYTHON "${PROJECT_SOURCE_DIR}/build/venv/mteb/bin/python" CACHE FILEPATH "Python with requirements-mteb.txt and torch")
set(OCTAVO_MANPAGES "${PROJECT_SOURCE_DIR}/build/download" CACHE PATH "Folder with the packages of manual pages that scripts/setup.sh fetches")
# What the tests find things by (conftest.py).
set(python_environment "OCTAVO_CACHE=${PROJECT_BINARY_DIR}/cache" "OCTAVO_BIN=$<TARGET_FILE:octavo_cli>"
  "PYTHONPATH=${PROJECT_BINARY_DIR}/python" "OCTAVO_CMAKE_CACHE=${PROJECT_BINARY_DIR}/CMakeCache.txt"
  "OCTAVO_RUNTIMES_PYTHON=${OCTAVO_RUNTIMES_PYTHON}" "OCTAVO_WHEELS=${OCTAVO_WHEELS}" "OCTAVO_MANPAGES=${OCTAVO_MANPAGES}")
foreach(name ADAPTERS DATABASES ENGINES MTEB)
  list(APPEND python_environment "OCTAVO_${name}_PYTHON=${OCTAVO_${name}_PYTHON}")
endforeach()

file(GLOB files CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/test_*.py)
foreach(file IN LISTS files)
  get_filename_component(name ${file} NAME_WE)
  string(REGEX REPLACE "^test_" "" short ${name})
  add_test(NAME python.${short} WORKING_DIRECTORY ${PROJECT_SOURCE_DIR}
    COMMAND ${Python_EXECUTABLE} -B -m pytest -q -rs -p no:cacheprovider --color=no ${file})
  set_tests_properties(python.${short} PROPERTIES LABELS python TIMEOUT ${oracle_timeout}
    ENVIRONMENT "${python_environment}")
endforeach()
# It compiles, what ccache does not have: beside others it would keep them waiting for a core.
set_tests_properties(python.package PROPERTIES LABELS "python;install" RUN_SERIAL ON TIMEOUT 1800)
set_property(TEST python.package APPEND PROPERTY ENVIRONMENT "CCACHE_BASEDIR=${PROJECT_SOURCE_DIR};CCACHE_NOHASHDIR=1")
# Each starts a cluster of its own, and a JVM: beside one another they would wait for the two cores.
set_tests_properties(python.ray python.spark PROPERTIES LABELS "python;slow" RESOURCE_LOCK engines)
