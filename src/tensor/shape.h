#pragma once
// Shapes of real tensors: every dimension known and not negative.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "tensor/dtype.h"

namespace octavo {

using Shape = std::vector<int64_t>;

// Product of the dimensions (1 for a scalar). Errors: a negative dimension, overflow of int64.
Result<int64_t> element_count(std::span<const int64_t> shape);
// Bytes of that many elements, rounded up for 4-bit types. Errors: as above, or no such element
// type.
Result<size_t> byte_count(DType dtype, std::span<const int64_t> shape);
// "[2, 3]"
std::string to_string(std::span<const int64_t> shape);

}  // namespace octavo
