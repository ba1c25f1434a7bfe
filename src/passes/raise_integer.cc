// Integer products.
//
//   MatMulInteger(DynamicQuantizeLinear(x), W) -> Cast -> Mul(x_scale * W_scale), the factors in
//   any order; DynamicQuantizeMatMul(x, W) and MatMulIntegerToFloat(DynamicQuantizeLinear(x), W) of
//   com.microsoft

#include "graph/raised_ops.h"
#include "passes/raise_parts.h"

namespace octavo::raise {

void factors_of(const View& view, const std::string& value, int depth,
                std::vector<std::string>& out) {
  const Node* mul = depth == 0 ? nullptr : view.standard(value, "Mul", 2);
  if (mul == nullptr) {
    out.push_back(value);
    return;
  }
  factors_of(view, mul->inputs[0], depth - 1, out);
  factors_of(view, mul->inputs[1], depth - 1, out);
}

std::optional<Initializer> by_column(const View& view, const std::string& value, int64_t columns) {
  auto found = view.constant(value);
  if (!found) return std::nullopt;
  const auto count = element_count(found->shape());
  if (!count || *count == 1) return count ? found : std::nullopt;
  return view.vector(value, columns);
}

std::optional<Linear> integer_weights(const View& view, const std::string& x, const std::string& w,
                                      const std::string& zero) {
  auto matrix = view.matrix(w);
  if (!matrix || matrix->transposed) return std::nullopt;
  const DType type = matrix->constant.dtype();
  if (type != DType::i8 && type != DType::u8) return std::nullopt;
  Linear p;
  p.x = x;
  p.kind = raised::kInt8;
  p.k = matrix->rows();
  p.n = matrix->columns();
  p.weight = std::move(matrix->constant);
  if (!zero.empty() && !(p.zero_point = by_column(view, zero, p.n))) return std::nullopt;
  return p;
}

namespace {

std::string input(const Node& node, size_t i) {
  return node.inputs.size() > i ? node.inputs[i] : std::string();
}

// The DynamicQuantizeLinear whose three outputs these are.
const Node* quantizer(const View& view, const std::string& values, const std::string& zero) {
  const Node* node = view.standard(values, "DynamicQuantizeLinear");
  const bool fits = node != nullptr && node->outputs.size() == 3 && node->outputs[0] == values &&
                    node->outputs[2] == zero;
  return fits ? node : nullptr;
}

bool scale_and_bias(const View& view, Linear& p, const std::string& scale,
                    const std::string& bias) {
  p.scale = by_column(view, scale, p.n);
  if (!bias.empty()) p.bias = view.vector(bias, p.n);
  return p.scale && (bias.empty() || p.bias);
}

std::optional<Linear> spelled_out(const View& view, const std::string& value) {
  std::vector<std::string> factors;
  factors_of(view, value, 2, factors);
  if (factors.size() != 3) return std::nullopt;
  const Node* sums = nullptr;
  for (const auto& f : factors) {
    const Node* cast = view.standard(f, "Cast");
    if (sums == nullptr && cast != nullptr)
      sums = view.standard(cast->inputs[0], "MatMulInteger", 2);
  }
  if (sums == nullptr) return std::nullopt;
  const Node* quantize = quantizer(view, sums->inputs[0], input(*sums, 2));
  if (quantize == nullptr) return std::nullopt;
  auto p = integer_weights(view, quantize->inputs[0], sums->inputs[1], input(*sums, 3));
  if (!p) return std::nullopt;
  bool input_scale = false;
  for (const auto& f : factors) {
    if (f == quantize->outputs[1]) {
      input_scale = true;
    } else if (auto scale = by_column(view, f, p->n)) {
      p->scale = std::move(scale);
    }
  }
  if (!input_scale || !p->scale) return std::nullopt;
  return p;
}

}  // namespace

std::optional<Linear> match_integer_product(const View& view, const std::string& value) {
  if (const Node* node = view.contrib(value, "DynamicQuantizeMatMul", 3)) {
    auto p = integer_weights(view, node->inputs[0], node->inputs[1], input(*node, 3));
    if (p && scale_and_bias(view, *p, node->inputs[2], input(*node, 4))) return p;
    return std::nullopt;
  }
  if (const Node* node = view.contrib(value, "MatMulIntegerToFloat", 4)) {
    const Node* quantize = quantizer(view, node->inputs[0], input(*node, 4));
    if (quantize == nullptr || quantize->outputs[1] != node->inputs[2]) return std::nullopt;
    auto p = integer_weights(view, quantize->inputs[0], node->inputs[1], input(*node, 5));
    if (p && scale_and_bias(view, *p, node->inputs[3], input(*node, 6))) return p;
    return std::nullopt;
  }
  if (auto p = match_row_product(view, value)) return p;
  return spelled_out(view, value);
}

}  // namespace octavo::raise
