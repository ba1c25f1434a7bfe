#include "toolkit/site_errors.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <mutex>
#include <numeric>
#include <set>
#include <utility>

#include "embed/signature.h"
#include "embed/token_feeds.h"
#include "formats/onnx.h"
#include "runtime/streamed.h"

namespace octavo {

namespace fs = std::filesystem;

namespace {

// 4 texts of 64 tokens: 28 layers of 7 products of some 2,000 numbers are 400 MB at most.
constexpr size_t kTexts = 4;
constexpr size_t kTokens = 64;

struct Opened {
  StreamedModel model;
  std::vector<std::vector<Feed>> feeds;
  std::set<std::string> values;                // outputs of nodes
  std::map<std::string, std::string> by_node;  // its first output
};

Result<Opened> open(const fs::path& file, std::span<const std::vector<int64_t>> ids,
                    const std::shared_ptr<ThreadPool>& pool) {
  OCTAVO_TRY(Model model, read_onnx(file));
  OCTAVO_TRY(auto streamed, StreamedModel::create(std::move(model), {.pool = pool}));
  Opened out{std::move(streamed), {}, {}, {}};
  OCTAVO_TRY(const auto inputs, read_signature_inputs(out.model.graph()));
  for (const auto& text : ids) {
    OCTAVO_TRY(out.feeds.emplace_back(), token_feeds(inputs, text, 1));
  }
  for (const Node& node : out.model.graph().nodes) {
    for (const std::string& value : node.outputs) out.values.insert(value);
    if (!node.outputs.empty()) out.by_node.emplace(node.name, node.outputs[0]);
  }
  return out;
}

struct Sums {
  double apart = 0, whole = 0;
};

// Values of two models that run side by side: each waits for its partner and is let go of then.
class Pairs {
 public:
  enum Side : uint8_t { kFloat, kQuantized };

  Status add(Side side, size_t text, const std::string& value, const Tensor& tensor) {
    const std::lock_guard lock(mutex_);
    ++made_[side];
    auto& others = waiting_[1 - side];
    const auto other = others.find({value, text});
    if (other == others.end()) {
      OCTAVO_TRY((waiting_[side][{value, text}]), tensor.clone());
      return Done{};
    }
    const Tensor partner = std::move(other->second);
    others.erase(other);
    if (side == kFloat) {
      compare(text, value, partner, tensor);
    } else {
      compare(text, value, tensor, partner);
    }
    return Done{};
  }
  size_t made(Side side) const { return made_[side]; }

  // Relative error over all texts, negative where the float model gave zeros.
  double error(const std::string& value) const {
    Sums total;
    for (auto at = sums_.lower_bound({value, 0}); at != sums_.end() && at->first.first == value;
         ++at) {
      total.apart += at->second.apart;
      total.whole += at->second.whole;
    }
    return total.whole > 0 ? std::sqrt(total.apart / total.whole) : -1;
  }

 private:
  using Key = std::pair<std::string, size_t>;

  void compare(size_t text, const std::string& value, const Tensor& quantized,
               const Tensor& original) {
    if (quantized.dtype() != DType::f32 || original.dtype() != DType::f32) return;
    const auto x = quantized.values<float>();
    const auto y = original.values<float>();
    if (x.size() != y.size()) return;
    Sums& sum = sums_[{value, text}];
    for (size_t i = 0; i < x.size(); ++i) {
      const double apart = static_cast<double>(x[i]) - static_cast<double>(y[i]);
      sum.apart += apart * apart;
      sum.whole += static_cast<double>(y[i]) * static_cast<double>(y[i]);
    }
  }

  std::mutex mutex_;
  std::array<std::map<Key, Tensor>, 2> waiting_;
  std::array<size_t, 2> made_ = {};
  std::map<Key, Sums> sums_;
};

}  // namespace

std::vector<std::vector<int64_t>> texts_for_errors(std::span<const std::vector<int64_t>> ids) {
  std::vector<size_t> order(ids.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return ids[a].size() < ids[b].size(); });
  const size_t count = std::min(kTexts, ids.size());
  std::vector<std::vector<int64_t>> out;
  for (size_t i = 0; i < count; ++i) {
    out.push_back(ids[order[count == 1 ? 0 : i * (ids.size() - 1) / (count - 1)]]);
    if (out.back().size() > kTokens) out.back().resize(kTokens);
  }
  return out;
}

double joint_error(const std::map<std::string, double>& errors,
                   std::span<const std::string> nodes) {
  double squares = 0;
  size_t count = 0;
  for (const std::string& node : nodes) {
    const auto found = errors.find(node);
    if (found == errors.end()) continue;
    squares += found->second * found->second;
    ++count;
  }
  return count == 0 ? -1 : std::sqrt(squares / static_cast<double>(count));
}

Result<std::map<std::string, double>> node_errors(const fs::path& float_model,
                                                  const fs::path& quantized_model,
                                                  std::span<const std::vector<int64_t>> ids,
                                                  std::span<const std::string> nodes,
                                                  const std::shared_ptr<ThreadPool>& pool) {
  OCTAVO_TRY(const Opened quantized,
             open(quantized_model, ids, pool).within(quantized_model.string()));
  OCTAVO_TRY(const Opened original, open(float_model, ids, pool).within(float_model.string()));
  std::map<std::string, std::string> value_of;  // of the wanted nodes, both models have it
  std::set<std::string> values;
  for (const std::string& node : nodes) {
    const auto found = original.by_node.find(node);
    if (found == original.by_node.end() || !quantized.values.contains(found->second)) continue;
    value_of[node] = found->second;
    values.insert(found->second);
  }
  if (values.empty()) return std::map<std::string, double>();

  Pairs pairs;
  const auto pass_of = [&](const Opened& opened, Pairs::Side side) {
    StreamedRun run;
    run.texts = opened.feeds;
    run.watch.assign(values.begin(), values.end());
    run.tap = [&pairs, side](size_t text, const std::string& value, const Tensor& tensor) {
      return pairs.add(side, text, value, tensor);
    };
    return StreamedPass(opened.model, std::move(run));
  };
  StreamedPass a = pass_of(original, Pairs::kFloat);
  StreamedPass b = pass_of(quantized, Pairs::kQuantized);
  // The one that is behind goes on, so that little waits, whatever the depth.
  while (!a.done() || !b.done()) {
    const bool first =
        b.done() || (!a.done() && pairs.made(Pairs::kFloat) <= pairs.made(Pairs::kQuantized));
    OCTAVO_CHECK((first ? a : b).step().within((first ? float_model : quantized_model).string()));
  }
  std::map<std::string, double> out;
  for (const auto& [node, value] : value_of) {
    const double error = pairs.error(value);
    if (error >= 0) out[node] = error;
  }
  return out;
}

}  // namespace octavo
