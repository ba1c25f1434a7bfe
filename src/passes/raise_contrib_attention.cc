// The attention ops of com.microsoft.
//
//   MultiHeadAttention    (q, k, v, bias of all three, key padding, added mask, past ..)
//   GroupQueryAttention   (q, k, v, past .., seqlens, total, cos table, sin table), causal
//   Attention             (x, W of q, k and v side by side, bias, ..)

#include <cmath>

#include "graph/raised_ops.h"
#include "passes/raise_parts.h"

namespace octavo::raise {

namespace {

std::string input(const Node& node, size_t i) {
  return node.inputs.size() > i ? node.inputs[i] : std::string();
}

bool has_any(const View& view, const Node& node, size_t first, size_t last) {
  for (size_t i = first; i <= last; ++i) {
    const Shape* shape = view.shape(input(node, i));
    const auto count = shape == nullptr ? Result<int64_t>(1) : element_count(*shape);
    if (!input(node, i).empty() && (!count || *count != 0)) return true;
  }
  return false;
}

Result<Heads> heads_of(const Node& node, const Side& q, const Side& k, int64_t heads) {
  const int64_t q_width = q.width;
  const int64_t kv_width = k.width;
  const int64_t head_dim = heads > 0 && q_width % heads == 0 ? q_width / heads : 0;
  if (head_dim == 0 || kv_width % head_dim != 0 || heads % (kv_width / head_dim) != 0)
    return unsupported(node, "query (" + std::to_string(q_width) + ") and key (" +
                                 std::to_string(kv_width) + ") do not divide into " +
                                 std::to_string(heads) + " heads");
  return Heads{heads, kv_width / head_dim, head_dim};
}

double scale_of(const Node& node, int64_t head_dim) {
  const float scale = node.float_or("scale", 0);
  return scale != 0 ? double{scale} : 1 / std::sqrt(static_cast<double>(head_dim));
}

Match multi_head(Context& c, const Node& node, const std::string& value) {
  const View& view = c.view;
  if (input(node, 1).empty() || input(node, 2).empty())
    return unsupported(node, "query, key and value packed in one tensor");
  if (has_any(view, node, 6, 9)) return unsupported(node, "a cache that is not empty");
  if (!input(node, 4).empty() && !view.by_length(input(node, 4)))
    return unsupported(node, "a key padding mask that depends on the tokens");
  OCTAVO_TRY(Side q, climb_side(view, node.inputs[0]));
  OCTAVO_TRY(Side k, climb_side(view, node.inputs[1]));
  OCTAVO_TRY(Side v, climb_side(view, node.inputs[2]));
  Piece piece;
  if (!input(node, 3).empty()) {
    const int64_t width = q.width;
    const auto bias = view.vector(input(node, 3), 3 * width);
    if (!bias) return unsupported(node, "a bias that is no constant of query, key and value");
    int64_t at = 0;
    for (Side* side : {&q, &k, &v}) {
      if (side->rotation || side->norm || side->width != width)
        return unsupported(node, "a bias added after a norm or a rotation");
      OCTAVO_TRY(side->own, add_biased_linear(view, side->linear,
                                              take_elements(*bias, at, at + width), piece));
      at += width;
    }
  }
  OCTAVO_TRY(const Heads heads, heads_of(node, q, k, node.int_or("num_heads", 0)));
  Sight sight;
  if (!input(node, 5).empty()) {
    if (view.varies(input(node, 5))) return unsupported(node, "a bias that depends on the tokens");
    OCTAVO_TRY(sight, read_masks(view, {{input(node, 5), true, true}}));
  }
  if (node.int_or("unidirectional", 0) != 0) sight.causal = true;
  return make_attention(c, value, q, k, v, heads, scale_of(node, heads.head_dim), sight,
                        std::move(piece));
}

struct Sides {
  Side q, k, v;
};

// Query, key and value side by side in one product: a Linear for each.
Result<Sides> cut_sides(const View& view, const Node& node, const std::string& value,
                        const Linear& whole, const Heads& heads, Piece& piece) {
  Sides sides;
  int64_t at = 0;
  for (Side* side : {&sides.q, &sides.k, &sides.v}) {
    side->width = (side == &sides.q ? heads.heads : heads.kv_heads) * heads.head_dim;
    auto part = take_columns(whole, at, at + side->width);
    if (!part) return unsupported(node, "weights that cannot be cut into query, key and value");
    at += side->width;
    side->own = value + "/" + std::to_string(at);
    add_linear(view, *std::move(part), side->own, piece);
  }
  return sides;
}

Match grouped(Context& c, const Node& node, const std::string& value) {
  const View& view = c.view;
  if (has_any(view, node, 3, 4)) return unsupported(node, "a cache that is not empty");
  if (has_any(view, node, 10, 16) || node.float_or("softcap", 0) != 0 ||
      node.int_or("smooth_softmax", 0) > 0 || node.int_or("rotary_interleaved", 0) != 0)
    return unsupported(node,
                       "an added bias, head sinks, a soft cap, norms inside or interleaved "
                       "rotation");
  Heads heads{node.int_or("num_heads", 0), node.int_or("kv_num_heads", 0), 0};
  if (heads.heads <= 0 || heads.kv_heads <= 0 || heads.heads > 65536 ||
      heads.heads % heads.kv_heads != 0)
    return unsupported(node, "num_heads is no multiple of kv_num_heads");
  Piece piece;
  Sides sides;
  if (input(node, 1).empty() && input(node, 2).empty()) {
    const auto whole = match_linear(view, node.inputs[0]);
    const int64_t all = heads.heads + 2 * heads.kv_heads;
    if (!whole || whole->n % all != 0)
      return unsupported(node, "a packed input that is no product of fitting width");
    heads.head_dim = whole->n / all;
    OCTAVO_TRY(sides, cut_sides(view, node, value, *whole, heads, piece));
  } else {
    OCTAVO_TRY(sides.q, climb_side(view, node.inputs[0]));
    OCTAVO_TRY(sides.k, climb_side(view, input(node, 1)));
    OCTAVO_TRY(sides.v, climb_side(view, input(node, 2)));
    OCTAVO_TRY(const Heads counted, heads_of(node, sides.q, sides.k, heads.heads));
    if (counted.kv_heads != heads.kv_heads)
      return unsupported(node, "kv_num_heads does not fit the key");
    heads = counted;
  }
  if (node.int_or("do_rotary", 0) != 0) {
    if (sides.q.rotation || sides.k.rotation) return unsupported(node, "a second rotation");
    const Rotation inside{{}, input(node, 7), input(node, 8), true, input(node, 9)};
    sides.q.rotation = sides.k.rotation = inside;
  }
  Sight sight{.causal = node.int_or("causal", 1) != 0};
  const int64_t window = node.int_or("local_window_size", -1);
  if (window == 0 || (window > 0 && !sight.causal))
    return unsupported(node, "a window that is not causal, or of nothing");
  sight.window = window > 0 ? window : 0;
  return make_attention(c, value, sides.q, sides.k, sides.v, heads, scale_of(node, heads.head_dim),
                        sight, std::move(piece));
}

// The projection is inside: three Linears of a third of the columns each.
Match packed(Context& c, const Node& node, const std::string& value) {
  const View& view = c.view;
  auto weight = view.matrix(input(node, 1));
  const auto bias = weight ? view.vector(input(node, 2), weight->columns()) : std::nullopt;
  if (!weight || weight->transposed || weight->columns() % 3 != 0 ||
      !is_float(weight->constant.dtype()) || (!input(node, 2).empty() && !bias))
    return unsupported(node, "weights that are no constant float matrix of three equal parts");
  if (has_any(view, node, 4, 6) || node.int_or("do_rotary", 0) != 0 || node.has("qkv_hidden_sizes"))
    return unsupported(node, "a cache, an added bias, rotation, or parts of different sizes");
  if (!input(node, 3).empty() && !view.by_length(input(node, 3)))
    return unsupported(node, "a mask that depends on the tokens");
  Linear whole;
  whole.x = node.inputs[0];
  whole.kind = raised::kFloat;
  whole.k = weight->rows();
  whole.n = weight->columns();
  whole.weight = weight->constant;
  whole.bias = bias;
  const int64_t count = node.int_or("num_heads", 0);
  if (count <= 0 || whole.n % (3 * count) != 0)
    return unsupported(node, "num_heads does not divide the width");
  const Heads heads{count, count, whole.n / (3 * count)};
  Piece piece;
  OCTAVO_TRY(const Sides sides, cut_sides(view, node, value, whole, heads, piece));
  const Sight sight{.causal = node.int_or("unidirectional", 0) != 0};
  return make_attention(c, value, sides.q, sides.k, sides.v, heads, scale_of(node, heads.head_dim),
                        sight, std::move(piece));
}

}  // namespace

Match raise_contrib_attention(Context& c, const std::string& value) {
  const View& view = c.view;
  const Node* node = view.producer(view.skip(value));
  if (node == nullptr || node->domain != "com.microsoft" || node->inputs.empty() ||
      node->outputs[0] != view.skip(value))
    return std::optional<Piece>();
  if (node->op_type == "MultiHeadAttention") return multi_head(c, *node, value);
  if (node->op_type == "GroupQueryAttention") return grouped(c, *node, value);
  if (node->op_type == "Attention") return packed(c, *node, value);
  return std::optional<Piece>();
}

}  // namespace octavo::raise
