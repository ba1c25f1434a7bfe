# House rules as tests.
get_property(arrows GLOBAL PROPERTY octavo_arrows)
file(WRITE ${PROJECT_BINARY_DIR}/arrows.txt "${arrows}")
add_test(NAME structure.arrows_go_one_way
  COMMAND Python3::Interpreter ${CMAKE_CURRENT_LIST_DIR}/arrows.py ${PROJECT_SOURCE_DIR}/src
          ${PROJECT_BINARY_DIR}/arrows.txt ${PROJECT_SOURCE_DIR}/docs/architecture.md)

get_property(isa_objects GLOBAL PROPERTY octavo_isa_objects)
if(isa_objects)
  add_test(NAME structure.isa_objects_share_nothing
    COMMAND ${CMAKE_CURRENT_LIST_DIR}/no_weak_symbols.sh ${CMAKE_NM} ${isa_objects} COMMAND_EXPAND_LISTS)
endif()

list(TRANSFORM rooms REPLACE "(.+)" "$<TARGET_FILE:\\1>" OUTPUT_VARIABLE archives)
add_test(NAME structure.library_is_quiet
  COMMAND ${CMAKE_CURRENT_LIST_DIR}/quiet.sh ${CMAKE_NM} ${archives} COMMAND_EXPAND_LISTS)

add_test(NAME structure.files_are_small
  COMMAND Python3::Interpreter ${CMAKE_CURRENT_LIST_DIR}/small_files.py ${PROJECT_SOURCE_DIR})

add_test(NAME structure.text_is_finished
  COMMAND Python3::Interpreter ${CMAKE_CURRENT_LIST_DIR}/words.py ${PROJECT_SOURCE_DIR})
add_test(NAME structure.links_lead_somewhere
  COMMAND Python3::Interpreter ${CMAKE_CURRENT_LIST_DIR}/links.py ${PROJECT_SOURCE_DIR})
add_test(NAME structure.documented_commands_exist
  COMMAND Python3::Interpreter ${CMAKE_CURRENT_LIST_DIR}/documented_commands.py ${PROJECT_SOURCE_DIR}
          $<TARGET_FILE:octavo_cli>)
add_test(NAME structure.headers_compile_alone
  COMMAND ${CMAKE_COMMAND} --build ${PROJECT_BINARY_DIR} --target all_verify_interface_header_sets)
set_tests_properties(structure.headers_compile_alone PROPERTIES TIMEOUT 900)
# Formatters disagree between versions; Debian 12's is the one that counts.
find_program(OCTAVO_CLANG_FORMAT NAMES clang-format-14 clang-format)
if(OCTAVO_CLANG_FORMAT)
  add_test(NAME structure.code_is_formatted
    COMMAND ${CMAKE_CURRENT_LIST_DIR}/formatted.sh ${OCTAVO_CLANG_FORMAT} ${PROJECT_SOURCE_DIR})
endif()

# The name starts with structure. so that `ctest -L structure` finds them all.
get_property(all_tests DIRECTORY PROPERTY TESTS)
foreach(test IN LISTS all_tests)
  if(test MATCHES "^structure\\.")
    set_tests_properties(${test} PROPERTIES LABELS structure)
  endif()
endforeach()
