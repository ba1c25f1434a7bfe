// DequantizeLinear of a constant: weights that are stored in 8 bits and multiplied as floats. The
// floats are made when the bytes are asked for, and equal those of the executor.

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

}  // namespace octavo::raise
