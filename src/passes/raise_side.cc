// Q, K and V of attention, from where they are multiplied up to the Linears that make them: through
// Transposes, Reshapes, the copies of grouped heads, factors, a norm by head and a rotation.
// Layouts are not followed: there is one sensible way, and the caller's probe tells when it was
// another.

#include <cmath>

#include "graph/raised_ops.h"
#include "passes/raise_parts.h"

namespace octavo::raise {

namespace {

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

// Gather of heads 0, 0, 1, 1, ...
bool copies_heads(const View& view, const Node& node) {
  if (node.op_type != "Gather" || node.inputs.size() != 2) return false;
  const auto heads = view.integers(node.inputs[1]);
  if (!heads || heads->size() < 2 || heads->back() < 0) return false;
  const auto count = static_cast<int64_t>(heads->size());
  const int64_t groups = heads->back() < count ? heads->back() + 1 : count;
  for (int64_t i = 0; i < count; ++i) {
    if ((*heads)[static_cast<size_t>(i)] != i / (count / groups)) return false;
  }
  return true;
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

Status add_rotation(Context& c, const Side& q, const Side& k, const Heads& heads,
                    std::vector<std::string>& inputs) {
  if (q.rotation.has_value() != k.rotation.has_value())
    return unsupported(c.view, q.linear, "only one of query and key is rotated");
  if (!q.rotation) {
    inputs.insert(inputs.end(), 2, std::string());
    return Done{};
  }
  const auto use = [&](const Rotation& r, const std::string& value) {
    return r.tables ? c.positions.use_table(value, r.places, heads.head_dim)
                    : c.positions.use(value, heads.head_dim);
  };
  OCTAVO_TRY(const std::string cos, use(*q.rotation, q.rotation->cos));
  OCTAVO_TRY(const std::string sin, use(*q.rotation, q.rotation->sin));
  OCTAVO_TRY(const std::string k_cos, use(*k.rotation, k.rotation->cos));
  OCTAVO_TRY(const std::string k_sin, use(*k.rotation, k.rotation->sin));
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

// Ops that move or copy numbers.
bool moves(const std::string& op) {
  return op == "Transpose" || op == "Reshape" || op == "Squeeze" || op == "Unsqueeze" ||
         op == "Expand" || op == "Tile" || op == "Flatten";
}

}  // namespace

// One step up through a node that moves or copies numbers; empty: none is there.
std::string moved_from(const View& view, const std::string& at) {
  const Node* node = view.producer(at);
  if (node == nullptr || !node->domain.empty() || node->inputs.empty()) return {};
  if (moves(node->op_type)) return node->inputs[0];
  if (copies_heads(view, *node)) return node->inputs[0];
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

std::string climb(const View& view, std::string at, double& scale) {
  for (int step = 0; step < kMaxSteps; ++step) {
    at = view.skip(at);
    std::string next = moved_from(view, at);
    if (next.empty()) next = scaled_from(view, at, scale);
    if (next.empty()) return at;
    at = std::move(next);
  }
  return at;
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
  side.width = view.width(side.linear);
  return side;
}

Match make_attention(Context& c, const std::string& value, const Side& q, const Side& k,
                     const Side& v, const Heads& heads, double scale, const Sight& sight,
                     Piece piece) {
  const View& view = c.view;
  if (v.rotation || v.norm || v.scale != 1)
    return unsupported(view, v.linear, "the values of attention are scaled, normed or rotated");
  if (v.width != k.width) return unsupported(view, v.linear, "key and value differ in width");
  std::vector<std::string> inputs = {q.output(), k.output(), v.output()};
  OCTAVO_CHECK(add_rotation(c, q, k, heads, inputs));
  OCTAVO_CHECK(add_norms(view, q, k, heads, piece, inputs));
  while (inputs.back().empty()) inputs.pop_back();
  Node node = raised_node(raised::kFusedAttention, std::move(inputs), value);
  node.attributes["heads"] = heads.heads;
  node.attributes["kv_heads"] = heads.kv_heads;
  node.attributes["head_dim"] = heads.head_dim;
  node.attributes["scale"] = static_cast<float>(scale * q.scale * k.scale);
  node.attributes["causal"] = int64_t{sight.causal ? 1 : 0};
  node.attributes["window"] = sight.window;
  if (q.norm || k.norm)
    node.attributes["epsilon"] = static_cast<float>((q.norm ? q.norm : k.norm)->epsilon);
  piece.nodes.push_back(std::move(node));
  return std::optional(std::move(piece));
}

}  // namespace octavo::raise
