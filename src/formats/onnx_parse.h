#pragma once
// Bytes -> ModelProto, with our limits and a message that says where a damaged file breaks.
// Private to formats.

#include <cstddef>
#include <memory>
#include <span>

#include "base/result.h"
#include "formats/onnx_proto.h"

namespace octavo {

// Errors: larger than protobuf can read, empty, truncated, not protobuf, nested too deep.
Result<std::unique_ptr<onnx::ModelProto>> parse_model_proto(std::span<const std::byte> bytes);

}  // namespace octavo
