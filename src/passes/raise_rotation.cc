// Rotary positions (arXiv 2104.09864, in the half-split form of transformers).
//
//   Add(Mul(x, cos), Mul(Concat(Neg(second half of x), first half of x), sin))
//
// halves by Split or by Slice, factors and terms in any order; the same on halves,
//
//   Concat(first * cos - second * sin, second * cos + first * sin)
//
// with cos and sin half as wide; and RotaryEmbedding(x, positions, cos table, sin table) of
// com.microsoft.

#include "passes/raise_parts.h"

namespace octavo::raise {

namespace {

// 0 or 1 when the value is that half of x along the last axis.
std::optional<int> half_of(const View& view, const std::string& value, const std::string& x) {
  const std::string at = view.skip(value);
  const int64_t width = view.width(x);
  if (width == 0 || view.width(at) * 2 != width) return std::nullopt;
  if (const Node* split = view.standard(at, "Split")) {
    if (view.skip(split->inputs[0]) != x || split->outputs.size() != 2) return std::nullopt;
    return split->outputs[1] == at ? 1 : 0;
  }
  const Node* slice = view.standard(at, "Slice", 3);
  if (slice == nullptr || view.skip(slice->inputs[0]) != x) return std::nullopt;
  const auto starts = view.integers(slice->inputs[1]);
  if (!starts || starts->size() != 1) return std::nullopt;
  const int64_t start = (*starts)[0];
  if (start == 0 || start == -width) return 0;
  if (start == width / 2 || start == width / 2 - width) return 1;
  return std::nullopt;
}

bool is_rotated_half(const View& view, const std::string& value, const std::string& x) {
  const Node* concat = view.standard(view.skip(value), "Concat", 2);
  if (concat == nullptr || concat->inputs.size() != 2 ||
      !is_last_axis(concat->int_or("axis", 0), view.shape(x)))
    return false;
  const Node* negative = view.standard(view.skip(concat->inputs[0]), "Neg");
  return negative != nullptr && half_of(view, negative->inputs[0], x) == 1 &&
         half_of(view, concat->inputs[1], x) == 0;
}

// a * b, the second by length.
struct Term {
  std::string x, by_length;
};
std::optional<Term> term_of(const View& view, const std::string& value) {
  const Node* mul = view.standard(view.skip(value), "Mul", 2);
  if (mul == nullptr) return std::nullopt;
  for (const auto& [x, other] : both_orders(*mul)) {
    if (view.varies(x) && view.by_length(other)) return Term{view.skip(x), view.skip(other)};
  }
  return std::nullopt;
}

// What a Split or Slice takes a half of.
std::string whole_of(const View& view, const std::string& half) {
  const Node* node = view.standard(half, "Split");
  if (node == nullptr) node = view.standard(half, "Slice", 3);
  return node == nullptr ? std::string() : view.skip(node->inputs[0]);
}

std::optional<Rotation> match_on_halves(const View& view, const std::string& value) {
  const Node* concat = view.standard(view.skip(value), "Concat", 2);
  if (concat == nullptr || concat->inputs.size() != 2 ||
      !is_last_axis(concat->int_or("axis", 0), view.shape(value)))
    return std::nullopt;
  const Node* low = view.standard(view.skip(concat->inputs[0]), "Sub", 2);
  const Node* high = view.standard(view.skip(concat->inputs[1]), "Add", 2);
  if (low == nullptr || high == nullptr) return std::nullopt;
  const auto first_cos = term_of(view, low->inputs[0]);
  const auto second_sin = term_of(view, low->inputs[1]);
  if (!first_cos || !second_sin) return std::nullopt;
  const std::string x = whole_of(view, first_cos->x);
  if (x.empty() || half_of(view, first_cos->x, x) != 0 || half_of(view, second_sin->x, x) != 1)
    return std::nullopt;
  for (const auto& [a, b] : both_orders(*high)) {
    const auto second_cos = term_of(view, a);
    const auto first_sin = term_of(view, b);
    if (second_cos && first_sin && second_cos->x == second_sin->x && first_sin->x == first_cos->x &&
        second_cos->by_length == first_cos->by_length &&
        first_sin->by_length == second_sin->by_length)
      return Rotation{x, first_cos->by_length, second_sin->by_length, false, {}};
  }
  return std::nullopt;
}

}  // namespace

std::optional<Rotation> match_rotation(const View& view, const std::string& value) {
  const Node* whole = view.contrib(view.skip(value), "RotaryEmbedding", 4);
  if (whole != nullptr && whole->int_or("interleaved", 0) == 0 &&
      whole->int_or("rotary_embedding_dim", 0) == 0)
    return Rotation{view.skip(whole->inputs[0]), whole->inputs[2], whole->inputs[3], true,
                    whole->inputs[1]};
  if (auto halves = match_on_halves(view, value)) return halves;
  const Node* add = view.standard(view.skip(value), "Add", 2);
  if (add == nullptr) return std::nullopt;
  for (const auto& [plain, turned] : both_orders(*add)) {
    const Node* first = view.standard(view.skip(plain), "Mul", 2);
    const Node* second = view.standard(view.skip(turned), "Mul", 2);
    if (first == nullptr || second == nullptr) return std::nullopt;
    for (const auto& [x, cos] : both_orders(*first)) {
      for (const auto& [rotated, sin] : both_orders(*second)) {
        const std::string base = view.skip(x);
        if (view.by_length(cos) && view.by_length(sin) && view.varies(base) &&
            is_rotated_half(view, rotated, base))
          return Rotation{base, cos, sin, false, {}};
      }
    }
  }
  return std::nullopt;
}

}  // namespace octavo::raise
