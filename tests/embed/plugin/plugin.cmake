# What embed_unload_test loads and unloads.
add_library(embed_plugin MODULE ${CMAKE_CURRENT_LIST_DIR}/plugin.cc)
target_compile_options(embed_plugin PRIVATE ${OCTAVO_WARNINGS})
target_link_libraries(embed_plugin PRIVATE octavo::embed)
add_dependencies(embed_unload_test embed_plugin)
target_compile_definitions(embed_unload_test PRIVATE OCTAVO_PLUGIN="$<TARGET_FILE:embed_plugin>")
