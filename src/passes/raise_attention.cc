// Attention, spelled out.
//
//   Reshape(Transpose(MatMul(Softmax(scale * MatMul(Q, K^T) + mask), V)))
//
// From each product of two computed values up to the masks, and to Q, K and V (raise_side.cc).

#include "passes/raise_parts.h"

namespace octavo::raise {

namespace {

struct Scores {
  std::string product;  // MatMul(Q, K^T)
  double scale = 1;
  std::vector<Mask> masks;
};

// From the input of the Softmax up to the product.
Result<Scores> climb_scores(const View& view, std::string at) {
  Scores s;
  for (int step = 0; step < kMaxSteps; ++step) {
    at = climb(view, std::move(at), s.scale);
    const Node* node = view.producer(at);
    if (node == nullptr) return unsupported(view, at, "attention scores are expected here");
    const Node* fused = view.contrib(at, "FusedMatMul", 2);
    if (fused != nullptr) s.scale *= double{fused->float_or("alpha", 1)};
    if (fused != nullptr || view.standard(at, "MatMul", 2) != nullptr) {
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
  return unsupported(view, at, "attention scores are expected here");
}

// From the weights of a product with V up to the Softmax; null: there is none.
const Node* softmax_of(const View& view, std::string at) {
  for (int step = 0; step < kMaxSteps; ++step) {
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
  return nullptr;
}

Result<Heads> count_heads(const View& view, const Node& scores, const Side& q, const Side& k) {
  const int64_t head_dim = view.width(scores.inputs[0]);
  const int64_t q_width = q.width;
  const int64_t kv_width = k.width;
  if (head_dim <= 0 || q_width % head_dim != 0 || kv_width % head_dim != 0 || kv_width == 0 ||
      (q_width / head_dim) % (kv_width / head_dim) != 0)
    return unsupported(scores, "the widths of query (" + std::to_string(q_width) + ") and key (" +
                                   std::to_string(kv_width) + ") do not divide into heads of " +
                                   std::to_string(head_dim));
  return Heads{q_width / head_dim, kv_width / head_dim, head_dim};
}

}  // namespace

Match raise_attention(Context& c, const std::string& value) {
  const View& view = c.view;
  std::string at = view.skip(value);
  for (int step = 0; step < kMaxSteps; ++step) {
    const std::string next = moved_from(view, at);
    if (next.empty()) break;
    at = view.skip(next);
  }
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
  OCTAVO_TRY(const Heads heads, count_heads(view, product, q, k));
  OCTAVO_TRY(const Sight sight, read_masks(view, scores.masks));
  return make_attention(c, value, q, k, v, heads, scores.scale, sight, {});
}

}  // namespace octavo::raise
