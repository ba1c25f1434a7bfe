#include "toolkit/compensate.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "base/float_environment.h"
#include "embed/signature.h"
#include "embed/token_feeds.h"
#include "passes/compensated_rounding.h"
#include "passes/gemm_to_matmul.h"
#include "runtime/streamed.h"

namespace octavo {

namespace {

// Of the mean of the diagonal: what few texts do not say about the inputs of others.
constexpr double kDamping = 0.01;
// Steps of a row of activations; the variance of a rounding is a twelfth of a step's square.
constexpr double kSteps = 255;
constexpr double kSteps16 = 65535;
constexpr double kVariance = 1.0 / 12;

// The moments of one input, each row divided by its length: an error counts by what share of the
// sum it is. Without that a few tokens with massive activations would decide alone.
class Gatherer {
 public:
  // steps: of a row, when the product runs.
  Gatherer(size_t k, double steps) : moments_(k), steps_(steps) {}

  Status add(const Tensor& x, ThreadPool& pool) {
    const size_t k = moments_.k();
    if (x.dtype() != DType::f32 || x.rank() == 0 || static_cast<size_t>(x.shape().back()) != k)
      return Error{Code::internal, "an input of another width than before"};
    const size_t rows = k == 0 ? 0 : static_cast<size_t>(x.size()) / k;
    std::vector<float> scaled(x.data<float>(), x.data<float>() + rows * k);
    const FloatEnvironment environment;
    for (size_t r = 0; r < rows; ++r) {
      float* row = scaled.data() + r * k;
      double squares = 0;
      float low = 0;
      float high = 0;
      for (size_t j = 0; j < k; ++j) {
        squares += double{row[j]} * row[j];
        low = std::min(low, row[j]);
        high = std::max(high, row[j]);
      }
      if (!std::isfinite(squares)) return Error{Code::invalid_input, "NaN or infinity"};
      if (squares == 0) continue;
      const double weight = 1 / std::sqrt(squares / static_cast<double>(k));
      const double step = (double{high} - low) / steps_ * weight;
      noise_ += step * step * kVariance;
      for (size_t j = 0; j < k; ++j) row[j] = static_cast<float>(row[j] * weight);
    }
    moments_.add(scaled.data(), rows, pool);
    return Done{};
  }

  void finish(ThreadPool& pool) { moments_.finish(pool); }
  const SecondMoments& moments() const { return moments_; }

  // What the rounding of the activations adds to the diagonal, as a share of its mean.
  double noise() const {
    double trace = 0;
    const size_t k = moments_.k();
    for (size_t j = 0; j < k; ++j) trace += moments_.sums()[j * k + j];
    return trace > 0 ? kDamping + noise_ * static_cast<double>(k) / trace : kDamping;
  }

 private:
  SecondMoments moments_;
  double steps_;
  double noise_ = 0;
};

// One input and the weights that it is multiplied with.
struct Input {
  std::string value;
  size_t width = 0;
  std::vector<size_t> weights;  // indexes of initializers
  bool wide = true;             // 16 bits in every product
};

// A weight on its grid: int8 and a scale a column, a quarter of the floats that it stands for.
Result<Initializer> on_grid(const Initializer& before, const Tensor& rounded) {
  const auto n = static_cast<size_t>(rounded.shape().back());
  const auto k = static_cast<size_t>(rounded.size()) / n;
  const float* w = rounded.data<float>();
  std::vector<float> scale(n, 0);
  for (size_t i = 0; i < k; ++i)
    for (size_t j = 0; j < n; ++j) scale[j] = std::max(scale[j], std::abs(w[i * n + j]));
  OCTAVO_TRY(Tensor steps, Tensor::make(DType::i8, rounded.shape()));
  auto* q = steps.mutable_data<int8_t>();
  for (size_t i = 0; i < k; ++i)
    for (size_t j = 0; j < n; ++j)
      q[i * n + j] = scale[j] == 0
                         ? int8_t{0}
                         : static_cast<int8_t>(std::nearbyint(w[i * n + j] / scale[j] * 127));
  return Initializer(before.name(), DType::f32, before.shape(),
                     [steps, scale = std::move(scale), n]() -> Result<Tensor> {
                       OCTAVO_TRY(Tensor out, Tensor::make(DType::f32, steps.shape()));
                       const auto* from = steps.data<int8_t>();
                       auto* to = out.mutable_data<float>();
                       for (size_t i = 0; i < static_cast<size_t>(out.size()); ++i)
                         to[i] = static_cast<float>(from[i]) / 127 * scale[i % n];
                       return out;
                     });
}

class Compensation {
 public:
  Compensation(Model& model, const QuantizeDynamicOptions& how,
               std::span<const std::vector<int64_t>> texts, const std::shared_ptr<ThreadPool>& pool,
               const Progress& progress)
      : model_(model), how_(how), texts_(texts), pool_(pool), progress_(progress) {}

  Result<size_t> run(size_t memory) {
    gemm_to_matmul(model_.graph);
    OCTAVO_CHECK(find_inputs());
    OCTAVO_TRY(const auto streamed,
               StreamedModel::create(model_, {.pool = pool_, .weight_bytes = part_bytes(memory)}));
    OCTAVO_TRY(const auto feeds_of, read_signature_inputs(streamed.graph()));
    std::vector<std::vector<Feed>> feeds;
    for (const auto& text : texts_) {
      OCTAVO_TRY(feeds.emplace_back(), token_feeds(feeds_of, text, 1));
    }
    std::map<std::string, Gatherer> gathered;
    StreamedRun run;
    run.texts = feeds;
    run.one_by_one = true;  // sums of floats depend on their order
    std::map<std::string, double> steps;
    for (const Input& input : inputs_) {
      run.watch.push_back(input.value);
      steps[input.value] = input.wide ? kSteps16 : kSteps;
    }
    run.tap = [&](size_t, const std::string& value, const Tensor& x) -> Status {
      const size_t k = x.rank() == 0 ? 0 : static_cast<size_t>(x.shape().back());
      const auto to = gathered.try_emplace(value, k, steps.at(value)).first;
      return to->second.add(x, *pool_).within("value \"" + value + "\"");
    };
    run.progress = [&](size_t done, size_t total) {
      report(progress_, "second moments", done, total);
    };
    StreamedPass pass(streamed, std::move(run));
    while (!pass.done()) {
      OCTAVO_CHECK(pass.step());
      OCTAVO_CHECK(round(gathered));
      gathered.clear();
    }
    for (auto& [at, initializer] : made_) model_.graph.initializers[at] = std::move(initializer);
    return made_.size();
  }

 private:
  Status find_inputs() {
    std::map<std::string, const Node*> products;
    for (const Node& node : model_.graph.nodes)
      if (node.inputs.size() == 2 && !node.outputs.empty())
        products[node.name.empty() ? node.describe() : node.name] = &node;
    OCTAVO_TRY(const QuantizedModel dry, quantize_dynamic(model_, how_));
    std::map<std::string, std::set<std::string>> read_with;
    for (const auto& q : dry.report.quantized)
      read_with[q.weight].insert(products.at(q.node)->inputs[0]);
    std::map<std::string, size_t> index;
    for (size_t i = 0; i < model_.graph.initializers.size(); ++i)
      index[model_.graph.initializers[i].name()] = i;
    std::map<std::string, size_t> at;
    for (const auto& q : dry.report.quantized) {
      const auto& values = read_with[q.weight];
      const size_t weight = index.at(q.weight);
      const Shape& shape = model_.graph.initializers[weight].shape();
      if (values.size() != 1 || shape.size() != 2) continue;
      const auto [input, added] = at.emplace(*values.begin(), inputs_.size());
      if (added) inputs_.push_back({*values.begin(), static_cast<size_t>(shape[0]), {}});
      inputs_[input->second].wide &=
          how_.activations == Activations::per_token_16 ||
          (how_.protect != nullptr && how_.protect(*products.at(q.node)));
      auto& weights = inputs_[input->second].weights;
      if (std::find(weights.begin(), weights.end(), weight) == weights.end())
        weights.push_back(weight);
    }
    return Done{};
  }

  // Of the weights of a part: as many as leave its second moments within the same bound.
  size_t part_bytes(size_t memory) const {
    double moments = 1;
    double weights = 1;
    for (const Input& input : inputs_) {
      moments += static_cast<double>(input.width * input.width);
      for (const size_t weight : input.weights)
        weights += static_cast<double>(input.width) *
                   static_cast<double>(model_.graph.initializers[weight].shape()[1]);
    }
    const double share = std::min(1.0, weights / moments);
    return std::max<size_t>(1, static_cast<size_t>(static_cast<double>(memory) * share));
  }

  // The weights whose inputs were seen.
  Status round(std::map<std::string, Gatherer>& gathered) {
    for (const Input& input : inputs_) {
      const auto seen = gathered.find(input.value);
      if (seen == gathered.end()) continue;
      report(progress_, "round", rounded_++, inputs_.size());
      Gatherer& g = seen->second;
      g.finish(*pool_);
      if (g.moments().k() != input.width)
        return Error{Code::internal, "value \"" + input.value +
                                         "\" has another width than its "
                                         "weights"};
      OCTAVO_TRY(const auto rounding, CompensatedRounding::create(g.moments(), g.noise(), *pool_)
                                          .within("value \"" + input.value + "\""));
      for (const size_t weight : input.weights) {
        const Initializer& before = model_.graph.initializers[weight];
        OCTAVO_TRY(const Tensor w, before.tensor());
        OCTAVO_TRY(const Tensor rounded,
                   rounding.round(w, *pool_).within("weight \"" + before.name() + "\""));
        w.drop_pages();
        OCTAVO_TRY(Initializer made, on_grid(before, rounded));
        made_.emplace_back(weight, std::move(made));
      }
      gathered.erase(seen);
    }
    return Done{};
  }

  Model& model_;
  const QuantizeDynamicOptions& how_;
  std::span<const std::vector<int64_t>> texts_;
  const std::shared_ptr<ThreadPool>& pool_;
  const Progress& progress_;
  std::vector<Input> inputs_;
  std::vector<std::pair<size_t, Initializer>> made_;
  size_t rounded_ = 0;
};

}  // namespace

Result<size_t> compensate(Model& model, const QuantizeDynamicOptions& how,
                          std::span<const std::vector<int64_t>> texts,
                          const CompensateOptions& options, const std::shared_ptr<ThreadPool>& pool,
                          const Progress& progress) {
  return Compensation(model, how, texts, pool, progress).run(options.memory);
}

}  // namespace octavo
