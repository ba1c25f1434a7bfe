#include "runtime/ops/indices.h"

#include <string>

namespace octavo::ops {

namespace {

Error out_of_range(int64_t index, int64_t dim) {
  return Error{Code::invalid_input, "index " + std::to_string(index) +
                                        " is outside a dimension of " + std::to_string(dim)};
}

Result<int64_t> within(int64_t index, int64_t dim) {
  if (index < -dim || index >= dim) return out_of_range(index, dim);
  return index < 0 ? index + dim : index;
}

Status check_type(const Tensor& tensor) {
  if (tensor.dtype() == DType::i64 || tensor.dtype() == DType::i32) return Done{};
  return Error{Code::invalid_input,
               "indices are " + std::string(dtype_name(tensor.dtype())) + ", not int64 or int32"};
}

int64_t value_at(const Tensor& t, int64_t i) {
  return t.dtype() == DType::i64 ? t.data<int64_t>()[i] : t.data<int32_t>()[i];
}

}  // namespace

Result<Indices> Indices::read(OpContext& context, const Tensor& tensor, int64_t dim) {
  OCTAVO_CHECK(check_type(tensor));
  const auto n = static_cast<size_t>(tensor.size());
  bool ready = tensor.dtype() == DType::i64;
  for (int64_t i = 0; i < tensor.size(); ++i) {
    const int64_t v = value_at(tensor, i);
    if (v < -dim || v >= dim) return out_of_range(v, dim);
    ready = ready && v >= 0;
  }
  Indices out;
  if (ready) {
    out.values_ = tensor.values<int64_t>();
    return out;
  }
  OCTAVO_TRY(const auto bytes, context.scratch(n * sizeof(int64_t)));
  auto* values = reinterpret_cast<int64_t*>(bytes.data());
  for (size_t i = 0; i < n; ++i) {
    const int64_t v = value_at(tensor, static_cast<int64_t>(i));
    values[i] = v < 0 ? v + dim : v;
  }
  out.values_ = {values, n};
  return out;
}

Result<NdIndices> NdIndices::read(const Tensor& tensor, const Shape& shape, size_t batch) {
  OCTAVO_CHECK(check_type(tensor));
  if (tensor.rank() == 0) return Error{Code::invalid_input, "indices have no dimension"};
  const int64_t width = tensor.shape().back();
  NdIndices out;
  if (width < 0 || static_cast<size_t>(width) > shape.size() - batch)
    return Error{Code::invalid_input,
                 "indices name " + std::to_string(width) + " dimensions of " + to_string(shape)};
  out.width = static_cast<size_t>(width);
  out.slice = product(shape, batch + out.width, shape.size());
  const Ints strides = strides_of(shape);
  const int64_t count = product(tensor.shape(), 0, tensor.rank() - 1);
  constexpr int64_t kMost = int64_t{1} << 32;
  if (count > kMost) return Error{Code::invalid_input, "too many indices"};
  out.offsets.reserve(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) {
    int64_t offset = 0;
    for (size_t k = 0; k < out.width; ++k) {
      OCTAVO_TRY(const int64_t v,
                 within(value_at(tensor, i * width + static_cast<int64_t>(k)), shape[batch + k]));
      offset += v * strides[batch + k];
    }
    out.offsets.push_back(offset);
  }
  return out;
}

Status fits_within(const Shape& index, const Shape& data, size_t axis) {
  bool fits = index.size() == data.size();
  for (size_t d = 0; fits && d < data.size(); ++d) fits = d == axis || index[d] <= data[d];
  if (fits) return Done{};
  return Error{Code::invalid_input,
               "indices " + to_string(index) + " do not lie in " + to_string(data)};
}

}  // namespace octavo::ops
