// Values by position: cos and sin of the rotation, the rows of a position table. The nodes that
// make them stay an ordinary graph, Raised::positions, that runs once for each new length.
//
//   before:  .. -> Cos -> Unsqueeze -> [1, 1, length, head_dim] -> Mul in every layer
//   after:   .. -> Cos -> Reshape [-1, head_dim], an output

#include <algorithm>
#include <cstring>
#include <unordered_set>

#include "graph/raised_ops.h"
#include "passes/raise_parts.h"

namespace octavo::raise {

namespace {

// Exporters write the same Unsqueeze again in every layer.
std::string canonical(const View& view, const std::string& value) {
  std::string at = value;
  while (true) {
    at = view.skip(at);
    const Node* node = view.producer(at);
    if (node == nullptr || !node->domain.empty() || node->inputs.empty()) return at;
    const auto& op = node->op_type;
    if (op != "Unsqueeze" && op != "Squeeze" && op != "Reshape") return at;
    const auto& before = node->inputs[0];
    if (view.width(before) != view.width(at)) return at;
    at = before;
  }
}

bool same_bytes(const Tensor& a, const Tensor& b) {
  return a.defined() && a.dtype() == b.dtype() && a.bytes().size() == b.bytes().size() &&
         std::memcmp(a.bytes().data(), b.bytes().data(), a.bytes().size()) == 0;
}

}  // namespace

Result<std::string> Positions::use(const std::string& value, int64_t width) {
  const std::string at = canonical(view_, value);
  const Shape* shape = view_.shape(at);
  const auto count = shape == nullptr ? Result<int64_t>(0) : element_count(*shape);
  if (!view_.by_length(at) || !count || *count != view_.length() * width ||
      view_.width(at) != width)
    return unsupported(view_, at,
                       "a value by position of shape " +
                           (shape == nullptr ? "unknown" : to_string(*shape)) + "; a row of " +
                           std::to_string(width) + " for each of " +
                           std::to_string(view_.length()) + " positions is expected");
  for (const PositionValue& known : values_) {
    if (known.width != width) continue;
    if (known.value == at || same_bytes(view_.probed(known.value), view_.probed(at)))
      return known.name;
  }
  values_.push_back({at + "/by_position", at, width});
  return values_.back().name;
}

Model Positions::model(const Model& original) const {
  Model model = original;
  Graph& graph = model.graph;
  graph.outputs.clear();
  graph.value_info.clear();
  graph.opaque.clear();
  std::unordered_set<std::string> needed;
  std::vector<std::string> open;
  for (const PositionValue& v : values_) open.push_back(v.value);
  while (!open.empty()) {
    const std::string value = std::move(open.back());
    open.pop_back();
    if (!needed.insert(value).second) continue;
    if (const Node* node = view_.producer(value))
      open.insert(open.end(), node->inputs.begin(), node->inputs.end());
  }
  std::erase_if(graph.nodes, [&](const Node& node) {
    return std::none_of(node.outputs.begin(), node.outputs.end(),
                        [&](const auto& out) { return needed.contains(out); });
  });
  std::erase_if(graph.initializers,
                [&](const Initializer& i) { return !needed.contains(i.name()); });
  std::erase_if(graph.inputs, [&](const ValueInfo& v) { return !needed.contains(v.name); });
  for (const PositionValue& v : values_) {
    const std::string cast = v.name + "/float";
    const std::string shape = v.name + "/shape";
    const auto f32 = static_cast<int64_t>(DType::f32);
    graph.initializers.emplace_back(shape, Tensor::of<int64_t>({2}, {-1, v.width}));
    graph.nodes.push_back({cast, "Cast", "", {v.value}, {cast}, {{"to", f32}}, {}});
    graph.nodes.push_back({v.name, "Reshape", "", {cast, shape}, {v.name}, {}, {}});
    graph.outputs.push_back({v.name, DType::f32, std::vector<Dim>{"length", v.width}, {}});
  }
  return model;
}

}  // namespace octavo::raise
