#include "passes/rotate_residual.h"

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "passes/channel_trace.h"
#include "passes/rotation.h"
#include "passes/smoothquant.h"

namespace octavo {

namespace {

// What a value is in the rotated model. scaled: rotated, with a gain that is yet to come and goes
// into whatever weight reads it. squared: element by element, for the sum that does not change.
enum class Kind { rotated, scaled, squared };

struct Value {
  Kind kind = Kind::rotated;
  std::vector<std::string> gains;  // constants
};

// One axis of the constant that an edge reads.
struct Edit {
  size_t axis = 0;
  std::vector<std::string> gains;
  auto operator<=>(const Edit&) const = default;
};

bool is_standard(const Node& node, std::string_view op) {
  return node.domain.empty() && node.op_type == op;
}

// Follows the rotation from the embedding table down. A node that cannot take a rotated input gets
// the original back; since a norm has its gain for that, what is given back is the stream before
// it.
class Plan {
 public:
  Plan(const Model& model, const ValueShapes& shapes)
      : graph_(model.graph), shapes_(shapes), index_(model.graph) {}

  Status make() {
    OCTAVO_TRY(order_, topological_order(graph_));
    OCTAVO_TRY(const SmoothGroups found, find_smooth_groups(graph_, shapes_));
    for (const SmoothGroup& group : found.groups)
      for (const SmoothWeight& weight : group.weights) weights_.emplace(weight.node, weight);
    OCTAVO_CHECK(find_table());
    // Every round moves one more node to the original side.
    for (size_t round = 0; round <= graph_.nodes.size(); ++round) {
      OCTAVO_TRY(const bool settled, follow());
      if (settled) return check();
    }
    return Error{Code::internal, "the rotation of the residual stream does not settle"};
  }

  size_t width() const { return width_; }
  const std::map<Edge, std::vector<Edit>>& edits() const { return edits_; }
  const std::set<Edge>& ones() const { return ones_; }
  // The value that is rotated back, and who reads the original.
  const std::string& back() const { return backs_.begin()->first; }
  const std::vector<Edge>& readers() const { return backs_.begin()->second; }

 private:
  Status find_table() {
    for (size_t n = 0; n < graph_.nodes.size(); ++n) {
      const Node& node = graph_.nodes[n];
      if (!is_standard(node, "Gather") || node.inputs.size() != 2 || node.int_or("axis", 0) != 0 ||
          node.inputs[1] != "input_ids")
        continue;
      const auto table = find_constant(graph_, index_, node.inputs[0]);
      if (!table || table->shape().size() != 2 || table->dtype() != DType::f32) continue;
      if (width_ != 0) return refuse(node, "a second table of the tokens");
      width_ = static_cast<size_t>(table->shape()[1]);
      table_ = n;
    }
    if (width_ != 0) return Done{};
    return Error{Code::unsupported,
                 "no Gather takes rows of a float32 table by input_ids: there is no residual "
                 "stream to rotate"};
  }

  static Error refuse(const Node& node, const std::string& why) {
    return {Code::unsupported,
            node.describe() + ": " + why + "; the residual stream cannot be rotated"};
  }

  Value* find(const std::string& value) {
    const auto found = values_.find(value);
    return found == values_.end() ? nullptr : &found->second;
  }

  // The size of the last axis; 0 when it was not observed, or differs.
  int64_t last_axis(const std::string& value) const {
    if (const auto constant = find_constant(graph_, index_, value))
      return constant->shape().empty() ? 1 : constant->shape().back();
    const auto seen = shapes_.find(value);
    if (seen == shapes_.end() || seen->second.empty()) return 0;
    int64_t size = -1;
    for (const Shape& shape : seen->second) {
      const int64_t own = shape.empty() ? 1 : shape.back();
      if (size >= 0 && own != size) return 0;
      size = own;
    }
    return size;
  }

  // A constant of one number a channel.
  bool is_vector(const std::string& value) const {
    const auto constant = find_constant(graph_, index_, value);
    if (!constant || constant->dtype() != DType::f32 || constant->shape().empty()) return false;
    int64_t all = 1;
    for (const int64_t d : constant->shape()) all *= d;
    return static_cast<size_t>(constant->shape().back()) == width_ &&
           static_cast<size_t>(all) == width_;
  }

  bool is_two(const std::string& value) const {
    const auto constant = find_constant(graph_, index_, value);
    if (!constant || constant->dtype() != DType::f32) return false;
    const auto tensor = constant->load();
    return tensor && tensor->size() == 1 && tensor->data<float>()[0] == 2.0F;
  }

  bool sums_last_axis(const Node& node) const {
    if (!is_standard(node, "ReduceMean") && !is_standard(node, "ReduceSum")) return false;
    std::vector<int64_t> axes = node.ints_or("axes", {});
    if (node.inputs.size() > 1) {
      const auto constant = find_constant(graph_, index_, node.inputs[1]);
      if (!constant || constant->dtype() != DType::i64) return false;
      const auto tensor = constant->load();
      if (!tensor) return false;
      const auto values = tensor->values<int64_t>();
      axes.assign(values.begin(), values.end());
    }
    const auto shape = shapes_.find(node.inputs[0]);
    const int64_t last = shape == shapes_.end() || shape->second.empty()
                             ? -1
                             : static_cast<int64_t>(shape->second.front().size()) - 1;
    return axes == std::vector<int64_t>{-1} || (last >= 0 && axes == std::vector<int64_t>{last});
  }

  // One walk. False: a node more is on the original side, walk again.
  Result<bool> follow() {
    values_.clear();
    edits_.clear();
    ones_.clear();
    backs_.clear();
    values_[graph_.nodes[table_].outputs[0]] = {};
    edits_[{table_, 0}] = {{1, {}}};
    for (const size_t n : order_) {
      const Node& node = graph_.nodes[n];
      const bool reads = std::any_of(node.inputs.begin(), node.inputs.end(),
                                     [&](const std::string& in) { return values_.contains(in); });
      if (!reads || n == table_ || is_standard(node, "Shape")) continue;
      if (!original_.contains(n) && !ends(node) && take(n)) continue;
      OCTAVO_TRY(const bool given, give_back(n));
      if (!given) return false;
    }
    return squares_settled();
  }

  // Whether it makes an output of the model of what is not multiplied any more.
  bool ends(const Node& node) const {
    if (is_standard(node, "MatMul") || is_standard(node, "Gemm")) return false;
    return std::any_of(node.outputs.begin(), node.outputs.end(),
                       [&](const std::string& out) { return index_.is_graph_output(out); });
  }

  // Whether the node does the same with rotated inputs; its output and the edits are noted.
  bool take(size_t n) {
    const Node& node = graph_.nodes[n];
    const std::string& out = node.outputs[0];
    Value* first = find(node.inputs[0]);
    Value* second = node.inputs.size() > 1 ? find(node.inputs[1]) : nullptr;
    if (is_standard(node, "Identity") || (is_standard(node, "Cast") && node.int_or("to", 0) == 1)) {
      const Value same = *first;
      values_[out] = same;
      return true;
    }
    if (first != nullptr && first->kind == Kind::squared)
      return second == nullptr && sums_last_axis(node);
    if (is_standard(node, "MatMul") || is_standard(node, "Gemm"))
      return first != nullptr && second == nullptr && read(n, *first);
    // All that follows takes no gain that is yet to come.
    for (const Value* value : {first, second})
      if (value != nullptr && value->kind != Kind::rotated) return false;
    if (is_standard(node, "Pow")) {
      if (first == nullptr || second != nullptr || !is_two(node.inputs[1])) return false;
      values_[out] = {Kind::squared, {}};
      return true;
    }
    if (is_standard(node, "Mul")) return multiply(n, first != nullptr ? 0 : 1);
    if (is_standard(node, "Div")) {
      if (first == nullptr || second != nullptr || last_axis(node.inputs[1]) != 1) return false;
      values_[out] = {};
      return true;
    }
    if (is_standard(node, "Add")) {
      if (node.inputs.size() != 2) return false;
      if (first == nullptr && !write(node.inputs[0])) return false;
      if (second == nullptr && !write(node.inputs[1])) return false;
      values_[out] = {};
      return true;
    }
    const bool norm =
        node.op_type == "SimplifiedLayerNormalization" || node.op_type == "RMSNormalization";
    if (!norm || first == nullptr || node.inputs.size() != 2 || node.outputs.size() != 1 ||
        node.int_or("axis", -1) != -1 || !is_vector(node.inputs[1]))
      return false;
    return take_gain(n, 1);
  }

  bool multiply(size_t n, size_t at) {
    const Node& node = graph_.nodes[n];
    const std::string& other = node.inputs[1 - at];
    if (find(other) != nullptr) {
      if (node.inputs[0] != node.inputs[1]) return false;
      values_[node.outputs[0]] = {Kind::squared, {}};
      return true;
    }
    if (is_vector(other)) return take_gain(n, 1 - at);
    if (last_axis(other) != 1) return false;
    values_[node.outputs[0]] = {};
    return true;
  }

  // The gain is left to those who read its product, and is 1 here.
  bool take_gain(size_t n, size_t input) {
    const Node& node = graph_.nodes[n];
    values_[node.outputs[0]] = {Kind::scaled, {node.inputs[input]}};
    ones_.insert({n, input});
    return true;
  }

  // x W: W takes what x had, and the output is what it was.
  bool read(size_t n, const Value& x) {
    const auto weight = weights_.find(n);
    if (weight == weights_.end() || x.kind == Kind::squared) return false;
    edits_[weight->second.edge].push_back({weight->second.axis, x.gains});
    return true;
  }

  // Whether what makes the value can make it rotated: a product, with or without a bias.
  bool write(const std::string& value) {
    if (index_.uses(value).size() != 1 || index_.is_graph_output(value)) return false;
    const size_t n = index_.producer(value);
    if (n == GraphIndex::kNone) return false;
    const Node& node = graph_.nodes[n];
    if (is_standard(node, "Identity")) return write(node.inputs[0]);
    if (is_standard(node, "Add")) {
      for (const size_t bias : {0, 1}) {
        if (!is_vector(node.inputs[bias])) continue;
        if (!write(node.inputs[1 - bias])) return false;
        edits_[{n, bias}].push_back({last(node.inputs[bias]), {}});
        return true;
      }
      return false;
    }
    const auto found = weights_.find(n);
    if (found == weights_.end()) return false;
    const SmoothWeight& weight = found->second;
    if (find_constant(graph_, index_, weight.name)->shape()[1 - weight.axis] !=
        static_cast<int64_t>(width_))
      return false;
    if (is_standard(node, "Gemm") && node.inputs.size() > 2 && !node.inputs[2].empty()) {
      if (!is_vector(node.inputs[2])) return false;
      edits_[{n, 2}].push_back({last(node.inputs[2]), {}});
    }
    edits_[weight.edge].push_back({1 - weight.axis, {}});
    return true;
  }

  size_t last(const std::string& constant) const {
    return find_constant(graph_, index_, constant)->shape().size() - 1;
  }

  // The node reads the original. Where that is a part of a norm, the norm does from its start.
  Result<bool> give_back(size_t n) {
    const Node& node = graph_.nodes[n];
    if (is_standard(node, "Add")) return refuse(node, "it makes no residual stream of it");
    original_.insert(n);
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      if (find(node.inputs[i]) == nullptr) continue;
      const size_t above = index_.producer(node.inputs[i]);
      const Node& maker = graph_.nodes[above];
      if (above != table_ && !is_standard(maker, "Add")) {
        if (!original_.insert(above).second)
          return refuse(node, "it reads a part of a norm that cannot be given back");
        return false;
      }
      backs_[node.inputs[i]].push_back({n, i});
    }
    return true;
  }

  // A norm that divides the original also takes its squares from there, so that it stays one norm.
  bool squares_settled() {
    bool settled = true;
    for (const auto& [value, readers] : backs_) {
      const auto& uses = index_.uses(value);
      const auto squares = [&](const GraphIndex::Use& use) {
        const Node& node = graph_.nodes[use.node];
        const auto out = values_.find(node.outputs.empty() ? std::string() : node.outputs[0]);
        return out != values_.end() && out->second.kind == Kind::squared;
      };
      const bool others = std::any_of(uses.begin(), uses.end(), [&](const GraphIndex::Use& use) {
        return !original_.contains(use.node) && !squares(use) &&
               !is_standard(graph_.nodes[use.node], "Shape");
      });
      if (others) continue;
      for (const GraphIndex::Use& use : uses)
        if (squares(use) && original_.insert(use.node).second) settled = false;
    }
    return settled;
  }

  Status check() const {
    if (ones_.empty())
      return Error{Code::unsupported,
                   "no RMSNorm reads the residual stream and leads to products only; it cannot be "
                   "rotated"};
    if (backs_.size() == 1) return Done{};
    if (backs_.empty())
      return Error{Code::unsupported, "nothing reads the residual stream at its end"};
    // All but the last are reasons.
    const Edge& first = backs_.begin()->second.front();
    return refuse(graph_.nodes[first.node],
                  "it is no RMSNorm that leads to products only, and not "
                  "the only such node");
  }

  const Graph& graph_;
  const ValueShapes& shapes_;
  const GraphIndex index_;
  std::vector<size_t> order_;
  std::map<size_t, SmoothWeight> weights_;  // of a node
  size_t width_ = 0;
  size_t table_ = 0;
  std::set<size_t> original_;  // nodes that read the original
  std::map<std::string, Value> values_;
  std::map<Edge, std::vector<Edit>> edits_;
  std::set<Edge> ones_;  // gains that became 1
  std::map<std::string, std::vector<Edge>> backs_;
};

class Writer {
 public:
  Writer(Model& model, const Plan& plan)
      : graph_(model.graph),
        before_(model.graph),
        index_(before_),
        plan_(plan),
        rotation_(std::make_shared<const Rotation>(plan.width())) {
    for (const auto& v : graph_.inputs) names_.insert(v.name);
    for (const auto& i : graph_.initializers) names_.insert(i.name());
    for (const auto& n : graph_.nodes) names_.insert(n.outputs.begin(), n.outputs.end());
  }

  Status write() {
    for (const auto& [edge, edits] : plan_.edits()) OCTAVO_CHECK(rotate(edge, edits));
    for (const Edge& edge : plan_.ones()) give(edge, "1", ones(edge));
    for (auto& [name, changes] : changes_) replace(name, std::move(changes));
    add_back();
    return Done{};
  }

 private:
  // A constant in one new form, and who reads it so.
  struct Change {
    std::string how;
    std::vector<Edge> edges;
    Initializer made;
  };

  std::string fresh(const std::string& wanted) {
    std::string name = wanted;
    for (int i = 2; !names_.insert(name).second; ++i) name = wanted + "_" + std::to_string(i);
    return name;
  }

  Result<Initializer> source(const std::string& name) const {
    const auto constant = find_constant(before_, index_, name);
    if (!constant) return Error{Code::internal, "rotating \"" + name + "\", no constant"};
    return constant->initializer != nullptr ? *constant->initializer
                                            : Initializer(name, *constant->tensor);
  }

  void give(const Edge& edge, const std::string& how, Initializer made) {
    auto& changes = changes_[before_.nodes[edge.node].inputs[edge.input]];
    const auto same = std::find_if(changes.begin(), changes.end(),
                                   [&](const Change& change) { return change.how == how; });
    if (same != changes.end()) {
      same->edges.push_back(edge);
    } else {
      changes.push_back({how, {edge}, std::move(made)});
    }
  }

  // An initializer that nobody reads as it was keeps its name; other forms of it get new ones.
  void replace(const std::string& name, std::vector<Change> changes) {
    size_t changed = 0;
    for (const Change& change : changes) changed += change.edges.size();
    const size_t at = index_.initializer(name);
    const bool free = at != GraphIndex::kNone && changed == index_.uses(name).size() &&
                      !index_.is_graph_output(name);
    for (size_t i = 0; i < changes.size(); ++i) {
      Change& change = changes[i];
      if (i == 0 && free) {
        graph_.initializers[at] = std::move(change.made);
        continue;
      }
      change.made.rename(fresh(name + "_rotated"));
      for (const Edge& edge : change.edges)
        graph_.nodes[edge.node].inputs[edge.input] = change.made.name();
      graph_.initializers.push_back(std::move(change.made));
    }
  }

  Status rotate(const Edge& edge, const std::vector<Edit>& edits) {
    const std::string& name = before_.nodes[edge.node].inputs[edge.input];
    OCTAVO_TRY(Initializer from, source(name));
    std::string how;
    struct Step {
      size_t axis;
      std::vector<float> gain;
    };
    auto steps = std::make_shared<std::vector<Step>>();
    for (const Edit& edit : edits) {
      Step step{edit.axis, {}};
      how += "axis " + std::to_string(edit.axis);
      for (const std::string& gain : edit.gains) {
        how += " " + gain;
        OCTAVO_TRY(const Initializer constant, source(gain));
        OCTAVO_TRY(const Tensor tensor, constant.tensor());
        const auto values = tensor.values<float>();
        if (step.gain.empty()) step.gain.assign(values.size(), 1.0F);
        for (size_t i = 0; i < values.size(); ++i) step.gain[i] *= values[i];
      }
      steps->push_back(std::move(step));
    }
    Initializer made(name, DType::f32, from.shape(),
                     [from, steps, rotation = rotation_]() -> Result<Tensor> {
                       OCTAVO_TRY(Tensor tensor, from.tensor());
                       for (const Step& step : *steps) {
                         OCTAVO_TRY(Tensor after, rotated(tensor, step.axis, step.gain, *rotation));
                         tensor.drop_pages();
                         tensor = std::move(after);
                       }
                       return tensor;
                     });
    made.storage = from.storage;
    give(edge, how, std::move(made));
    return Done{};
  }

  Initializer ones(const Edge& edge) const {
    const std::string& name = before_.nodes[edge.node].inputs[edge.input];
    const Shape shape = find_constant(before_, index_, name)->shape();
    size_t all = 1;
    for (const int64_t d : shape) all *= static_cast<size_t>(d);
    return {name, Tensor::of<float>(shape, std::vector<float>(all, 1.0F))};
  }

  void add_back() {
    const std::string weight = fresh(std::string(kRotationBack));
    const auto n = static_cast<int64_t>(plan_.width());
    graph_.initializers.emplace_back(weight, DType::f32, Shape{n, n},
                                     [rotation = rotation_] { return transposed(*rotation); });
    Node node;
    node.name = "/residual_rotation/MatMul";
    node.op_type = "MatMul";
    node.inputs = {plan_.back(), weight};
    node.outputs = {fresh("/residual_rotation/MatMul_output_0")};
    size_t at = graph_.nodes.size();
    for (const Edge& edge : plan_.readers()) {
      graph_.nodes[edge.node].inputs[edge.input] = node.outputs[0];
      at = std::min(at, edge.node);
    }
    graph_.nodes.insert(graph_.nodes.begin() + static_cast<std::ptrdiff_t>(at), std::move(node));
  }

  Graph& graph_;
  const Graph before_;
  const GraphIndex index_;
  const Plan& plan_;
  std::shared_ptr<const Rotation> rotation_;
  std::set<std::string> names_;
  std::map<std::string, std::vector<Change>> changes_;  // by the constant's name
};

}  // namespace

Result<size_t> rotate_residual(Model& model, const ValueShapes& shapes) {
  Plan plan(model, shapes);
  OCTAVO_CHECK(plan.make());
  Model after = model;
  OCTAVO_CHECK(Writer(after, plan).write());
  after.ir_version = std::max<int64_t>(after.ir_version, 4);
  OCTAVO_CHECK(check(after).within("after rotating the residual stream"));
  model = std::move(after);
  return plan.width();
}

}  // namespace octavo
