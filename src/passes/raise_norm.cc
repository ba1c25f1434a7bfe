// RMSNorm and LayerNorm.
//
//   RMSNorm    x / Sqrt(ReduceMean(Pow(x, 2)) + e) * gain; x * x for the square, Reciprocal, 1 / or
//              Pow(., -0.5) for the division, Casts and Identities anywhere
//   LayerNorm  d = x - ReduceMean(x); d / Sqrt(ReduceMean(d * d) + e) * gain + bias
// and the ops that are one already.

#include "graph/raised_ops.h"
#include "passes/raise_parts.h"

namespace octavo::raise {

namespace {

bool is_number(const View& view, const std::string& value, double wanted) {
  const auto n = view.number(value);
  return n && *n == wanted;
}

// What is averaged over the last axis; empty: this is no such mean.
std::string mean_of(const View& view, const std::string& value) {
  const Node* node = view.standard(view.skip(value), "ReduceMean");
  if (node == nullptr || node->int_or("keepdims", 1) != 1) return {};
  const std::vector<int64_t> axes = view.axes(*node).value_or(std::vector<int64_t>{});
  if (axes.size() != 1 || !is_last_axis(axes[0], view.shape(node->inputs[0]))) return {};
  return node->inputs[0];
}

// What is squared; empty: this is no square.
std::string square_of(const View& view, const std::string& value) {
  const std::string at = view.skip(value);
  if (const Node* pow = view.standard(at, "Pow", 2))
    return is_number(view, pow->inputs[1], 2) ? view.skip(pow->inputs[0]) : std::string();
  const Node* mul = view.standard(at, "Mul", 2);
  if (mul == nullptr) return {};
  const std::string a = view.skip(mul->inputs[0]);
  return a == view.skip(mul->inputs[1]) ? a : std::string();
}

struct Deviation {
  std::string x;  // whose squares are averaged
  double epsilon;
};

// mean(x^2) + epsilon
std::optional<Deviation> variance(const View& view, const std::string& value) {
  const Node* add = view.standard(view.skip(value), "Add", 2);
  if (add == nullptr) return std::nullopt;
  for (const auto& [a, b] : both_orders(*add)) {
    const auto epsilon = view.number(b);
    if (!epsilon) continue;
    const std::string x = square_of(view, mean_of(view, a));
    if (!x.empty()) return Deviation{x, *epsilon};
  }
  return std::nullopt;
}

std::optional<Deviation> root(const View& view, const std::string& value) {
  const std::string at = view.skip(value);
  if (const Node* sqrt = view.standard(at, "Sqrt")) return variance(view, sqrt->inputs[0]);
  const Node* pow = view.standard(at, "Pow", 2);
  if (pow != nullptr && is_number(view, pow->inputs[1], 0.5)) return variance(view, pow->inputs[0]);
  return std::nullopt;
}

// 1 / root
std::optional<Deviation> inverse_root(const View& view, const std::string& value) {
  const std::string at = view.skip(value);
  if (const Node* r = view.standard(at, "Reciprocal")) return root(view, r->inputs[0]);
  const Node* div = view.standard(at, "Div", 2);
  if (div != nullptr && is_number(view, div->inputs[0], 1)) return root(view, div->inputs[1]);
  const Node* pow = view.standard(at, "Pow", 2);
  if (pow != nullptr && is_number(view, pow->inputs[1], -0.5))
    return variance(view, pow->inputs[0]);
  return std::nullopt;
}

// x / root(x)
std::optional<Deviation> normalized(const View& view, const std::string& value) {
  const std::string at = view.skip(value);
  if (const Node* div = view.standard(at, "Div", 2)) {
    auto under = root(view, div->inputs[1]);
    if (under && under->x == view.skip(div->inputs[0])) return under;
  }
  if (const Node* mul = view.standard(at, "Mul", 2)) {
    for (const auto& [a, b] : both_orders(*mul)) {
      auto under = inverse_root(view, b);
      if (under && under->x == view.skip(a)) return under;
    }
  }
  return std::nullopt;
}

struct LayerNorm {
  std::string x, gain, bias;
  double epsilon = 0;
};

std::optional<LayerNorm> match_layer_norm(const View& view, const std::string& value) {
  const Node* add = view.standard(value, "Add", 2);
  if (add == nullptr) return std::nullopt;
  for (const auto& [scaled, bias] : both_orders(*add)) {
    const Node* mul = view.standard(view.skip(scaled), "Mul", 2);
    if (mul == nullptr || !view.vector(bias, 0)) continue;
    for (const auto& [normal, gain] : both_orders(*mul)) {
      if (!view.vector(gain, 0)) continue;
      const auto under = normalized(view, normal);
      const Node* centred = under ? view.standard(under->x, "Sub", 2) : nullptr;
      if (centred == nullptr) continue;
      const std::string x = view.skip(centred->inputs[0]);
      if (view.skip(mean_of(view, centred->inputs[1])) == x)
        return LayerNorm{x, gain, bias, under->epsilon};
    }
  }
  return std::nullopt;
}

Node rms_node(const View& view, const RmsNorm& norm, const std::string& output) {
  Node node = raised_node(raised::kRmsNorm, {view.rows(norm.x), norm.gain.name()}, output);
  node.attributes["epsilon"] = static_cast<float>(norm.epsilon);
  return node;
}

}  // namespace

std::optional<RmsNorm> match_rms_norm(const View& view, const std::string& value) {
  const std::string at = view.skip(value);
  const Node* whole = view.standard(at, "SimplifiedLayerNormalization", 2);
  if (whole == nullptr) whole = view.contrib(at, "SimplifiedLayerNormalization", 2);
  if (whole == nullptr) whole = view.standard(at, "RMSNormalization", 2);
  if (whole != nullptr) {
    auto gain = view.vector(whole->inputs[1], view.width(whole->inputs[0]));
    if (!gain || whole->outputs[0] != at ||
        !is_last_axis(whole->int_or("axis", -1), view.shape(whole->inputs[0])))
      return std::nullopt;
    return RmsNorm{view.skip(whole->inputs[0]), *std::move(gain),
                   double{whole->float_or("epsilon", 1e-5F)}};
  }
  const Node* mul = view.standard(at, "Mul", 2);
  if (mul == nullptr) return std::nullopt;
  for (const auto& [normal, gain] : both_orders(*mul)) {
    auto constant = view.vector(gain, 0);
    if (!constant) continue;
    auto under = normalized(view, normal);
    if (under) return RmsNorm{under->x, *std::move(constant), under->epsilon};
  }
  return std::nullopt;
}

Match raise_norm(Context& c, const std::string& value) {
  const View& view = c.view;
  if (auto norm = match_rms_norm(view, value)) {
    Piece piece;
    piece.nodes.push_back(rms_node(view, *norm, value));
    piece.constants.push_back(std::move(norm->gain));
    return std::optional(std::move(piece));
  }
  std::optional<LayerNorm> norm = match_layer_norm(view, value);
  if (const Node* whole = view.standard(value, "LayerNormalization", 2)) {
    if (whole->outputs[0] != value ||
        !is_last_axis(whole->int_or("axis", -1), view.shape(whole->inputs[0])))
      return unsupported(*whole, "a norm over other axes than the last");
    norm = LayerNorm{whole->inputs[0], whole->inputs[1],
                     whole->inputs.size() > 2 ? whole->inputs[2] : std::string(),
                     double{whole->float_or("epsilon", 1e-5F)}};
  }
  if (!norm) return std::optional<Piece>();
  const int64_t width = view.width(norm->x);
  auto gain = view.vector(norm->gain, width);
  if (!gain) return unsupported(view, value, "the gain is no constant vector");
  Piece piece;
  std::vector<std::string> inputs = {view.rows(norm->x), gain->name()};
  piece.constants.push_back(*std::move(gain));
  if (!norm->bias.empty()) {
    auto bias = view.vector(norm->bias, width);
    if (!bias) return unsupported(view, value, "the bias is no constant vector");
    inputs.push_back(bias->name());
    piece.constants.push_back(*std::move(bias));
  }
  Node node = raised_node("LayerNormalization", std::move(inputs), value);
  node.domain.clear();
  node.attributes["axis"] = int64_t{-1};
  node.attributes["epsilon"] = static_cast<float>(norm->epsilon);
  piece.nodes.push_back(std::move(node));
  return std::optional(std::move(piece));
}

}  // namespace octavo::raise
