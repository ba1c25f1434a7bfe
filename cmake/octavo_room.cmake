# octavo_room(<name> [DEPENDS <room>...] [LIBRARIES <target>...])
# A room is a static library made of every .cc in src/<name>/ (folders with a CMake list of their own,
# such as the instruction sets in kernels, excepted: octavo_isa). Its headers are checked to compile
# alone, and it may include only its own headers and its DEPENDS'. LIBRARIES are outside packages,
# seen by this room alone; PUBLIC_LIBRARIES are those that its headers need too.
function(octavo_room name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "DEPENDS;LIBRARIES;PUBLIC_LIBRARIES")
  # Globbed rather than listed: with fourteen rooms the list would be 200 lines that say nothing.
  file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/${name}/*.cc
       ${PROJECT_SOURCE_DIR}/src/${name}/ref/*.cc ${PROJECT_SOURCE_DIR}/src/${name}/ops/*.cc
       ${PROJECT_SOURCE_DIR}/src/${name}/architectures/*.cc ${PROJECT_SOURCE_DIR}/src/${name}/fused/*.cc
       ${PROJECT_SOURCE_DIR}/src/${name}/dialects/*.cc)
  file(GLOB_RECURSE headers CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/${name}/*.h)
  add_library(octavo_${name} STATIC ${sources})
  add_library(octavo::${name} ALIAS octavo_${name})
  target_sources(octavo_${name} PUBLIC FILE_SET HEADERS BASE_DIRS ${PROJECT_SOURCE_DIR}/src FILES ${headers})
  set_target_properties(octavo_${name} PROPERTIES VERIFY_INTERFACE_HEADER_SETS ON)
  target_include_directories(octavo_${name} PUBLIC ${PROJECT_SOURCE_DIR}/include ${PROJECT_BINARY_DIR}/include)
  target_compile_options(octavo_${name} PRIVATE ${OCTAVO_WARNINGS})
  foreach(dep IN LISTS arg_DEPENDS)
    target_link_libraries(octavo_${name} PUBLIC octavo_${dep})
  endforeach()
  target_link_libraries(octavo_${name} PRIVATE ${arg_LIBRARIES} PUBLIC ${arg_PUBLIC_LIBRARIES})
  set_property(GLOBAL APPEND_STRING PROPERTY octavo_arrows "${name}: ${arg_DEPENDS}\n")
  set_property(GLOBAL APPEND PROPERTY octavo_rooms octavo_${name})
endfunction()

# octavo_isa(<room> <isa> FLAGS <flag>...)
# Every .cc in src/<room>/<isa>/. The only place where an -m flag is written.
function(octavo_isa room isa)
  cmake_parse_arguments(PARSE_ARGV 2 arg "" "" "FLAGS")
  file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/${room}/${isa}/*.cc)
  add_library(octavo_${room}_${isa} OBJECT ${sources})
  target_include_directories(octavo_${room}_${isa} PRIVATE ${PROJECT_SOURCE_DIR}/src)
  target_compile_options(octavo_${room}_${isa} PRIVATE ${arg_FLAGS} ${OCTAVO_WARNINGS})
  target_sources(octavo_${room} PRIVATE $<TARGET_OBJECTS:octavo_${room}_${isa}>)
  set_property(GLOBAL APPEND PROPERTY octavo_isa_objects $<TARGET_OBJECTS:octavo_${room}_${isa}>)
endfunction()

# octavo_embed(<room> <kName> <file> [<other file>...])
# The first file, a path in src/<room>/, as a constant of the program: src/<room>/documents.h declares
# it. The others are what it is put together from.
function(octavo_embed room name file)
  list(TRANSFORM ARGN PREPEND ${PROJECT_SOURCE_DIR}/src/${room}/ OUTPUT_VARIABLE others)
  set(input ${PROJECT_SOURCE_DIR}/src/${room}/${file})
  set(output ${PROJECT_BINARY_DIR}/embedded/${room}_${name}.cc)
  add_custom_command(OUTPUT ${output}
    COMMAND ${CMAKE_COMMAND} -DINPUT=${input} -DOUTPUT=${output} -DNAME=${name} -P ${PROJECT_SOURCE_DIR}/cmake/embed_text.cmake
    DEPENDS ${input} ${others} ${PROJECT_SOURCE_DIR}/cmake/embed_text.cmake VERBATIM)
  target_sources(octavo_${room} PRIVATE ${output})
  target_include_directories(octavo_${room} PRIVATE ${PROJECT_SOURCE_DIR}/src)
endfunction()
