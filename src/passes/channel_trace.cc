#include "passes/channel_trace.h"

#include <algorithm>

#include "graph/constants.h"
#include "passes/channel_rules.h"

namespace octavo {

namespace {

// Every step back is one call deeper. Residual streams stop a trace within a dozen nodes; this is
// against graphs made to exhaust the stack.
constexpr int kMaxDepth = 200;

Error refuse(std::string why) { return {Code::unsupported, std::move(why)}; }

}  // namespace

std::optional<ConstantRef> find_constant(const Graph& graph, const GraphIndex& index,
                                         const std::string& value) {
  const size_t i = index.initializer(value);
  if (i != GraphIndex::kNone) return ConstantRef{&graph.initializers[i], nullptr};
  const size_t n = index.producer(value);
  if (n == GraphIndex::kNone) return std::nullopt;
  const Node& node = graph.nodes[n];
  if (node.op_type != "Constant" || !node.domain.empty()) return std::nullopt;
  const Tensor* tensor = node.tensor("value");
  if (tensor == nullptr) return std::nullopt;
  return ConstantRef{nullptr, tensor};
}

Status ChannelTrace::divide(const std::string& value, const ChannelMap& map,
                            const std::vector<Edge>& readers) {
  const Mark before = mark();
  Status done = divide_value(value, map, readers, false);
  if (!done) rollback(before);
  return done;
}

Status ChannelTrace::divide_input(size_t n, size_t input, const ChannelMap& map, bool may_grow) {
  if (map.untouched()) return Done{};
  if (input >= node(n).inputs.size())
    return refuse(node(n).describe() + " has no input " + std::to_string(input));
  const Mark before = mark();
  Status done = divide_value(node(n).inputs[input], map, {{n, input}}, may_grow);
  if (!done) rollback(before);
  return done;
}

Status ChannelTrace::multiply_constant(size_t n, size_t input, const ChannelMap& map) {
  return edit_constant(node(n).inputs[input], map, {n, input}, false, true);
}

void ChannelTrace::rollback(Mark mark) {
  edits_.resize(mark.edits, ConstantEdit{{0, 0}, {}, false});
  ties_.resize(mark.ties, ChannelTie{0, 0});
}

Status ChannelTrace::divide_value(const std::string& value, const ChannelMap& map,
                                  const std::vector<Edge>& readers, bool may_grow) {
  if (is_constant(value)) {
    for (const Edge& edge : readers) OCTAVO_CHECK(edit_constant(value, map, edge, may_grow, false));
    return Done{};
  }
  OCTAVO_CHECK(check_readers(value, map, readers));
  const size_t producer = index_.producer(value);
  if (producer == GraphIndex::kNone) return refuse("\"" + value + "\" is an input of the model");
  const Node& maker = node(producer);
  const ChannelRule rule = find_channel_rule(maker.domain, maker.op_type);
  if (rule == nullptr)
    return refuse(maker.describe() + " does not carry a factor a channel through");
  const auto output = static_cast<size_t>(
      std::find(maker.outputs.begin(), maker.outputs.end(), value) - maker.outputs.begin());
  if (depth_ >= kMaxDepth) return refuse("the graph above is too deep");
  ++depth_;
  Status done = rule(*this, producer, output, map);
  --depth_;
  return done;
}

Status ChannelTrace::check_readers(const std::string& value, const ChannelMap& map,
                                   const std::vector<Edge>& readers) const {
  if (is_graph_output(value)) return refuse("\"" + value + "\" is an output of the model");
  for (const GraphIndex::Use& use : index_.uses(value)) {
    const bool ours = std::any_of(readers.begin(), readers.end(), [&](const Edge& e) {
      return e.node == use.node && e.input == use.input;
    });
    if (ours || reads_untouched(*this, use, map)) continue;
    return refuse("\"" + value + "\" also feeds " + node(use.node).describe());
  }
  return Done{};
}

Status ChannelTrace::edit_constant(const std::string& value, const ChannelMap& map, Edge edge,
                                   bool may_grow, bool multiply) {
  const auto constant = find_constant(graph_, index_, value);
  if (!constant) return refuse("\"" + value + "\" is not a constant");
  if (constant->dtype() != DType::f32)
    return refuse("\"" + value + "\" is " + std::string(dtype_name(constant->dtype())) +
                  ", not float32");
  OCTAVO_TRY(ChannelMap own, for_operand(map, constant->shape(), may_grow));
  edits_.push_back({edge, std::move(own), multiply});
  return Done{};
}

bool ChannelTrace::is_constant(const std::string& value) const {
  return find_constant(graph_, index_, value).has_value();
}

bool ChannelTrace::comes_from_constants(const std::string& value) const {
  std::string at = value;
  for (int steps = 0; steps < kMaxDepth; ++steps) {
    if (is_constant(at)) return true;
    const size_t n = index_.producer(at);
    if (n == GraphIndex::kNone || node(n).inputs.empty()) return false;
    // A chain is enough: weights are at most transposed, reshaped or cast on their way.
    for (size_t i = 1; i < node(n).inputs.size(); ++i) {
      if (!node(n).inputs[i].empty() && !is_constant(node(n).inputs[i])) return false;
    }
    at = node(n).inputs[0];
  }
  return false;
}

Result<std::vector<Shape>> ChannelTrace::shapes(const std::string& value) const {
  const auto it = shapes_.find(value);
  if (it != shapes_.end() && !it->second.empty()) return it->second;
  if (const auto constant = find_constant(graph_, index_, value)) {
    // As many runs as the activations have, so that both sides of an op can be compared.
    const size_t runs = shapes_.empty() ? 1 : shapes_.begin()->second.size();
    return std::vector<Shape>(runs, constant->shape());
  }
  return refuse("the shape of \"" + value + "\" was not observed");
}

Result<Shape> ChannelTrace::shape(const std::string& value) const {
  OCTAVO_TRY(const auto all, shapes(value));
  return all.front();
}

Result<int64_t> ChannelTrace::fixed_size(const std::string& value, size_t axis) const {
  OCTAVO_TRY(const auto all, shapes(value));
  for (const Shape& run : all) {
    if (axis >= run.size() || run[axis] != all.front()[axis])
      return refuse("axis " + std::to_string(axis) + " of \"" + value + "\" is not fixed");
  }
  return all.front()[axis];
}

Result<std::vector<int64_t>> ChannelTrace::integers(const std::string& value) const {
  const size_t producer = index_.producer(value);
  Tensor tensor = producer == GraphIndex::kNone ? Tensor() : constant_value(node(producer));
  if (const size_t i = index_.initializer(value); i != GraphIndex::kNone) {
    OCTAVO_TRY(tensor, graph_.initializers[i].tensor());
  }
  if (auto values = integer_values(tensor)) return *std::move(values);
  return refuse("\"" + value + "\" is not an integer constant");
}

}  // namespace octavo
