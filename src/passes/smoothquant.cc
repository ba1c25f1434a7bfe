#include "passes/smoothquant.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <set>

#include "passes/rounding_factors.h"

namespace octavo {

namespace {

// `join` of what `along` says of each weight of the group, by channel, from 0.
template <class T, class Join>
Result<std::vector<T>> over_group(const Graph& graph, const GraphIndex& index,
                                  const SmoothGroup& group,
                                  std::vector<T> (*along)(const Tensor&, size_t),
                                  const Join& join) {
  std::vector<T> all(static_cast<size_t>(group.channels), T{0});
  for (const SmoothWeight& weight : group.weights) {
    OCTAVO_TRY(const Tensor tensor, find_constant(graph, index, weight.name)->load());
    const std::vector<T> own = along(tensor, weight.axis);
    tensor.drop_pages();
    for (size_t j = 0; j < all.size(); ++j) all[j] = join(all[j], own[j]);
  }
  return all;
}

Result<std::vector<float>> group_absmax(const Graph& graph, const GraphIndex& index,
                                        const SmoothGroup& group) {
  return over_group(graph, index, group, &absmax_along,
                    [](float a, float b) { return std::max(a, b); });
}

// Between the length of each row and its largest number, over all weights of the group.
Result<std::vector<float>> group_sizes(const Graph& graph, const GraphIndex& index,
                                       const SmoothGroup& group) {
  OCTAVO_TRY(const std::vector<double> squares,
             over_group(graph, index, group, &squares_along, std::plus<double>()));
  OCTAVO_TRY(std::vector<float> sizes, group_absmax(graph, index, group));
  for (size_t j = 0; j < sizes.size(); ++j)
    sizes[j] = static_cast<float>(std::sqrt(std::sqrt(squares[j]) * double{sizes[j]}));
  return sizes;
}

// For activations of 16 bits.
Result<std::vector<float>> weight_factors(const Graph& graph, const GraphIndex& index,
                                          const SmoothGroup& group, std::span<const float> energy,
                                          std::span<const ChannelTie> ties, ThreadPool& pool) {
  WeightRows rows(static_cast<size_t>(group.channels));
  for (const SmoothWeight& weight : group.weights) {
    OCTAVO_TRY(const Tensor tensor, find_constant(graph, index, weight.name)->load());
    rows.add(tensor, weight.axis);
    tensor.drop_pages();
  }
  return rounding_factors(std::move(rows), energy, ties, pool);
}

// "gain", "bias", "columns of": what an edit does, by who reads the constant.
std::string role(const Node& reader, size_t input) {
  const std::string& op = reader.op_type;
  if (op == "MatMul" || op == "Transpose" || (op == "Gemm" && input == 1)) return "columns of ";
  if (op == "Add" || op == "Sub" || op == "Gemm") return "bias ";
  if (op.find("Norm") != std::string::npos && input != 0)
    return op.find("Simplified") != std::string::npos || input % 2 == 1 ? "gain " : "bias ";
  if (op == "Mul") return "gain ";
  return "constant ";
}

std::string describe_edits(const Graph& graph, const std::vector<ConstantEdit>& edits) {
  std::string text;
  for (const ConstantEdit& edit : edits) {
    const Node& reader = graph.nodes[edit.edge.node];
    text += (text.empty() ? "" : " + ") + role(reader, edit.edge.input) +
            reader.inputs[edit.edge.input];
  }
  return text;
}

ChannelMap along_axis(size_t axis, int64_t channels) {
  ChannelMap map = ChannelMap::last_axis(2, channels);
  if (axis == 0) std::swap(map.dims[0], map.dims[1]);
  return map;
}

class Smoother {
 public:
  Smoother(const Graph& graph, const CalibrationStats& stats, std::shared_ptr<ThreadPool> pool)
      : graph_(graph), index_(graph), stats_(stats), pool_(std::move(pool)) {
    for (const auto& v : graph.inputs) names_.insert(v.name);
    for (const auto& i : graph.initializers) names_.insert(i.name());
    for (const auto& n : graph.nodes) names_.insert(n.outputs.begin(), n.outputs.end());
  }

  Status add(const SmoothGroup& group, double alpha) {
    OCTAVO_TRY(const std::vector<float>* absmax, seen(stats_.channel_absmax, group));
    ChannelTrace trace(graph_, index_, stats_.shapes);
    const Status folded = fold(trace, group);
    if (!folded && folded.error().code != Code::unsupported) return folded;

    SmoothedGroup done;
    done.input = group.input;
    for (const SmoothWeight& w : group.weights) {
      done.weights.push_back(w.name);
      done.nodes.push_back(graph_.nodes[w.node].name);
    }
    OCTAVO_TRY(done.scale, factors(group, *absmax, alpha, trace.ties()));
    if (stats_.channel_energy.empty()) done.alpha = alpha;
    const auto scale = std::make_shared<const std::vector<float>>(done.scale);
    for (const SmoothWeight& w : group.weights)
      edits_.push_back({w.edge, along_axis(w.axis, group.channels), true, scale});
    if (folded) {
      for (const ConstantEdit& edit : trace.edits())
        edits_.push_back({edit.edge, edit.map, edit.multiply, scale});
      done.folded_into = describe_edits(graph_, trace.edits());
      done.value = group.input;
    } else {
      done.folded_into = "explicit Mul";
      done.refusal = folded.error().message;
      done.value = group.input + "_smoothed";
      for (int i = 2; !names_.insert(done.value).second; ++i)
        done.value = group.input + "_smoothed_" + std::to_string(i);
      muls_.push_back({group.input, done.value, group.readers, scale});
    }
    measure(done, *absmax);
    done_.push_back(std::move(done));
    return Done{};
  }

  Result<std::vector<SmoothedGroup>> apply(Model& model) && {
    OCTAVO_CHECK(apply_smoothing(model, edits_, muls_));
    OCTAVO_CHECK(check(model).within("after smoothquant"));
    return std::move(done_);
  }

 private:
  static Result<const std::vector<float>*> seen(
      const std::map<std::string, std::vector<float>>& sizes, const SmoothGroup& group) {
    const auto found = sizes.find(group.input);
    if (found == sizes.end() || found->second.size() != static_cast<size_t>(group.channels))
      return Error{Code::invalid_input,
                   "calibration saw no " + std::to_string(group.channels) + " channels"};
    return &found->second;
  }

  Result<std::vector<float>> factors(const SmoothGroup& group, std::span<const float> absmax,
                                     double alpha, std::span<const ChannelTie> ties) {
    if (!stats_.channel_energy.empty()) {
      OCTAVO_TRY(const std::vector<float>* energy, seen(stats_.channel_energy, group));
      return weight_factors(graph_, index_, group, *energy, ties, *pool_);
    }
    if (stats_.channel_share.empty()) {
      OCTAVO_TRY(const std::vector<float> largest, group_absmax(graph_, index_, group));
      return smoothing_scale(absmax, largest, alpha, ties);
    }
    OCTAVO_TRY(const std::vector<float>* share, seen(stats_.channel_share, group));
    OCTAVO_TRY(const std::vector<float> sizes, group_sizes(graph_, index_, group));
    return smoothing_scale(*share, sizes, alpha, ties);
  }

  Status fold(ChannelTrace& trace, const SmoothGroup& group) const {
    OCTAVO_TRY(const Shape shape, trace.shape(group.input));
    if (shape.empty() || shape.back() != group.channels)
      return Error{Code::unsupported, "its last axis was not observed as " +
                                          std::to_string(group.channels) + " channels"};
    return trace.divide(group.input, ChannelMap::last_axis(shape.size(), group.channels),
                        group.readers);
  }

  static void measure(SmoothedGroup& done, const std::vector<float>& absmax) {
    std::vector<float> after(absmax.size());
    for (size_t j = 0; j < after.size(); ++j) after[j] = absmax[j] / done.scale[j];
    done.outlier_before = outlier_ratio(absmax);
    done.outlier_after = outlier_ratio(after);
  }

  const Graph& graph_;
  GraphIndex index_;
  const CalibrationStats& stats_;
  std::shared_ptr<ThreadPool> pool_;
  std::set<std::string> names_;
  std::vector<ScaledEdit> edits_;
  std::vector<ExplicitMul> muls_;
  std::vector<SmoothedGroup> done_;
};

}  // namespace

Result<std::vector<SmoothedGroup>> smoothquant(Model& model, const SmoothGroups& groups,
                                               const CalibrationStats& stats,
                                               std::span<const double> alphas,
                                               const std::shared_ptr<ThreadPool>& pool) {
  if (alphas.size() != groups.groups.size())
    return Error{Code::internal, std::to_string(alphas.size()) + " alphas for " +
                                     std::to_string(groups.groups.size()) + " groups"};
  for (const double alpha : alphas) {
    if (!(alpha >= 0 && alpha <= 1))
      return Error{Code::invalid_input, "alpha is " + std::to_string(alpha) + ", not within 0..1"};
  }
  Smoother smoother(model.graph, stats, pool ? pool : std::make_shared<ThreadPool>(1));
  for (size_t i = 0; i < alphas.size(); ++i) {
    const SmoothGroup& group = groups.groups[i];
    OCTAVO_CHECK(
        smoother.add(group, alphas[i]).within("smoothing the input \"" + group.input + "\""));
  }
  return std::move(smoother).apply(model);
}

Result<std::vector<SmoothedGroup>> smoothquant(Model& model, const SmoothGroups& groups,
                                               const CalibrationStats& stats, double alpha) {
  return smoothquant(model, groups, stats, std::vector<double>(groups.groups.size(), alpha));
}

}  // namespace octavo
