// Writes the decisions into the graph. Initializers keep their names; one that something else reads
// too (a tied embedding, a shared layer) stays as it is and the edited reader gets a copy.

#include <algorithm>
#include <map>
#include <set>
#include <unordered_map>

#include "passes/smoothquant.h"

namespace octavo {

namespace {

using EditsByEdge = std::map<Edge, std::vector<ScaledEdit>>;

class Writer {
 public:
  explicit Writer(Model& model) : model_(model), graph_(model.graph), index_(model.graph) {
    for (const auto& v : graph_.inputs) names_.insert(v.name);
    for (const auto& i : graph_.initializers) names_.insert(i.name());
    for (const auto& n : graph_.nodes) {
      names_.insert(n.outputs.begin(), n.outputs.end());
      node_names_.insert(n.name);
    }
  }

  Status write(const EditsByEdge& edits, const std::vector<ExplicitMul>& muls) {
    std::map<std::string, std::vector<Edge>> by_constant;
    for (const auto& [edge, list] : edits)
      by_constant[graph_.nodes[edge.node].inputs[edge.input]].push_back(edge);
    for (const auto& [name, edges] : by_constant)
      OCTAVO_CHECK(rewrite_constant(name, edges, edits));
    std::map<size_t, std::vector<Node>> before;  // node index -> what to insert in front of it
    for (const ExplicitMul& mul : muls) {
      size_t first = graph_.nodes.size();
      for (const Edge& edge : mul.readers) {
        graph_.nodes[edge.node].inputs[edge.input] = mul.output;
        first = std::min(first, edge.node);
      }
      before[first].push_back(make_mul(mul));
    }
    rebuild(std::move(before));
    // Before IR 4 every initializer had to be listed as an input as well.
    model_.ir_version = std::max<int64_t>(model_.ir_version, 4);
    return Done{};
  }

 private:
  std::string fresh(std::set<std::string>& taken, const std::string& wanted) {
    std::string name = wanted;
    for (int i = 2; !taken.insert(name).second; ++i) name = wanted + "_" + std::to_string(i);
    return name;
  }

  Status rewrite_constant(const std::string& name, const std::vector<Edge>& edges,
                          const EditsByEdge& edits) {
    const auto constant = find_constant(graph_, index_, name);
    if (!constant) return Error{Code::internal, "smoothing edits \"" + name + "\", no constant"};
    const Initializer source = constant->initializer != nullptr
                                   ? *constant->initializer
                                   : Initializer(name, *constant->tensor);
    const bool all_edited =
        index_.uses(name).size() == edges.size() && !index_.is_graph_output(name);
    for (size_t i = 0; i < edges.size(); ++i) {
      const bool in_place = i == 0 && all_edited;
      const auto& list = edits.at(edges[i]);
      Initializer edited = edited_copy(source, list);
      if (!in_place) {
        edited.rename(fresh(names_, name + "_smoothed"));
        graph_.nodes[edges[i].node].inputs[edges[i].input] = edited.name();
        added_.push_back(std::move(edited));
      } else if (constant->initializer != nullptr) {
        replaced_.emplace(index_.initializer(name), std::move(edited));
      } else {
        dropped_.insert(index_.producer(name));
        added_.push_back(std::move(edited));
      }
    }
    return Done{};
  }

  static Initializer edited_copy(const Initializer& source, const std::vector<ScaledEdit>& list) {
    Shape shape = source.shape();
    for (const ScaledEdit& edit : list) {
      for (size_t d = 0; d < shape.size(); ++d) shape[d] = std::max(shape[d], edit.map.dims[d]);
    }
    const auto shared = std::make_shared<const std::vector<ScaledEdit>>(list);
    Initializer edited(source.name(), source.dtype(), shape, [source, shared]() -> Result<Tensor> {
      OCTAVO_TRY(const Tensor before, source.tensor());
      Result<Tensor> after = scale_constant(before, *shared);
      before.drop_pages();
      return after;
    });
    edited.storage = source.storage;
    edited.opaque = source.opaque;
    return edited;
  }

  Node make_mul(const ExplicitMul& mul) {
    std::vector<float> inverse(mul.scale->size());
    std::transform(mul.scale->begin(), mul.scale->end(), inverse.begin(),
                   [](float s) { return 1.0F / s; });
    const std::string factor = fresh(names_, mul.input + "_smooth_scale");
    added_.emplace_back(factor, Tensor::of<float>({static_cast<int64_t>(inverse.size())}, inverse));
    Node node;
    node.name = fresh(node_names_, mul.input + "_smooth_mul");
    node.op_type = "Mul";
    node.inputs = {mul.input, factor};
    node.outputs = {mul.output};
    return node;
  }

  void rebuild(std::map<size_t, std::vector<Node>> before) {
    std::vector<Node> nodes;
    nodes.reserve(graph_.nodes.size() + before.size());
    for (size_t n = 0; n < graph_.nodes.size(); ++n) {
      if (const auto it = before.find(n); it != before.end())
        std::move(it->second.begin(), it->second.end(), std::back_inserter(nodes));
      if (!dropped_.contains(n)) nodes.push_back(std::move(graph_.nodes[n]));
    }
    graph_.nodes = std::move(nodes);
    for (auto& [at, initializer] : replaced_) graph_.initializers[at] = std::move(initializer);
    std::move(added_.begin(), added_.end(), std::back_inserter(graph_.initializers));
  }

  Model& model_;
  Graph& graph_;
  GraphIndex index_;
  std::set<std::string> names_;
  std::set<std::string> node_names_;
  std::map<size_t, Initializer> replaced_;
  std::vector<Initializer> added_;
  std::set<size_t> dropped_;  // Constant nodes that became initializers
};

}  // namespace

Status apply_smoothing(Model& model, const std::vector<ScaledEdit>& edits,
                       const std::vector<ExplicitMul>& muls) {
  EditsByEdge by_edge;
  for (const ScaledEdit& edit : edits) by_edge[edit.edge].push_back(edit);
  return Writer(model).write(by_edge, muls);
}

}  // namespace octavo
