#include "embed/raise_probe.h"

#include <unordered_set>

#include "embed/signature.h"
#include "embed/token_feeds.h"

namespace octavo {

Result<Probe> run_raise_probe(const Session& session, std::span<const int64_t> ids) {
  const Graph& graph = session.graph();
  OCTAVO_TRY(const auto inputs, read_signature_inputs(graph));
  RunOptions options;
  for (const Node& node : graph.nodes) {
    for (const auto& out : node.outputs) {
      if (!out.empty()) options.watch.push_back(out);
    }
  }
  const auto names = probe_values(graph);
  const std::unordered_set<std::string> kept(names.begin(), names.end());
  Probe probe;
  options.tap = [&](const std::string& value, const Tensor& tensor) -> Status {
    probe.shapes[value] = tensor.shape();
    if (tensor.size() > kProbeElements || !kept.contains(value)) return Done{};
    OCTAVO_TRY(probe.values[value], tensor.clone());
    return Done{};
  };
  std::vector<int64_t> tokens(static_cast<size_t>(kProbeLength));
  for (size_t i = 0; i < tokens.size(); ++i) tokens[i] = ids[i % ids.size()];
  OCTAVO_TRY(const auto feeds, token_feeds(inputs, tokens, 1));
  for (const Feed& feed : feeds) probe.shapes[feed.first] = feed.second.shape();
  OCTAVO_CHECK(session.run(feeds, options).within("the probe run"));
  return probe;
}

}  // namespace octavo
