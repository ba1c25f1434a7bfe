#include "toolkit/calibrate.h"

#include <algorithm>
#include <array>
#include <cfloat>
#include <cmath>
#include <map>
#include <mutex>

#include "base/float_environment.h"
#include "embed/signature.h"
#include "embed/token_feeds.h"

namespace octavo {

namespace {

// Different primes, so that an axis of the model is not mistaken for one of these, and products of
// batch and sequence differ as well.
constexpr std::array<int64_t, 2> kBatches = {2, 3};
constexpr std::array<int64_t, 2> kLengths = {7, 11};

// The size of an input's axis when the graph fixes it, else what we would like.
int64_t size_of(const Graph& graph, const std::string& input, size_t axis, int64_t wanted) {
  const auto at = std::find_if(graph.inputs.begin(), graph.inputs.end(),
                               [&](const ValueInfo& v) { return v.name == input; });
  if (at == graph.inputs.end() || !at->shape || axis >= at->shape->size()) return wanted;
  const auto* fixed = std::get_if<int64_t>(&(*at->shape)[axis]);
  return fixed != nullptr && *fixed > 0 ? *fixed : wanted;
}

// max |x| a channel; false when a value is not finite.
bool absmax(const Tensor& tensor, std::vector<float>& most) {
  const auto width = static_cast<size_t>(tensor.shape().back());
  most.assign(width, 0.0F);
  if (width == 0) return true;
  bool finite = true;
  const float* x = tensor.data<float>();
  for (int64_t rows = tensor.size() / static_cast<int64_t>(width); rows > 0; --rows, x += width) {
    float* m = most.data();
    for (size_t j = 0; j < width; ++j) {
      const float a = std::abs(x[j]);
      finite &= a <= FLT_MAX;
      m[j] = a > m[j] ? a : m[j];
    }
  }
  return finite;
}

// Sums of powers, in steps of 2^-64: whole numbers do not care about the order.
__extension__ using WholeSum = unsigned __int128;
constexpr int kFraction = 64;

// Of the rows of one text, from the first to the last: (|x| / root mean square of the row)^2, or
// ^4 when `fourth`.
std::vector<double> shares(const Tensor& tensor, bool fourth) {
  const auto width = static_cast<size_t>(tensor.shape().back());
  std::vector<double> sums(width, 0.0);
  if (width == 0) return sums;
  const FloatEnvironment environment;
  const float* x = tensor.data<float>();
  for (int64_t rows = tensor.size() / static_cast<int64_t>(width); rows > 0; --rows, x += width) {
    double squares = 0;
    for (size_t j = 0; j < width; ++j) squares += double{x[j]} * x[j];
    if (squares == 0) continue;
    const double one = static_cast<double>(width) / squares;
    for (size_t j = 0; j < width; ++j) {
      const double share = double{x[j]} * x[j] * one;
      sums[j] += fourth ? share * share : share;
    }
  }
  return sums;
}

// What all threads saw, whatever the order.
class Sizes {
 public:
  explicit Sizes(Gathered gathered) : gathered_(gathered) {}

  Status add(const std::string& value, const Tensor& tensor) {
    if (tensor.dtype() != DType::f32 || tensor.rank() == 0)
      return Error{Code::invalid_input, "\"" + value + "\" is no float32 tensor with channels"};
    std::vector<float> own;
    if (!absmax(tensor, own))
      return Error{Code::invalid_input,
                   "\"" + value + "\" holds NaN or infinity; the model is broken before smoothing"};
    std::vector<double> own_shares;
    if (gathered_ != Gathered::largest)
      own_shares = shares(tensor, gathered_ == Gathered::largest_and_share);
    const std::lock_guard lock(mutex_);
    std::vector<float>& most = all_[value];
    if (most.empty()) most.resize(own.size(), 0.0F);
    if (most.size() != own.size())
      return Error{Code::invalid_input, "\"" + value + "\" has " + std::to_string(own.size()) +
                                            " channels now, " + std::to_string(most.size()) +
                                            " before"};
    for (size_t j = 0; j < own.size(); ++j) most[j] = std::max(most[j], own[j]);
    if (own_shares.empty()) return Done{};
    Shares& sums = shares_[value];
    sums.tokens += static_cast<uint64_t>(tensor.size()) / own.size();
    sums.channels.resize(own.size());
    for (size_t j = 0; j < own.size(); ++j)
      sums.channels[j] += static_cast<WholeSum>(std::ldexp(own_shares[j], kFraction));
    return Done{};
  }

  void take(CalibrationStats& stats) {
    stats.channel_absmax = std::move(all_);
    for (const auto& [value, sums] : shares_) {
      const bool fourth = gathered_ == Gathered::largest_and_share;
      std::vector<float>& out = (fourth ? stats.channel_share : stats.channel_energy)[value];
      for (const WholeSum sum : sums.channels) {
        const double mean =
            std::ldexp(static_cast<double>(sum), -kFraction) / static_cast<double>(sums.tokens);
        out.push_back(static_cast<float>(fourth ? std::sqrt(std::sqrt(mean)) : mean));
      }
    }
  }

 private:
  struct Shares {
    std::vector<WholeSum> channels;
    uint64_t tokens = 0;
  };
  const Gathered gathered_;
  std::mutex mutex_;
  std::map<std::string, std::vector<float>> all_;
  std::map<std::string, Shares> shares_;
};

}  // namespace

void warn_of_few_texts(uint64_t texts, std::vector<std::string>& warnings) {
  constexpr uint64_t kFew = 32;
  if (texts >= kFew) return;
  warnings.push_back("calibrated on " + std::to_string(texts) + " text" + (texts == 1 ? "" : "s") +
                     "; a hundred or more, short and long, of the kind that the model will read, "
                     "make a better model");
}

Result<std::vector<std::vector<int64_t>>> tokenize_all(const Tokenizer& tokenizer,
                                                       std::span<const std::string> texts,
                                                       size_t max_length) {
  std::vector<std::vector<int64_t>> all;
  for (size_t i = 0; i < texts.size(); ++i) {
    OCTAVO_TRY(
        auto encoding,
        tokenizer.encode(texts[i], max_length).within("calibration text " + std::to_string(i + 1)));
    if (!encoding.ids.empty()) all.push_back(std::move(encoding.ids));
  }
  if (all.empty())
    return Error{Code::invalid_input, "the tokenizer made no token of the calibration texts"};
  return all;
}

Result<ValueShapes> observe_shapes(const StreamedModel& model, std::span<const int64_t> ids) {
  const Graph& graph = model.graph();
  OCTAVO_TRY(const auto inputs, read_signature_inputs(graph));
  StreamedRun run;
  for (const Node& node : graph.nodes) {
    for (const std::string& output : node.outputs) {
      if (!output.empty()) run.watch.push_back(output);
    }
  }
  std::array<std::map<std::string, Shape>, kBatches.size()> seen;
  run.tap = [&seen](size_t text, const std::string& value, const Tensor& tensor) -> Status {
    seen[text][value] = tensor.shape();
    return Done{};
  };
  std::vector<std::vector<Feed>> feeds;
  const std::string& main = inputs.front().name;
  for (size_t i = 0; i < kBatches.size(); ++i) {
    const int64_t rows = size_of(graph, main, 0, kBatches[i]);
    const int64_t length = size_of(graph, main, 1, kLengths[i]);
    std::vector<int64_t> tokens(static_cast<size_t>(rows * length));
    for (size_t t = 0; t < tokens.size(); ++t) tokens[t] = ids[t % ids.size()];
    OCTAVO_TRY(feeds.emplace_back(), token_feeds(inputs, tokens, rows));
    for (const Feed& feed : feeds.back()) seen[i][feed.first] = feed.second.shape();
  }
  run.texts = feeds;
  run.what = "observing shapes, run";
  OCTAVO_CHECK(model.run(std::move(run)));
  // What only one of the runs made (a branch of If) proves nothing.
  ValueShapes shapes;
  for (const auto& [value, shape] : seen[0]) {
    const auto other = seen[1].find(value);
    if (other != seen[1].end()) shapes[value] = {shape, other->second};
  }
  return shapes;
}

Result<CalibrationStats> calibrate(const StreamedModel& model,
                                   std::span<const std::vector<int64_t>> texts,
                                   std::span<const std::string> values, Gathered gathered,
                                   const Progress& progress) {
  OCTAVO_TRY(const auto inputs, read_signature_inputs(model.graph()));
  Sizes sizes(gathered);
  StreamedRun run;
  std::vector<std::vector<Feed>> feeds;
  for (const auto& ids : texts) {
    OCTAVO_TRY(feeds.emplace_back(), token_feeds(inputs, ids, 1));
  }
  run.texts = feeds;
  run.watch.assign(values.begin(), values.end());
  run.tap = [&](size_t, const std::string& value, const Tensor& tensor) {
    return sizes.add(value, tensor);
  };
  run.progress = [&](size_t done, size_t total) { report(progress, "calibrate", done, total); };
  run.what = "calibration text";
  OCTAVO_CHECK(model.run(std::move(run)));
  CalibrationStats stats;
  sizes.take(stats);
  stats.texts = texts.size();
  for (const auto& ids : texts) stats.tokens += ids.size();
  return stats;
}

}  // namespace octavo
