# The ONNX project's own node test cases, run by the executor. Python only writes them to one file in
# the build folder; the program reads, runs and compares, and prints a table by op.
add_executable(conformance_node ${CMAKE_CURRENT_LIST_DIR}/node_cases.cc ${CMAKE_CURRENT_LIST_DIR}/case_file.cc)
target_compile_options(conformance_node PRIVATE ${OCTAVO_WARNINGS})
target_include_directories(conformance_node PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
target_link_libraries(conformance_node PRIVATE octavo::runtime octavo::formats)

set(node_cases ${CMAKE_CURRENT_BINARY_DIR}/node_cases.bin)
add_test(NAME conformance.export_node_cases
  COMMAND ${OCTAVO_ORACLE_PYTHON} -W ignore ${CMAKE_CURRENT_LIST_DIR}/export_node_cases.py ${node_cases})
add_test(NAME conformance.node
  COMMAND conformance_node ${node_cases} --table ${PROJECT_SOURCE_DIR}/docs/parity.md)
set_tests_properties(conformance.export_node_cases PROPERTIES FIXTURES_SETUP node_cases LABELS oracle TIMEOUT 300)
set_tests_properties(conformance.node PROPERTIES FIXTURES_REQUIRED node_cases LABELS oracle TIMEOUT 600 SKIP_RETURN_CODE 77)
