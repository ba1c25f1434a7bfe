#pragma once
// From the bytes of a plain (not block-quantized) tensor in a mapped file to a Tensor. Shared by
// safetensors, GGUF and npy; the caller has checked that the bytes fit the shape.

#include <span>

#include "base/result.h"
#include "formats/file_bytes.h"
#include "tensor/tensor.h"

namespace octavo {

// The bytes in their own element type: borrowed, or copied when they lie at an address the type may
// not be read from (safetensors promises no alignment).
Result<Tensor> tensor_as_stored(DType dtype, const Shape& shape, const FileBytes& data);

// The same as float32. Integers and float64 are rounded to nearest. Errors: unsupported, when there
// is no sensible float for the type.
Result<Tensor> tensor_as_f32(DType dtype, const Shape& shape, const FileBytes& data);

// Errors: invalid_input, naming the first element that is NaN or infinite.
Status check_finite(std::span<const float> values);

}  // namespace octavo
