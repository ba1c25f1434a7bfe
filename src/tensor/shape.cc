#include "tensor/shape.h"

#include <limits>

namespace octavo {

Result<int64_t> element_count(std::span<const int64_t> shape) {
  // A zero anywhere makes the product 0, but only after every other factor was checked: otherwise
  // [0, 2^40, 2^40] would pass here and overflow in code that multiplies a suffix of the shape.
  int64_t count = 1;
  bool empty = false;
  for (const int64_t d : shape) {
    if (d < 0) return Error{Code::invalid_input, "negative dimension in shape " + to_string(shape)};
    if (d == 0) {
      empty = true;
    } else if (__builtin_mul_overflow(count, d, &count)) {
      return Error{Code::invalid_input, "shape " + to_string(shape) + " has too many elements"};
    }
  }
  return empty ? 0 : count;
}

Result<size_t> byte_count(DType dtype, std::span<const int64_t> shape) {
  OCTAVO_TRY(const int64_t count, element_count(shape));
  const size_t bits = dtype_bits(dtype);
  if (bits == 0)
    return Error{Code::unsupported,
                 "element type " + std::string(dtype_name(dtype)) + " cannot be held as a tensor"};
  if (static_cast<uint64_t>(count) > (std::numeric_limits<uint64_t>::max() - 7) / bits)
    return Error{Code::invalid_input, "shape " + to_string(shape) + " has too many bytes"};
  return (static_cast<size_t>(count) * bits + 7) / 8;
}

std::string to_string(std::span<const int64_t> shape) {
  std::string out = "[";
  for (size_t i = 0; i < shape.size(); ++i) out += (i == 0 ? "" : ", ") + std::to_string(shape[i]);
  return out + "]";
}

}  // namespace octavo
