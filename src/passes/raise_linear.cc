// Products with constant matrices.
//
//   float   MatMul(x, W) (+ bias); Gemm(x, W, bias); W through Transpose and Cast
//   int8    raise_integer.cc
//   nbits   MatMulNBits of com.microsoft
//   factor  x = Mul(y, constant [K]) before any of them: an explicit smoothing Mul
//   part    Split or Slice along the columns of one of them: a Linear of those columns

#include <cmath>

#include "graph/raised_ops.h"
#include "passes/raise_parts.h"

namespace octavo::raise {

namespace {

bool is_weight_type(DType dtype) {
  return dtype == DType::f32 || dtype == DType::f16 || dtype == DType::bf16;
}

std::optional<Linear> float_product(const View& view, const std::string& x, const std::string& w,
                                    bool transposed) {
  auto matrix = view.matrix(w);
  if (!matrix || !is_weight_type(matrix->constant.dtype())) return std::nullopt;
  matrix->transposed ^= transposed;
  Linear p;
  p.x = x;
  p.kind = raised::kFloat;
  p.transposed = matrix->transposed;
  p.k = matrix->rows();
  p.n = matrix->columns();
  p.weight = std::move(matrix->constant);
  return p;
}

std::optional<Linear> gemm(const View& view, const Node& node) {
  if (node.int_or("transA", 0) != 0 || node.float_or("alpha", 1) != 1) return std::nullopt;
  auto p = float_product(view, node.inputs[0], node.inputs[1], node.int_or("transB", 0) != 0);
  if (!p || node.inputs.size() < 3 || node.inputs[2].empty()) return p;
  p->bias = view.vector(node.inputs[2], p->n);
  if (!p->bias || node.float_or("beta", 1) != 1) return std::nullopt;
  return p;
}

// B [N, blocks, block_size * bits / 8], scales, zero_points, g_idx, bias
std::optional<Linear> nbits(const View& view, const Node& node) {
  Linear p;
  const auto input = [&](size_t i) {
    return node.inputs.size() > i ? node.inputs[i] : std::string();
  };
  auto weight = view.constant(input(1));
  p.scale = view.constant(input(2));
  p.n = node.int_or("N", 0);
  p.k = node.int_or("K", 0);
  if (!weight || !p.scale || p.n <= 0 || p.k <= 0 || !input(4).empty()) return std::nullopt;
  if (!input(3).empty() && !(p.zero_point = view.constant(input(3)))) return std::nullopt;
  if (!input(5).empty() && !(p.bias = view.vector(input(5), p.n))) return std::nullopt;
  p.x = node.inputs[0];
  p.kind = raised::kNBits;
  p.weight = *std::move(weight);
  p.attributes = {{"bits", node.int_or("bits", 4)},
                  {"block_size", node.int_or("block_size", 0)},
                  {"K", p.k},
                  {"N", p.n}};
  return p;
}

std::optional<Linear> product(const View& view, const std::string& value) {
  const std::string at = view.rows(value);
  if (const Node* node = view.standard(at, "MatMul", 2))
    return float_product(view, node->inputs[0], node->inputs[1], false);
  if (const Node* node = view.standard(at, "Gemm", 2)) return gemm(view, *node);
  if (const Node* node = view.contrib(at, "MatMulNBits", 3)) return nbits(view, *node);
  return match_integer_product(view, at);
}

// product (+ bias)
std::optional<Linear> whole(const View& view, const std::string& value) {
  const std::string at = view.rows(value);
  if (auto p = product(view, at)) return p;
  const Node* add = view.standard(at, "Add", 2);
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

// The columns of `node`'s input that its output `value` holds.
std::optional<std::pair<int64_t, int64_t>> columns_of(const View& view, const Node& node,
                                                      const std::string& value) {
  const int64_t width = view.width(value);
  const Shape* shape = view.shape(node.inputs[0]);
  if (node.op_type == "Split") {
    if (!is_last_axis(node.int_or("axis", 0), shape)) return std::nullopt;
    int64_t begin = 0;
    for (const auto& out : node.outputs) {
      if (out == value) return std::pair{begin, begin + width};
      if (out.empty() || view.width(out) == 0) return std::nullopt;
      begin += view.width(out);
    }
    return std::nullopt;
  }
  if (node.op_type != "Slice" || node.inputs.size() < 4) return std::nullopt;
  const auto starts = view.integers(node.inputs[1]);
  const auto axes = view.integers(node.inputs[3]);
  const auto steps = node.inputs.size() > 4 && !node.inputs[4].empty()
                         ? view.integers(node.inputs[4])
                         : std::vector<int64_t>{1};
  if (!starts || starts->size() != 1 || !axes || axes->size() != 1 ||
      steps != std::vector<int64_t>{1} || !is_last_axis((*axes)[0], shape))
    return std::nullopt;
  const int64_t start = (*starts)[0];
  if (std::abs(static_cast<double>(start)) > static_cast<double>(view.width(node.inputs[0])))
    return std::nullopt;
  const int64_t begin = start < 0 ? start + view.width(node.inputs[0]) : start;
  return std::pair{begin, begin + width};
}

// A smoothing factor before x.
void take_factor(const View& view, Linear& p) {
  const std::string at = view.rows(p.x);
  if (match_rms_norm(view, at)) return;  // its gain looks the same
  const Node* mul = view.standard(at, "Mul", 2);
  if (mul == nullptr) return;
  for (const auto& [y, constant] : both_orders(*mul)) {
    auto factor = view.vector(constant, p.k);
    if (!factor || !view.is_rows(y)) continue;
    p.x = y;
    p.factor = std::move(factor);
    return;
  }
}

}  // namespace

std::optional<Linear> match_linear(const View& view, const std::string& value) {
  auto p = whole(view, value);
  if (!p) {
    const std::string at = view.rows(value);
    const Node* part = view.producer(at);
    if (part == nullptr || !part->domain.empty() || part->inputs.empty()) return std::nullopt;
    const auto columns = columns_of(view, *part, at);
    if (!columns) return std::nullopt;
    p = whole(view, part->inputs[0]);
    if (p) p = take_columns(*p, columns->first, columns->second);
  }
  if (p) take_factor(view, *p);
  return p;
}

bool is_linear(const View& view, const std::string& value) {
  return match_linear(view, value).has_value();
}

void add_linear(const View& view, Linear p, const std::string& output, Piece& piece) {
  std::vector<std::string> inputs = {view.rows(p.x)};
  const auto give = [&](std::optional<Initializer> constant) {
    inputs.push_back(constant ? constant->name() : std::string());
    if (constant) piece.constants.push_back(*std::move(constant));
  };
  give(std::move(p.weight));
  give(std::move(p.bias));
  give(std::move(p.scale));
  give(std::move(p.zero_point));
  give(std::move(p.factor));
  while (inputs.back().empty()) inputs.pop_back();
  Node node = raised_node(raised::kLinear, std::move(inputs), output);
  node.attributes = std::move(p.attributes);
  node.attributes["kind"] = std::string(p.kind);
  if (!p.scales.empty()) node.attributes["scales"] = std::string(p.scales);
  node.attributes["transposed"] = int64_t{p.transposed ? 1 : 0};
  piece.nodes.push_back(std::move(node));
}

Result<std::string> add_biased_linear(const View& view, const std::string& value,
                                      const Initializer& bias, Piece& piece) {
  auto p = match_linear(view, value);
  if (!p || p->bias)
    return unsupported(view, value, "a bias is added to this, which is no product without one");
  p->bias = bias;
  std::string output = view.rows(value) + "/with_bias";
  add_linear(view, *std::move(p), output, piece);
  return output;
}

Match raise_linear(Context& c, const std::string& value) {
  auto p = match_linear(c.view, value);
  if (!p) {
    const Node* node = c.view.producer(value);
    if (node->op_type == "Gemm" || node->op_type == "MatMul" || node->op_type == "MatMulNBits")
      return unsupported(*node,
                         "not x W + b with a constant matrix W of float32, float16 or bfloat16 and "
                         "alpha, beta, transA as they are by default");
    return std::optional<Piece>();
  }
  Piece piece;
  add_linear(c.view, *std::move(p), value, piece);
  return std::optional(std::move(piece));
}

}  // namespace octavo::raise
