#pragma once
// ONNX's protobuf classes (of the version that Debian ships, 1.12: what newer versions added
// arrives as unknown fields, which protobuf keeps). Private to formats.

#ifndef ONNX_ML
#define ONNX_ML 1
#endif
#ifndef ONNX_NAMESPACE
#define ONNX_NAMESPACE onnx
#endif
#include <onnx/onnx_pb.h>

#include <string>

namespace octavo {

// FunctionProto.attribute_proto and AttributeProto kinds newer than 1.12 have no accessor.
inline constexpr int kFunctionAttributeProto = 11;

// What is left of a message once everything modelled was taken out of it; empty when nothing is.
std::string leftover(const google::protobuf::MessageLite& proto);

// The other way: a message that starts as its leftover. Leftovers are made by leftover(), so they
// parse.
template <class Proto>
Proto from_leftover(const std::string& opaque) {
  Proto proto;
  if (!opaque.empty()) (void)proto.ParsePartialFromString(opaque);
  return proto;
}

}  // namespace octavo
