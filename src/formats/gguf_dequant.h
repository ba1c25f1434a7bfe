#pragma once
// The element types of ggml: how many values a block holds, how many bytes it takes, and how it
// becomes float32. The float operations and their order are those of ggml, so the results are the
// same bits.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "tensor/dtype.h"

namespace octavo {

struct GgmlType {
  uint32_t id;
  std::string_view name;
  uint32_t block;  // values
  uint32_t bytes;  // of a block
  DType plain;     // of an unquantized type, else undefined
  // Blocks to floats; null for plain types and for those we cannot read.
  void (*dequantize)(const std::byte* blocks, size_t count, float* out);
};

// Null when ggml has no such type.
const GgmlType* ggml_type(uint32_t id);
// The names of the types that can be read, for messages: "F32, F16, ...".
std::string_view readable_ggml_types();

}  // namespace octavo
