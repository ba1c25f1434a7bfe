// Products with constant matrices.
//
//   float   MatMul(x, W) (+ bias); Gemm(x, W, bias); W through Transpose and Cast
//   int8    MatMulInteger(DynamicQuantizeLinear(x), W) -> Cast -> Mul(x_scale * W_scale) (+ bias),
//           the factors in any order
//   factor  x = Mul(y, constant [K]) before any of them: an explicit smoothing Mul

#include "graph/raised_ops.h"
#include "passes/raise_parts.h"

namespace octavo::raise {

namespace {

struct Product {
  std::string x;
  std::string_view kind;
  Initializer weight;
  bool transposed = false;
  int64_t k = 0, n = 0;
  std::optional<Initializer> scale, zero_point, bias;
};

bool is_weight_type(DType dtype) {
  return dtype == DType::f32 || dtype == DType::f16 || dtype == DType::bf16;
}

std::optional<Product> float_product(const View& view, const std::string& x, const std::string& w,
                                     bool transposed) {
  auto matrix = view.matrix(w);
  if (!matrix || !is_weight_type(matrix->constant.dtype())) return std::nullopt;
  matrix->transposed ^= transposed;
  Product p{x,
            raised::kFloat,
            matrix->constant,
            matrix->transposed,
            matrix->rows(),
            matrix->columns(),
            {},
            {},
            {}};
  return p;
}

std::optional<Product> gemm(const View& view, const Node& node) {
  if (node.int_or("transA", 0) != 0 || node.float_or("alpha", 1) != 1) return std::nullopt;
  auto p = float_product(view, node.inputs[0], node.inputs[1], node.int_or("transB", 0) != 0);
  if (!p || node.inputs.size() < 3 || node.inputs[2].empty()) return p;
  p->bias = view.vector(node.inputs[2], p->n);
  if (!p->bias || node.float_or("beta", 1) != 1) return std::nullopt;
  return p;
}

// The factors of a product of up to four, by their values' names.
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

// A scalar, or one number a column.
std::optional<Initializer> by_column(const View& view, const std::string& value, int64_t columns) {
  auto found = view.constant(value);
  if (!found) return std::nullopt;
  const auto count = element_count(found->shape());
  if (!count || (*count != 1 && *count != columns)) return std::nullopt;
  return found;
}

std::optional<Product> integer_product(const View& view, const Node& sums) {
  const Node* quantize = view.standard(sums.inputs[0], "DynamicQuantizeLinear");
  auto matrix = view.matrix(sums.inputs[1]);
  if (quantize == nullptr || quantize->outputs.size() != 3 || !matrix || matrix->transposed ||
      sums.inputs[0] != quantize->outputs[0])
    return std::nullopt;
  const DType type = matrix->constant.dtype();
  if (type != DType::i8 && type != DType::u8) return std::nullopt;
  Product p{quantize->inputs[0],
            raised::kInt8,
            matrix->constant,
            false,
            matrix->rows(),
            matrix->columns(),
            {},
            {},
            {}};
  const auto input = [&](size_t i) {
    return sums.inputs.size() > i ? sums.inputs[i] : std::string();
  };
  if (input(2) != quantize->outputs[2]) return std::nullopt;
  if (!input(3).empty()) {
    p.zero_point = by_column(view, input(3), p.n);
    if (!p.zero_point) return std::nullopt;
  }
  return p;
}

std::optional<Product> int8(const View& view, const std::string& value) {
  std::vector<std::string> factors;
  factors_of(view, value, 2, factors);
  if (factors.size() != 3) return std::nullopt;
  std::optional<Product> p;
  const Node* sums = nullptr;
  for (const auto& f : factors) {
    const Node* cast = view.standard(f, "Cast");
    if (cast != nullptr) sums = view.standard(cast->inputs[0], "MatMulInteger", 2);
    if (sums != nullptr) break;
  }
  if (sums == nullptr || !(p = integer_product(view, *sums))) return std::nullopt;
  const Node* quantize = view.producer(sums->inputs[0]);
  bool input_scale = false;
  for (const auto& f : factors) {
    if (f == quantize->outputs[1]) {
      input_scale = true;
    } else if (auto scale = by_column(view, f, p->n)) {
      p->scale = std::move(scale);
    }
  }
  return input_scale && p->scale ? p : std::nullopt;
}

std::optional<Product> product(const View& view, const std::string& value) {
  const std::string at = view.rows(value);
  if (const Node* node = view.standard(at, "MatMul", 2))
    return float_product(view, node->inputs[0], node->inputs[1], false);
  if (const Node* node = view.standard(at, "Gemm", 2)) return gemm(view, *node);
  return int8(view, at);
}

// product (+ bias)
std::optional<Product> linear(const View& view, const std::string& value) {
  if (auto p = product(view, value)) return p;
  const Node* add = view.standard(value, "Add", 2);
  if (add == nullptr) return std::nullopt;
  for (const auto& [a, b] : both_orders(*add)) {
    if (!view.vector(b, 0)) continue;
    auto p = product(view, a);
    if (!p || p->bias) continue;
    p->bias = view.vector(b, p->n);
    if (p->bias) return p;
  }
  return std::nullopt;
}

// Takes a smoothing factor off x.
std::optional<Initializer> take_factor(const View& view, Product& p) {
  const std::string at = view.rows(p.x);
  if (match_rms_norm(view, at)) return std::nullopt;  // its gain looks the same
  const Node* mul = view.standard(at, "Mul", 2);
  if (mul == nullptr) return std::nullopt;
  for (const auto& [y, constant] : both_orders(*mul)) {
    auto factor = view.vector(constant, p.k);
    if (!factor || !view.is_rows(y)) continue;
    p.x = y;
    return factor;
  }
  return std::nullopt;
}

}  // namespace

bool is_linear(const View& view, const std::string& value) {
  return linear(view, value).has_value();
}

Match raise_linear(Context& c, const std::string& value) {
  const View& view = c.view;
  auto p = linear(view, value);
  if (!p) return std::optional<Piece>();
  const auto factor = take_factor(view, *p);
  Piece piece;
  std::vector<std::string> inputs = {view.rows(p->x)};
  const auto give = [&](std::optional<Initializer> constant) {
    inputs.push_back(constant ? constant->name() : std::string());
    if (constant) piece.constants.push_back(*std::move(constant));
  };
  give(p->weight);
  give(p->bias);
  give(p->scale);
  give(p->zero_point);
  give(factor);
  while (inputs.back().empty()) inputs.pop_back();
  Node node = raised_node(raised::kLinear, std::move(inputs), value);
  node.attributes["kind"] = std::string(p->kind);
  node.attributes["transposed"] = int64_t{p->transposed ? 1 : 0};
  piece.nodes.push_back(std::move(node));
  return std::optional(std::move(piece));
}

}  // namespace octavo::raise
