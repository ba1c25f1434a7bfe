// BiasGelu(x, bias) and FastGelu(x, bias) of com.microsoft: the bias is that of the Linear before.

#include "passes/raise_parts.h"

namespace octavo::raise {

Match raise_contrib_gelu(Context& c, const std::string& value) {
  const View& view = c.view;
  const Node* node = view.contrib(value, "BiasGelu", 2);
  const bool tanh = node == nullptr;
  if (tanh) node = view.contrib(value, "FastGelu", 2);
  if (node == nullptr || node->inputs[1].empty()) return std::optional<Piece>();
  const auto bias = view.vector(node->inputs[1], view.width(value));
  if (!bias) return unsupported(*node, "a bias that is no constant vector");
  Piece piece;
  OCTAVO_TRY(const std::string x, add_biased_linear(view, node->inputs[0], *bias, piece));
  Node gelu = raised_node("Gelu", {x}, value);
  gelu.domain.clear();
  gelu.attributes["approximate"] = std::string(tanh ? "tanh" : "none");
  piece.nodes.push_back(std::move(gelu));
  return std::optional(std::move(piece));
}

}  // namespace octavo::raise
