// Norms of com.microsoft that add before they normalise.
//
//   SkipLayerNormalization(x, skip, gain, bias, added)        LayerNorm(x + skip + added)
//   SkipSimplifiedLayerNormalization(x, skip, gain, added)    RMSNorm(x + skip + added)
//   output 3 of both                                          x + skip + added
//   EmbedLayerNormalization(ids, types, words, places, types table, gain, bias)
//                                                             LayerNorm of the three rows' sum

#include "graph/raised_ops.h"
#include "passes/raise_parts.h"

namespace octavo::raise {

namespace {

std::string input(const Node& node, size_t i) {
  return node.inputs.size() > i ? node.inputs[i] : std::string();
}
std::string output(const Node& node, size_t i) {
  return node.outputs.size() > i ? node.outputs[i] : std::string();
}

// x + skip + added, as nodes that make `name`.
Status add_sum(const View& view, const Node& node, const std::string& added,
               const std::string& name, Piece& piece) {
  std::string x = view.rows(node.inputs[0]);
  std::string skip = view.rows(node.inputs[1]);
  for (const auto& in : {x, skip}) {
    if (!view.varies(in) || !view.is_rows(in))
      return unsupported(node, "adds \"" + in + "\", which is no row for every token");
  }
  if (!added.empty()) {
    const auto bias = view.vector(added, view.width(x));
    if (!bias) return unsupported(node, "a bias that is no constant vector");
    // One of the two is the product that the optimizer took the bias of.
    std::string& side = is_linear(view, x) ? x : skip;
    OCTAVO_TRY(side, add_biased_linear(view, side, *bias, piece));
  }
  Node add = raised_node("Add", {x, skip}, name);
  add.domain.clear();
  piece.nodes.push_back(std::move(add));
  return Done{};
}

Status add_norm(const View& view, const Node& node, const std::string& x, const std::string& gain,
                const std::string& bias, bool simplified, const std::string& value, Piece& piece) {
  const int64_t width = view.width(node.outputs[0]);
  std::vector<std::string> inputs = {x};
  for (const auto& name : {gain, bias}) {
    if (name.empty()) continue;
    auto constant = view.vector(name, width);
    if (!constant) return unsupported(node, "a gain or bias that is no constant vector");
    inputs.push_back(constant->name());
    piece.constants.push_back(*std::move(constant));
  }
  Node norm = raised_node(simplified ? raised::kRmsNorm : "LayerNormalization", inputs, value);
  if (!simplified) {
    norm.domain.clear();
    norm.attributes["axis"] = int64_t{-1};
  }
  norm.attributes["epsilon"] = node.float_or("epsilon", 1e-12F);
  piece.nodes.push_back(std::move(norm));
  return Done{};
}

Match skip_norm(const View& view, const Node& node, const std::string& value) {
  const bool simplified = node.op_type == "SkipSimplifiedLayerNormalization";
  if (node.inputs.size() < 3) return unsupported(node, "too few inputs");
  const std::string added = input(node, simplified ? 3 : 4);
  Piece piece;
  if (value == output(node, 3)) {
    OCTAVO_CHECK(add_sum(view, node, added, value, piece));
    return std::optional(std::move(piece));
  }
  if (value != node.outputs[0]) return unsupported(node, "an output of training");
  std::string sum = output(node, 3);  // raised on its own
  if (sum.empty()) {
    sum = value + "/sum";
    OCTAVO_CHECK(add_sum(view, node, added, sum, piece));
  }
  OCTAVO_CHECK(add_norm(view, node, sum, node.inputs[2],
                        simplified ? std::string() : input(node, 3), simplified, value, piece));
  return std::optional(std::move(piece));
}

// ids, types, words, places, types table, gain, bias, mask, position ids
Match embed_norm(Context& c, const Node& node, const std::string& value) {
  const View& view = c.view;
  if (value != node.outputs[0] || node.inputs.size() < 7)
    return unsupported(node, "an output other than the norm");
  const auto words = view.matrix(node.inputs[2]);
  const auto types = input(node, 4).empty() ? std::nullopt : view.matrix(input(node, 4));
  std::string ids = node.inputs[0];
  if (const Node* cast = view.standard(ids, "Cast")) ids = cast->inputs[0];
  if (!words || words->transposed || ids != raised::kInputIds ||
      (!input(node, 4).empty() && (!types || types->transposed)))
    return unsupported(node, "tables that are no constant matrices, or ids that are not the input");
  Piece piece;
  std::vector<std::string> inputs = {ids, words->constant.name(), "", ""};
  piece.constants.push_back(words->constant);
  if (types) {
    Initializer row = take_rows(types->constant, 0, 1);
    inputs[2] = row.name();
    piece.constants.push_back(std::move(row));
  }
  OCTAVO_TRY(inputs[3], c.positions.use_table(node.inputs[3], input(node, 8), words->columns()));
  const std::string sum = value + "/sum";
  piece.nodes.push_back(raised_node(raised::kEmbed, std::move(inputs), sum));
  OCTAVO_CHECK(add_norm(view, node, sum, node.inputs[5], node.inputs[6], false, value, piece));
  return std::optional(std::move(piece));
}

}  // namespace

Match raise_contrib_norm(Context& c, const std::string& value) {
  const Node* node = c.view.producer(value);
  if (node == nullptr || node->domain != "com.microsoft") return std::optional<Piece>();
  if (node->op_type == "EmbedLayerNormalization") return embed_norm(c, *node, value);
  if (node->op_type == "SkipLayerNormalization" ||
      node->op_type == "SkipSimplifiedLayerNormalization")
    return skip_norm(c.view, *node, value);
  return std::optional<Piece>();
}

}  // namespace octavo::raise
