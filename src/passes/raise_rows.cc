// Integer products with a scale a row, in the ops that passes/quantize_rows.h lists:
//
//   (Cast(MatMulInteger(q, W, 0, 0) - Cast(zero) * column_sums)) * (scale * W_scale)
//   column_sums: a constant, or MatMulInteger(ones, W)
//   16 bits: q and zero have their high and their low bytes along a new first axis, and the product
//   of the bytes is (256 * Gather(sums, 0) + Gather(sums, 1)) * (scale * W_scale)
//
// The chain from X to q is followed in that one spelling, in any order of commuting operands.
// Whether the sums are those of W shows in the check of the raised model's numbers.

#include "graph/raised_ops.h"
#include "passes/raise_parts.h"

namespace octavo::raise {

namespace {

// How passes/quantize_rows.h makes the numbers of one row.
struct Rows {
  std::string x, scale, zero;
};

bool is_number(const View& view, const std::string& value, double wanted) {
  const auto number = view.number(value);
  return number && *number == wanted;
}

// The other operand of a node that has a number as one of its two.
std::string beside_number(const View& view, const Node* node, double wanted) {
  if (node == nullptr) return {};
  for (const auto& [value, number] : both_orders(*node))
    if (is_number(view, number, wanted)) return value;
  return {};
}

// X when `value` is Min(ReduceMin(X), 0), or Max and ReduceMax, along the last axis.
std::string reduced(const View& view, const std::string& value, const char* op,
                    const char* reduction) {
  const std::string at = beside_number(view, view.standard(value, op, 2), 0);
  const Node* node = view.standard(at, reduction);
  if (node == nullptr || node->int_or("keepdims", 1) != 1) return {};
  const auto axes = view.axes(*node);
  if (!axes || axes->size() != 1 || !is_last_axis((*axes)[0], view.shape(node->inputs[0])))
    return {};
  return node->inputs[0];
}

// The scale of rows of X and the zero point that belongs to it, for numbers up to `top`.
bool scale_fits(const View& view, const Rows& rows, double top) {
  const Node* where = view.standard(rows.scale, "Where", 3);
  if (where == nullptr || !is_number(view, where->inputs[1], 1)) return false;
  const Node* tiny = view.standard(where->inputs[0], "Less", 2);
  const Node* step = view.standard(where->inputs[2], "Div", 2);
  if (tiny == nullptr || step == nullptr || tiny->inputs[0] != step->inputs[0] ||
      !is_number(view, step->inputs[1], top))
    return false;
  const Node* range = view.standard(step->inputs[0], "Sub", 2);
  if (range == nullptr || reduced(view, range->inputs[0], "Max", "ReduceMax") != rows.x ||
      reduced(view, range->inputs[1], "Min", "ReduceMin") != rows.x)
    return false;
  const Node* round = view.standard(rows.zero, "Round");
  const Node* offset = round == nullptr ? nullptr : view.standard(round->inputs[0], "Div", 2);
  const Node* depth = offset == nullptr ? nullptr : view.standard(offset->inputs[0], "Neg");
  return depth != nullptr && offset->inputs[1] == rows.scale &&
         depth->inputs[0] == range->inputs[1];
}

// Clip(Round(X * (1 / scale)) + zero, 0, top) behind `q`.
std::optional<Rows> quantized_rows(const View& view, const std::string& q, const std::string& zero,
                                   double top) {
  const Node* clip = view.standard(q, "Clip", 3);
  if (clip == nullptr || !is_number(view, clip->inputs[1], 0) ||
      !is_number(view, clip->inputs[2], top))
    return std::nullopt;
  const Node* add = view.standard(clip->inputs[0], "Add", 2);
  if (add == nullptr) return std::nullopt;
  for (const auto& [rounded, offset] : both_orders(*add)) {
    const Node* round = view.standard(rounded, "Round");
    const Node* scaled =
        round == nullptr || offset != zero ? nullptr : view.standard(round->inputs[0], "Mul", 2);
    if (scaled == nullptr) continue;
    for (const auto& [x, inverse] : both_orders(*scaled)) {
      const Node* one = view.standard(inverse, "Div", 2);
      if (one == nullptr || !is_number(view, one->inputs[0], 1)) continue;
      Rows rows{x, one->inputs[1], zero};
      if (scale_fits(view, rows, top)) return rows;
    }
  }
  return std::nullopt;
}

std::string cast_from(const View& view, const std::string& value, DType type) {
  const Node* cast = view.standard(value, "Cast");
  const bool fits = cast != nullptr && cast->int_or("to", 0) == static_cast<int64_t>(type);
  return fits ? cast->inputs[0] : std::string();
}

// Whether they can be the sums of the weight's columns: numbers, or a row of ones times it.
bool is_sums(const View& view, const std::string& sums, const std::string& weight) {
  if (view.vector(sums, 0)) return true;
  const Node* product = view.standard(sums, "MatMulInteger", 2);
  return product != nullptr && product->inputs.size() == 2 && product->inputs[1] == weight &&
         view.constant(product->inputs[0]).has_value();
}

// MatMulInteger(q, W) - Cast(zero) * column_sums, as floats.
struct Sums {
  std::string q, zero, weight;
};
std::optional<Sums> shifted_sums(const View& view, const std::string& value) {
  const Node* sub = view.standard(cast_from(view, value, DType::f32), "Sub", 2);
  if (sub == nullptr) return std::nullopt;
  const Node* product = view.standard(sub->inputs[0], "MatMulInteger", 2);
  const Node* shift = view.standard(sub->inputs[1], "Mul", 2);
  if (product == nullptr || shift == nullptr) return std::nullopt;
  for (size_t i = 2; i < product->inputs.size(); ++i)
    if (!product->inputs[i].empty() && !is_number(view, product->inputs[i], 0)) return std::nullopt;
  for (const auto& [offset, column_sums] : both_orders(*shift)) {
    if (is_sums(view, column_sums, product->inputs[1]))
      return Sums{product->inputs[0], offset, product->inputs[1]};
  }
  return std::nullopt;
}

std::optional<Sums> narrow_sums(const View& view, const std::string& value) {
  auto s = shifted_sums(view, value);
  if (!s) return std::nullopt;
  s->q = cast_from(view, s->q, DType::u8);
  s->zero = cast_from(view, s->zero, DType::i32);
  return s->q.empty() || s->zero.empty() ? std::nullopt : s;
}

// q when the bytes are high = Floor(q / 256) and low = q - 256 high, behind each other.
std::string joined(const View& view, const std::string& bytes, DType type) {
  const Node* concat = view.standard(bytes, "Concat", 2);
  if (concat == nullptr || concat->inputs.size() != 2 || concat->int_or("axis", -1) != 0) return {};
  std::string byte[2];
  for (size_t i = 0; i < 2; ++i) {
    const Node* stacked = view.standard(concat->inputs[i], "Unsqueeze");
    if (stacked == nullptr || view.axes(*stacked) != std::vector<int64_t>{0}) return {};
    byte[i] = cast_from(view, stacked->inputs[0], type);
  }
  const Node* floor = view.standard(byte[0], "Floor");
  const Node* parts = floor == nullptr ? nullptr : view.standard(floor->inputs[0], "Div", 2);
  const Node* rest = view.standard(byte[1], "Sub", 2);
  if (parts == nullptr || rest == nullptr || !is_number(view, parts->inputs[1], 256) ||
      rest->inputs[0] != parts->inputs[0])
    return {};
  const bool fits = beside_number(view, view.standard(rest->inputs[1], "Mul", 2), 256) == byte[0];
  return fits ? parts->inputs[0] : std::string();
}

// What Gather takes `at` of along the first axis.
std::string taken_from(const View& view, const std::string& value, double at) {
  const Node* gather = view.standard(value, "Gather", 2);
  if (gather == nullptr || gather->int_or("axis", 0) != 0) return {};
  const auto index = view.constant(gather->inputs[1]);  // of no axes: Gather removes the first one
  if (!index || !index->shape().empty() || !is_number(view, gather->inputs[1], at)) return {};
  return gather->inputs[0];
}

std::optional<Sums> wide_sums(const View& view, const std::string& value) {
  const Node* add = view.standard(value, "Add", 2);
  if (add == nullptr) return std::nullopt;
  for (const auto& [raised, lower] : both_orders(*add)) {
    const std::string both =
        taken_from(view, beside_number(view, view.standard(raised, "Mul", 2), 256), 0);
    if (both.empty() || taken_from(view, lower, 1) != both) continue;
    auto s = shifted_sums(view, both);
    if (!s) continue;
    s->q = joined(view, s->q, DType::u8);
    s->zero = joined(view, s->zero, DType::i32);
    if (!s->q.empty() && !s->zero.empty()) return s;
  }
  return std::nullopt;
}

}  // namespace

std::optional<Linear> match_row_product(const View& view, const std::string& value) {
  std::vector<std::string> factors;
  factors_of(view, value, 2, factors);
  if (factors.size() != 3) return std::nullopt;
  for (const auto& f : factors) {
    auto sums = narrow_sums(view, f);
    const bool wide = !sums;
    if (wide) sums = wide_sums(view, f);
    const auto rows =
        sums ? quantized_rows(view, sums->q, sums->zero, wide ? 65535 : 255) : std::nullopt;
    if (!rows) continue;
    auto p = integer_weights(view, rows->x, sums->weight, "");
    if (!p) return std::nullopt;
    bool input_scale = false;
    for (const auto& g : factors) {
      if (g == rows->scale) {
        input_scale = true;
      } else if (auto scale = by_column(view, g, p->n)) {
        p->scale = std::move(scale);
      }
    }
    p->scales = wide ? raised::kPerRow16 : raised::kPerRow;
    return input_scale && p->scale ? p : std::nullopt;
  }
  return std::nullopt;
}

}  // namespace octavo::raise
