// Which MatMuls share an input.

#include <algorithm>
#include <map>
#include <optional>

#include "passes/rotate_residual.h"
#include "passes/smoothquant.h"

namespace octavo {

namespace {

Error refuse(std::string why) { return {Code::unsupported, std::move(why)}; }

class Finder {
 public:
  Finder(const Graph& graph, const ValueShapes& shapes)
      : graph_(graph), index_(graph), trace_(graph, index_, shapes) {}

  Result<SmoothGroups> find() {
    OCTAVO_TRY(const auto order, topological_order(graph_));
    for (const size_t n : order) {
      const Node& node = graph_.nodes[n];
      if (!is_linear(node)) continue;
      auto weight = weight_of(n);
      if (weight) {
        weights_.emplace(n, *weight);
      } else {
        found_.skipped.push_back(node.describe() + ": " + weight.error().message);
      }
    }
    for (const size_t n : order) {
      if (weights_.contains(n)) add(n);
    }
    return std::move(found_);
  }

 private:
  static bool is_linear(const Node& node) {
    return node.domain.empty() && (node.op_type == "MatMul" || node.op_type == "Gemm") &&
           node.inputs.size() >= 2;
  }

  Result<SmoothWeight> weight_of(size_t n) const {
    const Node& node = graph_.nodes[n];
    if (node.op_type == "Gemm" && node.int_or("transA", 0) != 0)
      return refuse("its input is transposed (transA)");
    if (trace_.comes_from_constants(node.inputs[0])) return refuse("its left operand is constant");
    SmoothWeight weight{n, {n, 1}, node.inputs[1], 0};
    if (node.op_type == "Gemm" && node.int_or("transB", 0) != 0) weight.axis = 1;
    // Exporters leave a Transpose or Identity between a weight and its MatMul.
    while (!trace_.is_constant(weight.name)) {
      const size_t above = index_.producer(weight.name);
      if (above == GraphIndex::kNone) return refuse("no operand is constant");
      const Node& maker = graph_.nodes[above];
      const bool transposes = maker.op_type == "Transpose";
      if (!maker.domain.empty() || (!transposes && maker.op_type != "Identity") ||
          !trace_.comes_from_constants(weight.name))
        return refuse(trace_.comes_from_constants(weight.name)
                          ? "its weight is computed by " + maker.describe()
                          : "no operand is constant");
      if (index_.uses(weight.name).size() != 1)
        return refuse("its weight \"" + weight.name + "\" has other readers");
      const auto perm = maker.ints_or("perm", {1, 0});
      if (transposes && perm != std::vector<int64_t>{1, 0})
        return refuse("its weight is not simply transposed by " + maker.describe());
      if (transposes) weight.axis = 1 - weight.axis;
      weight.edge = {above, 0};
      weight.name = maker.inputs[0];
    }
    if (is_rotation_back(weight.name)) return refuse("it rotates the residual stream back");
    const auto constant = find_constant(graph_, index_, weight.name);
    if (constant->shape().size() != 2)
      return refuse("its weight has " + std::to_string(constant->shape().size()) + " axes");
    if (constant->dtype() != DType::f32)
      return refuse("its weight is " + std::string(dtype_name(constant->dtype())));
    if (constant->shape()[0] == 0 || constant->shape()[1] == 0)
      return refuse("its weight is empty");
    return weight;
  }

  bool reads_only_shape(const GraphIndex::Use& use) const {
    return use.input != GraphIndex::kNone && graph_.nodes[use.node].domain.empty() &&
           graph_.nodes[use.node].op_type == "Shape";
  }

  // Whether everything that reads the value leads to this group through `edge`, or to weights.
  bool only_leads_to_weights(const std::string& value, std::optional<Edge> edge) const {
    if (index_.is_graph_output(value)) return false;
    return std::all_of(index_.uses(value).begin(), index_.uses(value).end(),
                       [&](const GraphIndex::Use& use) {
                         if (reads_only_shape(use)) return true;
                         if (edge) return edge->node == use.node && edge->input == use.input;
                         return use.input == 0 && weights_.contains(use.node);
                       });
  }

  // One step up through an op that only regroups the axes before the last.
  std::optional<std::string> above(const std::string& value, int64_t channels) const {
    const size_t n = index_.producer(value);
    if (n == GraphIndex::kNone || trace_.is_constant(value)) return std::nullopt;
    const Node& maker = graph_.nodes[n];
    if (!maker.domain.empty()) return std::nullopt;
    const auto& op = maker.op_type;
    if (op == "Identity") return maker.inputs[0];
    if (op != "Reshape" && op != "Flatten" && op != "Squeeze" && op != "Unsqueeze")
      return std::nullopt;
    const auto before = trace_.shapes(maker.inputs[0]);
    const auto after = trace_.shapes(value);
    if (!before || !after || before->front().empty() || after->front().empty() ||
        after->front().back() != channels)
      return std::nullopt;
    const auto map =
        through_reshape(ChannelMap::last_axis(after->front().size(), channels), *before, *after);
    if (!map || *map != ChannelMap::last_axis(before->front().size(), channels))
      return std::nullopt;
    return maker.inputs[0];
  }

  void add(size_t n) {
    const SmoothWeight& weight = weights_.at(n);
    const int64_t channels = find_constant(graph_, index_, weight.name)->shape()[weight.axis];
    std::string value = graph_.nodes[n].inputs[0];
    Edge reader{n, 0};
    std::optional<Edge> only;  // at first, any weight may read the value
    while (only_leads_to_weights(value, only)) {
      const auto up = above(value, channels);
      if (!up) break;
      reader = Edge{index_.producer(value), 0};
      only = reader;
      value = *up;
    }
    auto& groups = found_.groups;
    const auto it = std::find_if(groups.begin(), groups.end(), [&](const SmoothGroup& g) {
      return g.input == value && g.channels == channels;
    });
    SmoothGroup& group = it != groups.end() ? *it : groups.emplace_back();
    group.input = value;
    group.channels = channels;
    group.weights.push_back(weight);
    if (std::find(group.readers.begin(), group.readers.end(), reader) == group.readers.end())
      group.readers.push_back(reader);
  }

  const Graph& graph_;
  GraphIndex index_;
  ChannelTrace trace_;
  std::map<size_t, SmoothWeight> weights_;
  SmoothGroups found_;
};

}  // namespace

Result<SmoothGroups> find_smooth_groups(const Graph& graph, const ValueShapes& shapes) {
  return Finder(graph, shapes).find();
}

}  // namespace octavo
