// The rows of the token table, and what is added to them before the first layer.
//
//   Gather(words, input_ids) + Gather(types, token_type_ids) + Gather(places, positions)
//
// in any order, the last two optional. The table may be INT8 with a DequantizeLinear before or
// after the Gather, or with a scale a row: Cast(Gather(words, ids)) * Gather(scales, ids). Texts
// have no second segment: of the types only row 0 is kept.

#include <algorithm>

#include "graph/raised_ops.h"
#include "passes/raise_parts.h"

namespace octavo::raise {

namespace {

constexpr size_t kMaxTerms = 8;

struct Table {
  Initializer values;
  std::optional<Initializer> scale, zero_point;
  bool by_row = false;  // scale [V, 1]
};

// Up through what leaves indices as they are.
std::string indices_of(const View& view, const std::string& value) {
  std::string at = value;
  for (int step = 0; step < kMaxSteps; ++step) {
    const Node* node = view.producer(at);
    if (node == nullptr || !node->domain.empty() || node->inputs.empty()) return at;
    const auto& op = node->op_type;
    if (op != "Cast" && op != "Identity" && op != "Reshape" && op != "Unsqueeze" && op != "Squeeze")
      return at;
    at = node->inputs[0];
  }
  return at;
}

bool is_table(const std::optional<Initializer>& constant, bool quantized) {
  if (!constant || constant->shape().size() != 2) return false;
  const DType t = constant->dtype();
  return quantized ? t == DType::i8 || t == DType::u8
                   : t == DType::f32 || t == DType::f16 || t == DType::bf16;
}

// Cast(Gather(values, indices)) * Gather(scales, indices)
std::optional<Table> match_scaled_rows(const View& view, const std::string& value,
                                       std::string& indices) {
  const Node* mul = view.standard(value, "Mul", 2);
  if (mul == nullptr) return std::nullopt;
  for (const auto& [a, b] : both_orders(*mul)) {
    const Node* rows = view.standard(view.rows(a), "Gather", 2);  // behind the Cast
    const Node* scales = view.standard(view.rows(b), "Gather", 2);
    if (rows == nullptr || scales == nullptr || rows->int_or("axis", 0) != 0 ||
        scales->int_or("axis", 0) != 0 ||
        indices_of(view, rows->inputs[1]) != indices_of(view, scales->inputs[1]))
      continue;
    const auto values = view.constant(rows->inputs[0]);
    const auto scale = view.constant(scales->inputs[0]);
    if (!is_table(values, true) || values->dtype() != DType::i8 || !scale ||
        scale->dtype() != DType::f32 || scale->shape() != Shape{values->shape()[0], 1})
      continue;
    indices = rows->inputs[1];
    return Table{*values, scale, {}, true};
  }
  return std::nullopt;
}

// The table that a Gather (with a DequantizeLinear) reads, and its indices.
std::optional<Table> match_gather(const View& view, const std::string& value,
                                  std::string& indices) {
  const std::string at = view.rows(value);
  if (auto scaled = match_scaled_rows(view, at, indices)) return scaled;
  const Node* after = view.standard(at, "DequantizeLinear", 2);
  const Node* gather = view.standard(after == nullptr ? at : after->inputs[0], "Gather", 2);
  if (gather == nullptr || gather->int_or("axis", 0) != 0) return std::nullopt;
  indices = gather->inputs[1];
  if (after == nullptr) {
    auto whole = view.constant(gather->inputs[0]);
    if (!whole) whole = view.dequantized(view.skip(gather->inputs[0]));
    return is_table(whole, false) ? std::optional(Table{*whole, {}, {}}) : std::nullopt;
  }
  // Behind the Gather the rows have other numbers than in the table: one scale for all.
  const auto values = view.constant(gather->inputs[0]);
  const auto scale = view.constant(after->inputs[1]);
  const bool shifted = after->inputs.size() > 2 && !after->inputs[2].empty();
  auto zero = shifted ? view.constant(after->inputs[2]) : std::nullopt;
  const auto is_one = [](const std::optional<Initializer>& i) {
    const auto count = i ? element_count(i->shape()) : Result<int64_t>(0);
    return count && *count == 1;
  };
  if (!is_table(values, true) || !is_one(scale) || (shifted && !is_one(zero))) return std::nullopt;
  return Table{*values, scale, std::move(zero)};
}

bool all_zero(const Tensor& tensor) {
  if (!tensor.defined() || tensor.size() == 0) return false;
  for (int64_t i = 0; i < tensor.size(); ++i) {
    if (element(tensor, static_cast<size_t>(i)) != 0) return false;
  }
  return true;
}

// As floats, whatever they were.
Initializer floats(const Table& table) {
  if (!table.scale) return table.values;
  return dequantized(table.values.name() + "/float",
                     {table.values, *table.scale, table.zero_point, 0});
}

// The terms of a sum in which one depends on the ids at most; empty: it is no such sum.
std::vector<std::string> terms_of(const View& view, const std::string& value) {
  std::vector<std::string> terms;
  std::vector<std::string> open = {value};
  while (!open.empty()) {
    const std::string at = view.rows(open.back());
    open.pop_back();
    const Node* add = view.standard(at, "Add", 2);
    if (add == nullptr || view.by_length(at)) {
      terms.push_back(at);
    } else {
      open.push_back(add->inputs[0]);
      open.push_back(add->inputs[1]);
    }
    if (terms.size() + open.size() > kMaxTerms) return {};
  }
  return terms;
}

}  // namespace

Match raise_embed(Context& c, const std::string& value) {
  const View& view = c.view;
  const auto terms = terms_of(view, value);
  const auto is_words = [&](const std::string& term) {
    std::string indices;
    return match_gather(view, term, indices) && indices_of(view, indices) == raised::kInputIds;
  };
  const auto at = std::find_if(terms.begin(), terms.end(), is_words);
  if (at == terms.end()) return std::optional<Piece>();
  std::string ids;
  const auto words = match_gather(view, *at, ids);
  std::optional<Initializer> types;
  std::string places;
  for (const auto& term : terms) {
    if (&term == &*at) continue;
    std::string indices;
    const auto table = match_gather(view, term, indices);
    if (table && view.varies(indices))
      return unsupported(view, term,
                         "rows that values made of the tokens pick, such as positions that skip "
                         "padding");
    if (view.varies(term)) return std::optional<Piece>();
    if (table && ((view.depends(term) & kTypes) != 0 || all_zero(view.probed(indices)))) {
      if (types) return unsupported(view, term, "a second table of token types");
      types = take_rows(floats(*table), 0, 1);
    } else if (view.by_length(term)) {
      if (!places.empty()) return unsupported(view, term, "a second table of positions");
      places = term;
    } else {
      return unsupported(view, term, "added to the embeddings, and neither types nor positions");
    }
  }
  const int64_t width = words->values.shape()[1];
  Piece piece;
  std::vector<std::string> inputs = {std::string(raised::kInputIds)};
  const auto give = [&](std::optional<Initializer> constant) {
    inputs.push_back(constant ? constant->name() : std::string());
    if (constant) piece.constants.push_back(*std::move(constant));
  };
  if (types && types->shape()[1] != width)
    return unsupported(view, value, "the tables of words and types differ in width");
  // Another quantized table than one with a scale a row is gathered as floats.
  give(words->by_row ? words->values : floats(*words));
  give(types);
  inputs.emplace_back();
  if (!places.empty()) {
    OCTAVO_TRY(inputs.back(), c.positions.use(places, width));
  }
  if (words->by_row) give(words->scale);
  while (inputs.back().empty()) inputs.pop_back();
  piece.nodes.push_back(raised_node(raised::kEmbed, std::move(inputs), value));
  return std::optional(std::move(piece));
}

}  // namespace octavo::raise
