#include "passes/gemm_to_matmul.h"

#include <map>
#include <set>
#include <utility>

#include "kernels/quantize_weights.h"

namespace octavo {

namespace {

constexpr const char* kDerived[] = {"", "_quantized", "_scale", "_zero_point"};

void collect_names(const Graph& graph, std::set<std::string>& names) {
  for (const auto& i : graph.initializers) names.insert(i.name());
  for (const auto* values : {&graph.inputs, &graph.outputs, &graph.value_info}) {
    for (const auto& v : *values) names.insert(v.name);
  }
  for (const auto& n : graph.nodes) {
    names.insert(n.inputs.begin(), n.inputs.end());
    names.insert(n.outputs.begin(), n.outputs.end());
    for (const auto& [key, value] : n.attributes) {
      if (const auto* sub = std::get_if<std::shared_ptr<Graph>>(&value))
        collect_names(**sub, names);
    }
  }
}

Result<Tensor> transposed(const Initializer& source) {
  OCTAVO_TRY(const Tensor in, source.tensor());
  OCTAVO_TRY(Tensor out, Tensor::make(in.dtype(), {in.dim(1), in.dim(0)}));
  const auto rows = static_cast<size_t>(in.dim(0));
  const auto n = static_cast<size_t>(in.dim(1));
  kernels::transpose(rows, n, 0, n, dtype_bits(in.dtype()) / 8, in.bytes().data(),
                     out.mutable_bytes().data());
  in.drop_pages();
  return out;
}

class Rewriter {
 public:
  explicit Rewriter(Graph& graph) : graph_(graph) { collect_names(graph, names_); }

  std::vector<KeptGemm> run() {
    std::vector<Node> nodes;
    for (auto& node : graph_.nodes) {
      if (node.op_type != "Gemm" || !node.domain.empty() || node.inputs.size() < 2) {
        nodes.push_back(std::move(node));
      } else if (const std::string reason = why_not(node); !reason.empty()) {
        kept_.push_back({node.name.empty() ? node.describe() : node.name, reason});
        nodes.push_back(std::move(node));
      } else {
        rewrite(node, nodes);
      }
    }
    graph_.nodes = std::move(nodes);
    return std::move(kept_);
  }

 private:
  std::string why_not(const Node& node) const {
    if (node.float_or("alpha", 1) != 1) return "Gemm with alpha other than 1";
    if (node.float_or("beta", 1) != 1) return "Gemm with beta other than 1";
    if (node.int_or("transA", 0) != 0) return "Gemm with transA";
    const Initializer* b = graph_.find_initializer(node.inputs[1]);
    if (node.int_or("transB", 0) != 0 && b != nullptr &&
        (b->shape().size() != 2 || dtype_bits(b->dtype()) < 8))
      return "Gemm whose B cannot be transposed";
    if (node.int_or("transB", 0) != 0 && b == nullptr &&
        names_.contains(node.inputs[1] + "_Transposed"))
      return "the name \"" + node.inputs[1] + "_Transposed\" is taken";
    if (has_bias(node) && names_.contains(node.outputs[0] + "_MatMul"))
      return "the name \"" + node.outputs[0] + "_MatMul\" is taken";
    return {};
  }

  static bool has_bias(const Node& node) {
    return node.inputs.size() > 2 && !node.inputs[2].empty();
  }

  std::string transposed_constant(const Initializer& b) {
    auto& name = transposed_[b.name()];
    if (!name.empty()) return name;
    const auto taken = [&](const std::string& candidate) {
      for (const char* suffix : kDerived) {
        if (names_.contains(candidate + suffix)) return true;
      }
      return false;
    };
    name = b.name() + "_Transposed";
    for (int suffix = 1; taken(name); ++suffix)
      name = b.name() + "_Transposed_" + std::to_string(suffix);
    for (const char* suffix : kDerived) names_.insert(name + suffix);
    graph_.initializers.emplace_back(name, b.dtype(), Shape{b.shape()[1], b.shape()[0]},
                                     [b] { return transposed(b); });
    return name;
  }

  void rewrite(const Node& node, std::vector<Node>& nodes) {
    const std::string prefix = node.name.empty() ? "" : node.name + "_";
    const auto named = [&](const char* what) { return prefix.empty() ? prefix : prefix + what; };
    std::string b = node.inputs[1];
    if (node.int_or("transB", 0) != 0) {
      if (const Initializer* constant = graph_.find_initializer(b)) {
        // A copy: adding to the initializers moves them.
        b = transposed_constant(Initializer(*constant));
      } else {
        b += "_Transposed";
        names_.insert(b);
        nodes.push_back({named("Transpose"), "Transpose", "", {node.inputs[1]}, {b}, {}, {}});
      }
    }
    const bool bias = has_bias(node);
    const std::string product = node.outputs[0] + (bias ? "_MatMul" : "");
    nodes.push_back({named("MatMul"), "MatMul", "", {node.inputs[0], b}, {product}, {}, {}});
    if (bias) {
      names_.insert(product);
      nodes.push_back({named("Add"), "Add", "", {product, node.inputs[2]}, node.outputs, {}, {}});
    }
  }

  Graph& graph_;
  std::set<std::string> names_;
  std::map<std::string, std::string> transposed_;
  std::vector<KeptGemm> kept_;
};

}  // namespace

std::vector<KeptGemm> gemm_to_matmul(Graph& graph) { return Rewriter(graph).run(); }

}  // namespace octavo
