#include <string>
#include <unordered_set>

#include "graph/graph.h"

namespace octavo {

namespace {

// Subgraphs (If, Loop) deeper than this are an attack, not a model: the deepest export we know
// has 3.
constexpr int kMaxDepth = 32;

using Names = std::unordered_set<std::string>;

Status check_graph(const Graph& graph, const Names& outer, int depth);

Status check_node(const Node& node, const Names& known, int depth) {
  if (node.op_type.empty()) return Error{Code::invalid_input, node.describe() + " has no op type"};
  for (const auto& in : node.inputs) {
    if (!in.empty() && !known.contains(in))
      return Error{Code::invalid_input,
                   node.describe() + " reads \"" + in + "\", which nothing before it makes"};
  }
  for (const auto& [key, value] : node.attributes) {
    if (const auto* sub = std::get_if<std::shared_ptr<Graph>>(&value))
      OCTAVO_CHECK(check_graph(**sub, known, depth + 1).within(node.describe() + ": " + key));
  }
  return Done{};
}

Status check_graph(const Graph& graph, const Names& outer, int depth) {
  if (depth > kMaxDepth)
    return Error{Code::unsupported,
                 "subgraphs are nested deeper than " + std::to_string(kMaxDepth)};
  Names known = outer;
  Names own;
  for (const auto& v : graph.inputs) {
    if (!own.insert(v.name).second)
      return Error{Code::invalid_input, "input \"" + v.name + "\" is declared twice"};
    known.insert(v.name);
  }
  Names constants;
  for (const auto& i : graph.initializers) {
    // IR < 4 lists every initializer among the inputs too; only two initializers of a name clash.
    if (!constants.insert(i.name()).second)
      return Error{Code::invalid_input, "initializer \"" + i.name() + "\" is defined twice"};
    own.insert(i.name());
    known.insert(i.name());
  }
  OCTAVO_TRY(const auto order, topological_order(graph));
  for (const size_t n : order) {
    const Node& node = graph.nodes[n];
    OCTAVO_CHECK(check_node(node, known, depth));
    for (const auto& out : node.outputs) {
      if (out.empty()) continue;
      if (!own.insert(out).second)
        return Error{Code::invalid_input,
                     node.describe() + " makes \"" + out + "\", which is already defined"};
      known.insert(out);
    }
  }
  for (const auto& v : graph.outputs) {
    if (!known.contains(v.name))
      return Error{Code::invalid_input, "output \"" + v.name + "\" is made by no node"};
  }
  return Done{};
}

}  // namespace

Status check(const Model& model) {
  if (model.opset_imports.empty())
    return Error{Code::invalid_input, "the model imports no opset (opset_import is empty)"};
  return check_graph(model.graph, {}, 0);
}

}  // namespace octavo
