// Attention, spelled out.
//
//   Reshape(Transpose(MatMul(Softmax(scale * MatMul(Q, K^T) + mask), V)))
//
// From each product of two computed values up: Q, K and V come from Linears through Transposes,
// Reshapes, the copies of grouped heads, factors, a norm by head and a rotation. Their layouts are
// not followed: there is one sensible way, and the caller's probe tells when it was another.

#include <cmath>
#include <set>

#include "graph/raised_ops.h"
#include "passes/raise_parts.h"

namespace octavo::raise {

namespace {

// One of Q, K, V on its way up.
struct Side {
  std::string linear;  // rows
  double scale = 1;
  std::optional<Rotation> rotation;
  std::optional<RmsNorm> norm;
};

bool is_empty(const View& view, const std::string& value) {
  const Shape* shape = view.shape(value);
  const auto count = shape == nullptr ? Result<int64_t>(1) : element_count(*shape);
  return count && *count == 0;
}

bool same_shape(const View& view, const std::string& a, const std::string& b) {
  const Shape* x = view.shape(a);
  const Shape* y = view.shape(b);
  return x != nullptr && y != nullptr && *x == *y;
}

// One step up through a node that moves or copies numbers; empty: none is there.
std::string moved_from(const View& view, const std::string& at) {
  static const std::set<std::string> kMoves = {"Transpose", "Reshape", "Squeeze", "Unsqueeze",
                                               "Expand",    "Tile",    "Flatten"};
  const Node* node = view.producer(at);
  if (node == nullptr || !node->domain.empty() || node->inputs.empty()) return {};
  if (kMoves.contains(node->op_type)) return node->inputs[0];
  if (node->op_type == "Slice" && same_shape(view, at, node->inputs[0])) return node->inputs[0];
  if (node->op_type == "Concat") {  // with an empty cache
    std::string only;
    for (const auto& in : node->inputs) {
      if (is_empty(view, in)) continue;
      if (!only.empty()) return {};
      only = in;
    }
    return only;
  }
  return {};
}

// One step up through a factor, which multiplies `scale`.
std::string scaled_from(const View& view, const std::string& at, double& scale) {
  if (const Node* mul = view.standard(at, "Mul", 2)) {
    for (const auto& [x, factor] : both_orders(*mul)) {
      const auto number = view.number(factor);
      if (!number || !view.varies(x)) continue;
      scale *= *number;
      return x;
    }
  }
  if (const Node* div = view.standard(at, "Div", 2)) {
    const auto number = view.number(div->inputs[1]);
    if (number && view.varies(div->inputs[0])) {
      scale /= *number;
      return div->inputs[0];
    }
  }
  return {};
}

std::string climb(const View& view, std::string at, double& scale) {
  while (true) {
    at = view.skip(at);
    std::string next = moved_from(view, at);
    if (next.empty()) next = scaled_from(view, at, scale);
    if (next.empty()) return at;
    at = std::move(next);
  }
}

Result<Side> climb_side(const View& view, const std::string& value) {
  Side side;
  double before_norm = 1;
  std::string at = climb(view, value, side.scale);
  side.rotation = match_rotation(view, at);
  if (side.rotation) at = climb(view, side.rotation->x, side.scale);
  side.norm = match_rms_norm(view, at);
  if (side.norm) at = climb(view, side.norm->x, before_norm);
  if (before_norm != 1) return unsupported(view, at, "a factor before the norm of the heads");
  if (!is_linear(view, at))
    return unsupported(view, at,
                       "an attention input comes from here; a product with a constant matrix was "
                       "expected, with at most a norm and a rotation of the heads after it");
  side.linear = view.rows(at);
  return side;
}

struct Scores {
  std::string product;  // MatMul(Q, K^T)
  double scale = 1;
  std::vector<Mask> masks;
};

// From the input of the Softmax up to the product.
Result<Scores> climb_scores(const View& view, std::string at) {
  Scores s;
  while (true) {
    at = climb(view, at, s.scale);
    const Node* node = view.producer(at);
    if (node == nullptr) return unsupported(view, at, "attention scores are expected here");
    if (view.standard(at, "MatMul", 2) != nullptr) {
      s.product = at;
      return s;
    }
    if (view.standard(at, "Add", 2) != nullptr) {
      const bool first = view.varies(node->inputs[0]);
      const auto& mask = node->inputs[first ? 1 : 0];
      if (view.varies(mask)) return unsupported(*node, "adds two computed values to scores");
      s.masks.push_back({mask, true, true});
      at = node->inputs[first ? 0 : 1];
    } else if (view.standard(at, "Where", 3) != nullptr && !view.varies(node->inputs[0])) {
      const bool first = view.varies(node->inputs[1]);
      s.masks.push_back({node->inputs[0], false, first});
      at = node->inputs[first ? 1 : 2];
    } else {
      return unsupported(*node, "no part of attention scores that is known");
    }
  }
}

// From the weights of a product with V up to the Softmax; null: there is none.
const Node* softmax_of(const View& view, std::string at) {
  while (true) {
    at = view.skip(at);
    const Node* node = view.producer(at);
    if (node == nullptr || !node->domain.empty()) return nullptr;
    if (node->op_type == "Softmax" && node->inputs.size() == 1) return node;
    // Where(IsNaN(p), 0, p): for rows that see nothing, of which an unpadded text has none.
    if (node->op_type == "Where" && node->inputs.size() == 3) {
      at = node->inputs[view.varies(node->inputs[1]) ? 1 : 2];
    } else if (const std::string moved = moved_from(view, at); !moved.empty()) {
      at = moved;
    } else {
      return nullptr;
    }
  }
}

struct Heads {
  int64_t heads, kv_heads, head_dim;
};

Result<Heads> count_heads(const View& view, const Node& scores, const Side& q, const Side& k,
                          const Side& v) {
  const int64_t head_dim = view.width(scores.inputs[0]);
  const int64_t q_width = view.width(q.linear);
  const int64_t kv_width = view.width(k.linear);
  if (head_dim <= 0 || q_width % head_dim != 0 || kv_width % head_dim != 0 || kv_width == 0 ||
      (q_width / head_dim) % (kv_width / head_dim) != 0)
    return unsupported(scores, "the widths of query (" + std::to_string(q_width) + ") and key (" +
                                   std::to_string(kv_width) + ") do not divide into heads of " +
                                   std::to_string(head_dim));
  if (view.width(v.linear) != kv_width) return unsupported(scores, "key and value differ in width");
  return Heads{q_width / head_dim, kv_width / head_dim, head_dim};
}

Status add_rotation(Context& c, const Side& q, const Side& k, const Heads& heads,
                    std::vector<std::string>& inputs) {
  if (q.rotation.has_value() != k.rotation.has_value())
    return unsupported(c.view, q.linear, "only one of query and key is rotated");
  if (!q.rotation) {
    inputs.insert(inputs.end(), 2, std::string());
    return Done{};
  }
  OCTAVO_TRY(const std::string cos, c.positions.use(q.rotation->cos, heads.head_dim));
  OCTAVO_TRY(const std::string sin, c.positions.use(q.rotation->sin, heads.head_dim));
  OCTAVO_TRY(const std::string k_cos, c.positions.use(k.rotation->cos, heads.head_dim));
  OCTAVO_TRY(const std::string k_sin, c.positions.use(k.rotation->sin, heads.head_dim));
  if (cos != k_cos || sin != k_sin)
    return unsupported(c.view, q.linear, "query and key are rotated by different angles");
  inputs.push_back(cos);
  inputs.push_back(sin);
  return Done{};
}

Status add_norms(const View& view, const Side& q, const Side& k, const Heads& heads, Piece& piece,
                 std::vector<std::string>& inputs) {
  for (const Side* side : {&q, &k}) {
    inputs.push_back(side->norm ? side->norm->gain.name() : std::string());
    if (!side->norm) continue;
    if (!view.vector(side->norm->gain.name(), heads.head_dim))
      return unsupported(view, side->linear, "a norm of more than a head");
    piece.constants.push_back(side->norm->gain);
  }
  if (q.norm && k.norm && q.norm->epsilon != k.norm->epsilon)
    return unsupported(view, q.linear, "the norms of query and key have different epsilons");
  return Done{};
}

}  // namespace

Match raise_attention(Context& c, const std::string& value) {
  const View& view = c.view;
  std::string at = view.skip(value);
  for (std::string next = at; !next.empty(); next = moved_from(view, at)) at = view.skip(next);
  const Node* mixed = view.standard(at, "MatMul", 2);
  if (mixed == nullptr || !view.varies(mixed->inputs[0]) || !view.varies(mixed->inputs[1]))
    return std::optional<Piece>();
  const Node* softmax = softmax_of(view, mixed->inputs[0]);
  if (softmax == nullptr)
    return unsupported(*mixed, "a product of two computed values whose first is no Softmax");
  if (!is_last_axis(softmax->int_or("axis", view.opset() < 13 ? 1 : -1),
                    view.shape(softmax->inputs[0])))
    return unsupported(*softmax, "not over the last axis");

  OCTAVO_TRY(const Scores scores, climb_scores(view, softmax->inputs[0]));
  const Node& product = *view.producer(scores.product);
  OCTAVO_TRY(const Side q, climb_side(view, product.inputs[0]));
  OCTAVO_TRY(const Side k, climb_side(view, product.inputs[1]));
  OCTAVO_TRY(const Side v, climb_side(view, mixed->inputs[1]));
  if (v.rotation || v.norm || v.scale != 1)
    return unsupported(*mixed, "the values of attention are scaled, normed or rotated");
  OCTAVO_TRY(const Heads heads, count_heads(view, product, q, k, v));
  OCTAVO_TRY(const Sight sight, read_masks(view, scores.masks));

  Piece piece;
  std::vector<std::string> inputs = {q.linear, k.linear, v.linear};
  OCTAVO_CHECK(add_rotation(c, q, k, heads, inputs));
  OCTAVO_CHECK(add_norms(view, q, k, heads, piece, inputs));
  while (inputs.back().empty()) inputs.pop_back();
  Node node = raised_node(raised::kFusedAttention, std::move(inputs), value);
  node.attributes["heads"] = heads.heads;
  node.attributes["kv_heads"] = heads.kv_heads;
  node.attributes["head_dim"] = heads.head_dim;
  node.attributes["scale"] = static_cast<float>(scores.scale * q.scale * k.scale);
  node.attributes["causal"] = int64_t{sight.causal ? 1 : 0};
  node.attributes["window"] = sight.window;
  if (q.norm || k.norm)
    node.attributes["epsilon"] = static_cast<float>((q.norm ? q.norm : k.norm)->epsilon);
  piece.nodes.push_back(std::move(node));
  return std::optional(std::move(piece));
}

}  // namespace octavo::raise
