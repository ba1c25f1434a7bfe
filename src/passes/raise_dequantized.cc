// Weights that are stored in 8 bits and multiplied as floats: DequantizeLinear of a constant, and
// Gather from a list of floats (passes/palette.h). The floats are made when the bytes are asked
// for, and equal those of the executor.

#include <algorithm>

#include "passes/raise_view.h"

namespace octavo::raise {

namespace {

Result<Tensor> dequantize(const Quantized& q) {
  OCTAVO_TRY(const Tensor values, q.values.tensor());
  OCTAVO_TRY(const Tensor scale, q.scale.tensor());
  Tensor zero;
  if (q.zero_point) {
    OCTAVO_TRY(zero, q.zero_point->tensor());
  }
  OCTAVO_TRY(Tensor out, Tensor::make(DType::f32, values.shape()));
  size_t inner = 1;  // elements that share a scale, one after another
  for (size_t d = q.axis + 1; d < values.rank(); ++d) inner *= static_cast<size_t>(values.dim(d));
  const auto scales = static_cast<size_t>(scale.size());
  float* to = out.mutable_data<float>();
  for (size_t i = 0; i < static_cast<size_t>(values.size()); ++i) {
    const size_t s = scales == 1 ? 0 : i / inner % scales;
    const double offset = zero.defined() ? element(zero, zero.size() == 1 ? 0 : s) : 0;
    to[i] = static_cast<float>(element(values, i) - offset) * static_cast<float>(element(scale, s));
  }
  values.drop_pages();
  return out;
}

// Places count from the end when they are below zero, as Gather's do. Each takes one number, or a
// row of them.
Result<Tensor> look_up(const Initializer& numbers, const Initializer& places, const Shape& shape) {
  OCTAVO_TRY(const Tensor from, numbers.tensor());
  OCTAVO_TRY(const Tensor at, places.tensor());
  OCTAVO_TRY(Tensor out, Tensor::make(DType::f32, shape));
  const auto count = static_cast<double>(from.dim(0));
  const auto row = static_cast<size_t>(from.rank() == 2 ? from.dim(1) : 1);
  float* to = out.mutable_data<float>();
  for (size_t i = 0; i < static_cast<size_t>(at.size()); ++i) {
    double place = element(at, i);
    if (place < 0) place += count;
    if (!(place >= 0 && place < count))
      return Error{Code::invalid_input, "\"" + places.name() + "\" asks for number " +
                                            std::to_string(static_cast<int64_t>(place)) + " of " +
                                            std::to_string(from.dim(0))};
    std::copy_n(from.data<float>() + static_cast<size_t>(place) * row, row, to + i * row);
  }
  at.drop_pages();
  return out;
}

bool is_integer(DType dtype) {
  return dtype == DType::u8 || dtype == DType::i8 || dtype == DType::i32 || dtype == DType::i64;
}

}  // namespace

Initializer dequantized(const std::string& name, Quantized quantized) {
  const Shape shape = quantized.values.shape();
  return {name, DType::f32, shape,
          [q = std::move(quantized)]() -> Result<Tensor> { return dequantize(q); }};
}

std::optional<Initializer> View::dequantized(const std::string& value) const {
  const Node* node = standard(value, "DequantizeLinear", 2);
  if (node == nullptr || node->int_or("block_size", 0) != 0) return std::nullopt;
  auto values = constant(node->inputs[0]);
  auto scale = constant(node->inputs[1]);
  if (!values || !scale || (values->dtype() != DType::i8 && values->dtype() != DType::u8) ||
      scale->dtype() != DType::f32 || values->shape().empty())
    return std::nullopt;
  Quantized parts{*std::move(values), *std::move(scale), {}, 0};
  const auto rank = static_cast<int64_t>(parts.values.shape().size());
  int64_t axis = node->int_or("axis", 1);
  axis += axis < 0 ? rank : 0;
  if (parts.scale.shape().empty() || parts.scale.shape() == Shape{1}) axis = 0;
  if (axis < 0 || axis >= rank) return std::nullopt;
  parts.axis = static_cast<size_t>(axis);
  const Shape by_axis = {parts.values.shape()[parts.axis]};
  const bool fits = parts.scale.shape().empty() || parts.scale.shape() == Shape{1} ||
                    parts.scale.shape() == by_axis;
  if (!fits) return std::nullopt;
  if (node->inputs.size() > 2 && !node->inputs[2].empty()) {
    parts.zero_point = constant(node->inputs[2]);
    if (!parts.zero_point || parts.zero_point->shape() != parts.scale.shape() ||
        parts.zero_point->dtype() != parts.values.dtype())
      return std::nullopt;
  }
  return raise::dequantized(value, std::move(parts));
}

std::optional<Initializer> View::looked_up(const std::string& value) const {
  // Rows of the list, laid side by side.
  const Node* reshape = standard(value, "Reshape", 2);
  const Node* node = standard(reshape == nullptr ? value : reshape->inputs[0], "Gather", 2);
  if (node == nullptr || node->int_or("axis", 0) != 0) return std::nullopt;
  auto numbers = constant(node->inputs[0]);
  auto places = constant(node->inputs[1]);
  // Indices of fewer bits than Gather takes.
  if (const Node* cast = standard(node->inputs[1], "Cast"); cast != nullptr && !places) {
    const auto to = static_cast<DType>(cast->int_or("to", 0));
    if (to == DType::i32 || to == DType::i64) places = constant(cast->inputs[0]);
    if (places && places->dtype() == DType::i64 && to == DType::i32) return std::nullopt;
  }
  if (!numbers || !places || numbers->dtype() != DType::f32 || numbers->shape().empty() ||
      numbers->shape()[0] <= 0 || numbers->shape().back() <= 0 ||
      numbers->storage == Initializer::Storage::sparse || !is_integer(places->dtype()) ||
      places->storage == Initializer::Storage::sparse)
    return std::nullopt;
  Shape shape = places->shape();
  if (numbers->shape().size() != (reshape == nullptr ? 1 : 2)) return std::nullopt;
  if (reshape != nullptr) {
    const auto wanted = integers(reshape->inputs[1]);
    // A small file must not ask for any amount of memory: as much as the plain executor folds.
    constexpr int64_t kMostInARow = 4;
    if (!wanted || numbers->shape()[1] > kMostInARow || shape.size() != 2 || wanted->size() != 2 ||
        (*wanted)[0] != shape[0] || (*wanted)[1] / numbers->shape()[1] != shape[1] ||
        (*wanted)[1] % numbers->shape()[1] != 0)
      return std::nullopt;
    shape = *wanted;
  }
  return Initializer(value, DType::f32, shape,
                     [numbers = *std::move(numbers), places = *std::move(places), shape] {
                       return look_up(numbers, places, shape);
                     });
}

}  // namespace octavo::raise
