#pragma once
// What nearly every op on shapes needs: axes that count from the end, small integer inputs,
// strides.

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "tensor/tensor.h"

namespace octavo::ops {

using Ints = std::vector<int64_t>;

// The axis as an index, negative ones counting from the end. Errors: out of range.
Result<size_t> axis_of(int64_t axis, size_t rank);
// The same for several, each at most once.
Result<std::vector<size_t>> axes_of(const Ints& axes, size_t rank);
// Values of an int64 or int32 tensor, of any shape. Errors: another type, absurdly many.
Result<Ints> ints_of(const Tensor& tensor, const char* what);
// One value of an int64 or int32 tensor. Errors: another type, not exactly one.
Result<int64_t> int_of(const Tensor& tensor, const char* what);

// Elements between neighbours along each dimension of a dense tensor.
Ints strides_of(const Shape& shape);
// Product of shape[from, to). Precondition: element_count(shape) is fine.
int64_t product(const Shape& shape, size_t from, size_t to);

}  // namespace octavo::ops
