// x + y, both computed from the tokens: the residual connections.

#include "passes/raise_parts.h"

namespace octavo::raise {

Match raise_residual(Context& c, const std::string& value) {
  const View& view = c.view;
  const Node* add = view.standard(value, "Add", 2);
  if (add == nullptr) return std::optional<Piece>();
  for (const auto& in : add->inputs) {
    if (!view.varies(in) || !view.is_rows(in))
      return unsupported(*add, "adds \"" + in + "\", which is no row for every token");
  }
  Node node = raised_node("Add", {view.rows(add->inputs[0]), view.rows(add->inputs[1])}, value);
  node.domain.clear();
  Piece piece;
  piece.nodes.push_back(std::move(node));
  return std::optional(std::move(piece));
}

}  // namespace octavo::raise
