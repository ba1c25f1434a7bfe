# The installed package, used from outside.
add_test(NAME install.consumer COMMAND ${CMAKE_CURRENT_LIST_DIR}/consumer.sh
  ${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR} ${CMAKE_CURRENT_SOURCE_DIR}/golden/tiny/bert "${CMAKE_CXX_FLAGS}")
set_tests_properties(install.consumer PROPERTIES LABELS install TIMEOUT 600)
