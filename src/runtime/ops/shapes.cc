#include "runtime/ops/shapes.h"

namespace octavo::ops {

Result<size_t> axis_of(int64_t axis, size_t rank) {
  const auto n = static_cast<int64_t>(rank);
  if (axis < -n || axis >= n)
    return Error{Code::invalid_input, "axis " + std::to_string(axis) +
                                          " is outside a tensor of rank " + std::to_string(rank)};
  return static_cast<size_t>(axis < 0 ? axis + n : axis);
}

Result<std::vector<size_t>> axes_of(const Ints& axes, size_t rank) {
  std::vector<size_t> out;
  std::vector<char> seen(rank, 0);
  for (const int64_t a : axes) {
    OCTAVO_TRY(const size_t axis, axis_of(a, rank));
    if (seen[axis] != 0)
      return Error{Code::invalid_input, "axis " + std::to_string(a) + " is given twice"};
    seen[axis] = 1;
    out.push_back(axis);
  }
  return out;
}

Result<Ints> ints_of(const Tensor& tensor, const char* what) {
  constexpr int64_t kMost = 1 << 20;  // shapes, axes, splits: never more
  if (tensor.size() > kMost)
    return Error{Code::invalid_input,
                 std::string(what) + " has " + std::to_string(tensor.size()) + " values"};
  if (tensor.dtype() == DType::i64) {
    const auto v = tensor.values<int64_t>();
    return Ints(v.begin(), v.end());
  }
  if (tensor.dtype() == DType::i32) {
    const auto v = tensor.values<int32_t>();
    return Ints(v.begin(), v.end());
  }
  return Error{Code::invalid_input, std::string(what) + " is " +
                                        std::string(dtype_name(tensor.dtype())) +
                                        ", not int64 or int32"};
}

Result<int64_t> int_of(const Tensor& tensor, const char* what) {
  OCTAVO_TRY(const Ints values, ints_of(tensor, what));
  if (values.size() != 1)
    return Error{Code::invalid_input,
                 std::string(what) + " has " + std::to_string(values.size()) + " values, not one"};
  return values[0];
}

Ints strides_of(const Shape& shape) {
  Ints strides(shape.size(), 1);
  for (size_t d = shape.size(); d-- > 1;) strides[d - 1] = strides[d] * shape[d];
  return strides;
}

int64_t product(const Shape& shape, size_t from, size_t to) {
  int64_t n = 1;
  for (size_t d = from; d < to; ++d) n *= shape[d];
  return n;
}

}  // namespace octavo::ops
