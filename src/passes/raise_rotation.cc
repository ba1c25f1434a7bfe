// Rotary positions (arXiv 2104.09864, in the half-split form of transformers).
//
//   Add(Mul(x, cos), Mul(Concat(Neg(second half of x), first half of x), sin))
//
// halves by Split or by Slice, factors and terms in any order.

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

}  // namespace

std::optional<Rotation> match_rotation(const View& view, const std::string& value) {
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
          return Rotation{base, cos, sin};
      }
    }
  }
  return std::nullopt;
}

}  // namespace octavo::raise
