# Python programs that compare Octavo with other people's implementations. Every test_<name>.py here
# is one ctest entry, oracle.<name>; pytest's own output names the case that failed. The interpreter
# is the one of scripts/setup.sh unless OCTAVO_ORACLE_PYTHON says otherwise.
set(OCTAVO_ORACLE_PYTHON "${PROJECT_SOURCE_DIR}/build/venv/light/bin/python" CACHE FILEPATH "Python of the test oracles")
set(OCTAVO_ORT_OLD_PYTHON "${PROJECT_SOURCE_DIR}/build/venv/ort-1.17/bin/python" CACHE FILEPATH "Python with onnxruntime 1.17.3")
set(OCTAVO_RUNTIMES_PYTHON "${PROJECT_SOURCE_DIR}/build/venv/runtimes/bin/python" CACHE FILEPATH "Python with OpenVINO and fastembed")
set(OCTAVO_CLIENTS_PYTHON "${PROJECT_SOURCE_DIR}/build/venv/clients/bin/python" CACHE FILEPATH "Python with clients of the server")

# Programs that show an oracle what no command prints.
add_executable(oracle_dump_weights ${CMAKE_CURRENT_LIST_DIR}/dump_weights.cc)
target_compile_options(oracle_dump_weights PRIVATE ${OCTAVO_WARNINGS})
target_link_libraries(oracle_dump_weights PRIVATE octavo::formats)
add_executable(oracle_run_model ${CMAKE_CURRENT_LIST_DIR}/run_model.cc)
target_compile_options(oracle_run_model PRIVATE ${OCTAVO_WARNINGS})
target_link_libraries(oracle_run_model PRIVATE octavo::formats octavo::runtime)
add_executable(oracle_encode_texts ${CMAKE_CURRENT_LIST_DIR}/encode_texts.cc)
target_compile_options(oracle_encode_texts PRIVATE ${OCTAVO_WARNINGS})
target_link_libraries(oracle_encode_texts PRIVATE octavo::text)
add_executable(oracle_raise_model ${CMAKE_CURRENT_LIST_DIR}/raise_model.cc)
target_compile_options(oracle_raise_model PRIVATE ${OCTAVO_WARNINGS})
target_include_directories(oracle_raise_model PRIVATE ${PROJECT_SOURCE_DIR}/tests)
target_link_libraries(oracle_raise_model PRIVATE octavo::embed GTest::gtest)

set(pythons "OCTAVO_ORT_OLD_PYTHON=${OCTAVO_ORT_OLD_PYTHON};OCTAVO_RUNTIMES_PYTHON=${OCTAVO_RUNTIMES_PYTHON};OCTAVO_CLIENTS_PYTHON=${OCTAVO_CLIENTS_PYTHON};PYTHONPATH=${CMAKE_CURRENT_LIST_DIR}")
file(GLOB oracles CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/test_*.py)
foreach(file IN LISTS oracles)
  get_filename_component(name ${file} NAME_WE)
  string(REGEX REPLACE "^test_" "" short ${name})
  add_test(NAME oracle.${short} WORKING_DIRECTORY ${PROJECT_SOURCE_DIR}
    COMMAND ${OCTAVO_ORACLE_PYTHON} -B -m pytest -q -rs -p no:cacheprovider --color=no ${file})
  set_tests_properties(oracle.${short} PROPERTIES LABELS oracle TIMEOUT ${oracle_timeout}
    ENVIRONMENT "OCTAVO_CACHE=${PROJECT_BINARY_DIR}/cache;OCTAVO_BIN=$<TARGET_FILE:octavo_cli>;OCTAVO_DUMP_WEIGHTS=$<TARGET_FILE:oracle_dump_weights>;OCTAVO_ENCODE_TEXTS=$<TARGET_FILE:oracle_encode_texts>;OCTAVO_RUN_MODEL=$<TARGET_FILE:oracle_run_model>;OCTAVO_RAISE_MODEL=$<TARGET_FILE:oracle_raise_model>;OCTAVO_CONFORMANCE=$<TARGET_FILE:conformance_node>;${pythons}")
endforeach()
