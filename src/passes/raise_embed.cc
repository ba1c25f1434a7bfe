// The rows of the token table, and what is added to them before the first layer.
//
//   Gather(words, input_ids) + Gather(types, token_type_ids) + Gather(places, positions)
//
// in any order, the last two optional. The table may be INT8 with a DequantizeLinear before or
// after the Gather. Texts have no second segment: of the types only row 0 is kept.

#include <algorithm>

#include "graph/raised_ops.h"
#include "passes/raise_parts.h"

namespace octavo::raise {

namespace {

constexpr size_t kMaxTerms = 8;

struct Table {
  Initializer values;
  std::optional<Initializer> scale, zero_point;
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

// DequantizeLinear's numbers: one for all, or by row of the table.
bool read_scale(const View& view, const Node& dequantize, Table& table) {
  const auto rows = table.values.shape()[0];
  const auto fits = [&](const std::optional<Initializer>& i) {
    const auto count = i ? element_count(i->shape()) : Result<int64_t>(0);
    return count && (*count == 1 || *count == rows);
  };
  table.scale = view.constant(dequantize.inputs[1]);
  if (!fits(table.scale)) return false;
  if (dequantize.inputs.size() < 3 || dequantize.inputs[2].empty()) return true;
  table.zero_point = view.constant(dequantize.inputs[2]);
  return fits(table.zero_point);
}

bool is_table(const std::optional<Initializer>& constant, bool quantized) {
  if (!constant || constant->shape().size() != 2) return false;
  const DType t = constant->dtype();
  return quantized ? t == DType::i8 || t == DType::u8
                   : t == DType::f32 || t == DType::f16 || t == DType::bf16;
}

// The table that a Gather (with a DequantizeLinear) reads, and its indices.
std::optional<Table> match_gather(const View& view, const std::string& value,
                                  std::string& indices) {
  const std::string at = view.rows(value);
  const Node* after = view.standard(at, "DequantizeLinear", 2);
  const Node* gather = view.standard(after == nullptr ? at : after->inputs[0], "Gather", 2);
  if (gather == nullptr || gather->int_or("axis", 0) != 0) return std::nullopt;
  indices = gather->inputs[1];
  const Node* before = view.standard(view.skip(gather->inputs[0]), "DequantizeLinear", 2);
  const Node* dequantize = after != nullptr ? after : before;
  if (after != nullptr && before != nullptr) return std::nullopt;
  const auto constant = view.constant(before != nullptr ? before->inputs[0] : gather->inputs[0]);
  if (!is_table(constant, dequantize != nullptr)) return std::nullopt;
  Table table{*constant, {}, {}};
  if (dequantize == nullptr) return table;
  if (!read_scale(view, *dequantize, table)) return std::nullopt;
  // After the Gather a scale by row would belong to the wrong axis; before it, axis 0 is the row.
  const bool scalar = table.scale->shape().empty() || table.scale->shape() == Shape{1};
  if (!scalar && (after != nullptr || dequantize->int_or("axis", 1) != 0)) return std::nullopt;
  return table;
}

bool all_zero(const Tensor& tensor) {
  if (!tensor.defined() || tensor.size() == 0) return false;
  for (int64_t i = 0; i < tensor.size(); ++i) {
    if (element(tensor, static_cast<size_t>(i)) != 0) return false;
  }
  return true;
}

// Row 0, as floats where it was quantized.
Initializer first_row(const Table& table) {
  Initializer row = take_rows(table.values, 0, 1);
  if (!table.scale) return row;
  const Shape shape = row.shape();
  return {row.name() + "/float", DType::f32, shape, [row, table]() -> Result<Tensor> {
            OCTAVO_TRY(const Tensor q, row.tensor());
            OCTAVO_TRY(const Tensor scale, table.scale->tensor());
            Tensor zero;
            if (table.zero_point) {
              OCTAVO_TRY(zero, table.zero_point->tensor());
            }
            OCTAVO_TRY(Tensor out, Tensor::make(DType::f32, q.shape()));
            const double offset = zero.defined() ? element(zero, 0) : 0;
            for (int64_t i = 0; i < q.size(); ++i)
              out.mutable_data<float>()[i] =
                  static_cast<float>(element(q, static_cast<size_t>(i)) - offset) *
                  static_cast<float>(element(scale, 0));
            return out;
          }};
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
      types = first_row(*table);
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
  give(words->values);
  give(types);
  inputs.emplace_back();
  if (!places.empty()) {
    OCTAVO_TRY(inputs.back(), c.positions.use(places, width));
  }
  give(words->scale);
  give(words->zero_point);
  while (inputs.back().empty()) inputs.pop_back();
  piece.nodes.push_back(raised_node(raised::kEmbed, std::move(inputs), value));
  return std::optional(std::move(piece));
}

}  // namespace octavo::raise
