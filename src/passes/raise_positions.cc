// Values by position: cos and sin of the rotation, the rows of a position table. The nodes that
// make them stay an ordinary graph, Raised::positions, that runs once for each new length.
//
//   before:  .. -> Cos -> Unsqueeze -> [1, 1, length, head_dim] -> Mul in every layer
//   after:   .. -> Cos -> Reshape [-1, head_dim], an output

#include <algorithm>
#include <cstring>
#include <unordered_set>

#include "graph/builder.h"
#include "graph/raised_ops.h"
#include "passes/raise_parts.h"

namespace octavo::raise {

namespace {

// Exporters write the same Unsqueeze again in every layer.
std::string canonical(const View& view, const std::string& value) {
  std::string at = value;
  for (int step = 0; step < kMaxSteps; ++step) {
    at = view.skip(at);
    const Node* node = view.producer(at);
    if (node == nullptr || !node->domain.empty() || node->inputs.empty()) return at;
    const auto& op = node->op_type;
    if (op != "Unsqueeze" && op != "Squeeze" && op != "Reshape") return at;
    const auto& before = node->inputs[0];
    if (view.width(before) != view.width(at)) return at;
    at = before;
  }
  return at;
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
  const int64_t own = view_.width(at);
  const bool twice = own > 0 && width % 2 == 0 && own == width / 2;
  if (!view_.by_length(at) || !count || *count != view_.length() * own || (own != width && !twice))
    return unsupported(view_, at,
                       "a value by position of shape " +
                           (shape == nullptr ? "unknown" : to_string(*shape)) + "; a row of " +
                           std::to_string(width) + " for each of " +
                           std::to_string(view_.length()) + " positions is expected");
  for (size_t i = 0; i < values_.size(); ++i) {
    if (values_[i].width != width || sources_[i].twice != twice || sources_[i].table) continue;
    if (values_[i].value == at || same_bytes(view_.probed(values_[i].value), view_.probed(at)))
      return values_[i].name;
  }
  values_.push_back({at + "/by_position", at, width});
  sources_.push_back({.table = false, .places = {}, .twice = twice});
  return values_.back().name;
}

Result<std::string> Positions::use_table(const std::string& table, const std::string& places,
                                         int64_t width) {
  const auto constant = view_.constant(table);
  if (!constant || constant->shape().size() != 2)
    return unsupported(view_, table, "a table by position that is no constant matrix");
  const int64_t own = constant->shape()[1];
  const bool twice = own > 0 && width % 2 == 0 && own == width / 2;
  if (own != width && !twice)
    return unsupported(view_, table,
                       "a table by position with rows of " + std::to_string(own) + ", not " +
                           std::to_string(width));
  Source source{.table = true, .places = places, .twice = twice};
  if (!places.empty()) {
    const Shape* shape = view_.shape(places);
    const auto count = shape == nullptr ? Result<int64_t>(0) : element_count(*shape);
    if (!view_.by_length(places) || !count || (*count != view_.length() && *count != 1))
      return unsupported(view_, places, "these are not the positions of a text");
    if (*count == 1) source.places.clear();  // the first position: texts start at 0
  }
  for (size_t i = 0; i < values_.size(); ++i) {
    if (values_[i].value == table && values_[i].width == width &&
        sources_[i].places == source.places)
      return values_[i].name;
  }
  std::string name = table + "/by_position";
  const auto clashes = std::count_if(values_.begin(), values_.end(),
                                     [&](const auto& v) { return v.value == table; });
  if (clashes != 0) name += "_" + std::to_string(clashes);
  values_.push_back({name, table, width});
  sources_.push_back(std::move(source));
  return values_.back().name;
}

void Positions::add_nodes(Graph& graph, size_t i, const std::string& length) const {
  const PositionValue& v = values_[i];
  std::string at = v.value;
  const auto op = [&](const char* type, std::vector<std::string> inputs, Attributes attributes) {
    const std::string out = v.name + "/" + type;
    graph.nodes.push_back({out, type, "", std::move(inputs), {out}, std::move(attributes), {}});
    at = out;
  };
  const auto ints = [&](const char* what, const std::vector<int64_t>& values) {
    std::string name = v.name + "/" + what;
    graph.initializers.emplace_back(
        name, Tensor::of<int64_t>({static_cast<int64_t>(values.size())}, values));
    return name;
  };
  if (sources_[i].table && !sources_[i].places.empty()) {
    op("Gather", {at, sources_[i].places}, {{"axis", int64_t{0}}});
  } else if (sources_[i].table) {
    const std::string zero = ints("zero", {0});
    op("Slice", {at, zero, length, zero}, {});
  }
  op("Cast", {at}, {{"to", static_cast<int64_t>(DType::f32)}});
  if (sources_[i].twice) op("Concat", {at, at}, {{"axis", int64_t{-1}}});
  const std::string shape = ints("shape", {-1, v.width});
  graph.nodes.push_back({v.name, "Reshape", "", {at, shape}, {v.name}, {}, {}});
  graph.outputs.push_back({v.name, DType::f32, std::vector<Dim>{"length", v.width}, {}});
}

Model Positions::model(const Model& original) const {
  Model model = original;
  Graph& graph = model.graph;
  graph.outputs.clear();
  graph.value_info.clear();
  graph.opaque.clear();
  std::unordered_set<std::string> needed;
  std::vector<std::string> open;
  bool needs_length = false;
  for (size_t i = 0; i < values_.size(); ++i) {
    open.push_back(values_[i].value);
    if (!sources_[i].table) continue;
    if (sources_[i].places.empty()) needs_length = true;
    open.push_back(sources_[i].places);
  }
  if (needs_length) open.emplace_back(raised::kInputIds);
  while (!open.empty()) {
    const std::string value = std::move(open.back());
    open.pop_back();
    if (!needed.insert(value).second) continue;
    if (const Node* node = view_.producer(value))
      open.insert(open.end(), node->inputs.begin(), node->inputs.end());
  }
  std::erase_if(graph.nodes, [&](const Node& node) {
    return std::none_of(node.outputs.begin(), node.outputs.end(),
                        [&](const auto& out) { return !out.empty() && needed.contains(out); });
  });
  std::erase_if(graph.initializers,
                [&](const Initializer& i) { return !needed.contains(i.name()); });
  // The ids stay: they are what says how long a text is.
  needed.insert(std::string(raised::kInputIds));
  std::erase_if(graph.inputs, [&](const ValueInfo& v) { return !needed.contains(v.name); });
  const std::string length = "/by_position/length";
  if (needs_length) {
    const std::string shape = "/by_position/shape";
    const std::string one = "/by_position/one";
    graph.initializers.emplace_back(one, Tensor::of<int64_t>({1}, {1}));
    graph.nodes.push_back({shape, "Shape", "", {std::string(raised::kInputIds)}, {shape}, {}, {}});
    graph.nodes.push_back({length, "Gather", "", {shape, one}, {length}, {}, {}});
  }
  for (size_t i = 0; i < values_.size(); ++i) add_nodes(graph, i, length);
  return model;
}

}  // namespace octavo::raise
