#include "toolkit/site_errors.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "embed/signature.h"
#include "embed/token_feeds.h"
#include "formats/onnx.h"
#include "runtime/session.h"

namespace octavo {

namespace fs = std::filesystem;

namespace {

// 4 texts of 64 tokens: 28 layers of 7 products of some 2,000 numbers are 400 MB at most.
constexpr size_t kTexts = 4;
constexpr size_t kTokens = 64;

struct Opened {
  Session session;
  std::vector<Signature::Input> inputs;
  std::set<std::string> values;                // outputs of nodes
  std::map<std::string, std::string> by_node;  // its first output
};

Result<Opened> open(const fs::path& file, const std::shared_ptr<ThreadPool>& pool) {
  OCTAVO_TRY(Model model, read_onnx(file));
  OCTAVO_TRY(Session session, Session::create(std::move(model), {.pool = pool}));
  OCTAVO_TRY(auto inputs, read_signature_inputs(session.graph()));
  Opened out{std::move(session), std::move(inputs), {}, {}};
  for (const Node& node : out.session.graph().nodes) {
    for (const std::string& value : node.outputs) out.values.insert(value);
    if (!node.outputs.empty()) out.by_node.emplace(node.name, node.outputs[0]);
  }
  return out;
}

struct Sums {
  double apart = 0, whole = 0;
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
  std::map<std::string, std::string> value_of;  // of the wanted nodes, both models have it
  std::vector<std::vector<Tensor>> expected;
  std::vector<std::string> values;
  OCTAVO_TRY(const Opened quantized, open(quantized_model, pool).within(quantized_model.string()));
  {  // The float model's packed weights are gone before the other model runs.
    OCTAVO_TRY(const Opened original, open(float_model, pool).within(float_model.string()));
    for (const std::string& node : nodes) {
      const auto found = original.by_node.find(node);
      if (found != original.by_node.end() && quantized.values.contains(found->second))
        value_of[node] = found->second;
    }
    for (const auto& [node, value] : value_of) values.push_back(value);
    if (values.empty()) return std::map<std::string, double>();
    for (const auto& text : ids) {
      OCTAVO_TRY(const auto feeds, token_feeds(original.inputs, text, 1));
      OCTAVO_TRY(expected.emplace_back(),
                 original.session.run(feeds, {.outputs = values, .watch = {}, .tap = {}}));
    }
  }
  std::map<std::string, Sums> sums;
  for (size_t t = 0; t < ids.size(); ++t) {
    OCTAVO_TRY(const auto feeds, token_feeds(quantized.inputs, ids[t], 1));
    OCTAVO_TRY(const auto actual,
               quantized.session.run(feeds, {.outputs = values, .watch = {}, .tap = {}}));
    for (size_t v = 0; v < values.size(); ++v) {
      if (actual[v].dtype() != DType::f32 || expected[t][v].dtype() != DType::f32) continue;
      const auto x = actual[v].values<float>();
      const auto y = expected[t][v].values<float>();
      if (x.size() != y.size()) continue;
      Sums& sum = sums[values[v]];
      for (size_t i = 0; i < x.size(); ++i) {
        const double apart = static_cast<double>(x[i]) - static_cast<double>(y[i]);
        sum.apart += apart * apart;
        sum.whole += static_cast<double>(y[i]) * static_cast<double>(y[i]);
      }
    }
  }
  std::map<std::string, double> out;
  for (const auto& [node, value] : value_of) {
    const Sums& sum = sums[value];
    if (sum.whole > 0) out[node] = std::sqrt(sum.apart / sum.whole);
  }
  return out;
}

}  // namespace octavo
