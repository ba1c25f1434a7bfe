# OCTAVO_STATIC: nothing of other people's is needed but what every Linux has, as it should be for a wheel.
# Sets OCTAVO_ONNX_LIBRARIES, ONNX's messages and protobuf, and OCTAVO_BESIDE: a file that has to lie beside
# what is linked, and by what name.
option(OCTAVO_STATIC "Link OpenSSL and ONNX's messages statically" OFF)
set(OCTAVO_ONNX_LIBRARIES onnx_proto protobuf)
if(OCTAVO_STATIC)
  set(OPENSSL_USE_STATIC_LIBS ON)
  find_package(Protobuf 3.21 REQUIRED)
  # Debian has the messages as a shared library only, and beside its headers what they are made of. That
  # file lacks one kind of type, which stays an unknown field: kept, as all that is newer. Reflection,
  # by which unknown fields are looked at, is not in the light runtime that it asks for.
  find_file(OCTAVO_ONNX_PROTO onnx/onnx.proto REQUIRED)
  set(messages ${PROJECT_BINARY_DIR}/messages)
  file(READ ${OCTAVO_ONNX_PROTO} definition)
  string(REPLACE "option optimize_for = LITE_RUNTIME;" "" definition "${definition}")
  file(CONFIGURE OUTPUT ${messages}/onnx/onnx-ml.proto CONTENT "${definition}" @ONLY)
  add_custom_command(OUTPUT ${messages}/onnx/onnx-ml.pb.cc ${messages}/onnx/onnx-ml.pb.h
    COMMAND protobuf::protoc --proto_path=${messages} --cpp_out=${messages} ${messages}/onnx/onnx-ml.proto
    DEPENDS ${messages}/onnx/onnx-ml.proto VERBATIM)
  add_library(octavo_onnx_messages STATIC ${messages}/onnx/onnx-ml.pb.cc)
  target_include_directories(octavo_onnx_messages SYSTEM PUBLIC ${messages})
  target_link_libraries(octavo_onnx_messages PUBLIC protobuf::libprotobuf)
  set(OCTAVO_ONNX_LIBRARIES octavo_onnx_messages)
  # Debian's libprotobuf.a is not position-independent, so that no shared object can hold it.
  file(REAL_PATH ${Protobuf_LIBRARY_RELEASE} library)
  execute_process(COMMAND ${CMAKE_READELF} -d ${library} OUTPUT_VARIABLE head COMMAND_ERROR_IS_FATAL ANY)
  if(NOT head MATCHES "SONAME[^[]*\\[([^]]*)\\]")
    message(FATAL_ERROR "${library} is no shared library with a name of its own (SONAME)")
  endif()
  set(OCTAVO_BESIDE ${library} ${CMAKE_MATCH_1})
endif()
