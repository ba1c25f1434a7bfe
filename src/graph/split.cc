#include "graph/split.h"

#include <algorithm>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include "graph/captures.h"
#include "graph/constants.h"

namespace octavo {

namespace {

// Constants below this share of the limit cost nothing worth counting.
constexpr size_t kSmall = 4096;

using Names = std::unordered_set<std::string>;

bool has_subgraph(const Node& node) {
  return std::any_of(node.attributes.begin(), node.attributes.end(), [](const auto& a) {
    return std::holds_alternative<std::shared_ptr<Graph>>(a.second);
  });
}

// Every value of the graph around it that a node reads, its subgraphs included.
std::vector<std::string> reads(const Node& node) {
  std::vector<std::string> names;
  for (const std::string& name : node.inputs)
    if (!name.empty()) names.push_back(name);
  const std::set<std::string> captured = captured_values(node);
  names.insert(names.end(), captured.begin(), captured.end());
  return names;
}

class Splitter {
 public:
  Splitter(Model model, size_t limit)
      : model_(std::move(model)), graph_(model_.graph), index_(graph_), limit_(limit) {}

  Result<std::vector<GraphPart>> split() {
    OCTAVO_CHECK(sort());
    count_crossings();
    std::vector<size_t> ends;
    for (size_t begin = 0; begin < moving_.size(); begin = ends.back())
      ends.push_back(next_cut(begin));
    std::vector<GraphPart> parts;
    if (ends.size() < 2) {
      GraphPart& whole = parts.emplace_back();
      for (const Node& node : graph_.nodes) add_made(node, whole);
      whole.model = std::move(model_);
      return parts;
    }
    for (size_t i = 0; i < ends.size(); ++i)
      parts.push_back(part(i == 0 ? 0 : ends[i - 1], ends[i], i + 1 == ends.size()));
    return parts;
  }

 private:
  // Nodes that depend on an input of the graph, in the order in which they will run, and the
  // others.
  Status sort() {
    OCTAVO_TRY(const auto order, topological_order(graph_));
    constant_.resize(graph_.nodes.size());
    for (const size_t n : order) {
      const auto names = reads(graph_.nodes[n]);
      constant_[n] = !has_subgraph(graph_.nodes[n]) &&
                     std::all_of(names.begin(), names.end(),
                                 [&](const std::string& name) { return is_constant(name); });
      if (!constant_[n]) moving_.push_back(n);
    }
    return Done{};
  }

  bool is_constant(const std::string& name) const {
    if (index_.initializer(name) != GraphIndex::kNone) return true;
    const size_t maker = index_.producer(name);
    return maker != GraphIndex::kNone && constant_[maker] != 0;
  }

  // Whether a node that depends on an input makes it.
  bool moves(const std::string& name) const {
    const size_t maker = index_.producer(name);
    return maker != GraphIndex::kNone && constant_[maker] == 0;
  }

  // crossing_[i]: values that nodes before moving_[i] make and nodes from there on read.
  void count_crossings() {
    std::unordered_map<std::string, size_t> made, last;
    for (size_t i = 0; i < moving_.size(); ++i) {
      for (const std::string& name : reads(graph_.nodes[moving_[i]])) last[name] = i;
      for (const std::string& name : graph_.nodes[moving_[i]].outputs) made[name] = i;
    }
    last_reader_ = last;
    std::vector<int64_t> change(moving_.size() + 1);
    for (const auto& [name, i] : made) {
      const auto reader = last.find(name);
      if (reader == last.end()) continue;
      ++change[i + 1];
      if (reader->second + 1 < change.size()) --change[reader->second + 1];
    }
    int64_t now = 0;
    for (const int64_t c : change) crossing_.push_back(now += c);
  }

  // Bytes of the constants that the node reads and `seen` has not.
  size_t weights(size_t n, Names& seen) const {
    const Node& node = graph_.nodes[n];
    size_t bytes = constant_value(node).bytes().size();
    const auto names = reads(node);
    for (size_t i = 0; i < names.size(); ++i) {
      if (node.op_type == "Gather" && i == 0) continue;  // rows are copied from where they lie
      const size_t at = index_.initializer(names[i]);
      if (at == GraphIndex::kNone && !is_constant(names[i])) continue;
      if (!seen.insert(names[i]).second) continue;
      if (at == GraphIndex::kNone) {
        bytes += weights(index_.producer(names[i]), seen);
        continue;
      }
      const Initializer& constant = graph_.initializers[at];
      if (const auto size = byte_count(constant.dtype(), constant.shape())) bytes += *size;
    }
    return bytes < limit_ / kSmall ? 0 : bytes;
  }

  // The end of the part that begins there: as many weights as the limit allows, or down to half of
  // that where fewer values cross.
  size_t next_cut(size_t begin) const {
    Names seen;
    std::vector<size_t> total;  // of the nodes up to and with begin + i
    size_t sum = 0;
    for (size_t i = begin; i < moving_.size(); ++i) {
      const size_t own = weights(moving_[i], seen);
      if (own > 0 && sum > 0 && sum + own > limit_) break;
      total.push_back(sum += own);
    }
    size_t best = begin + total.size();
    if (best == moving_.size()) return best;
    for (size_t end = best; end > begin && total[end - 1 - begin] >= total.back() / 2; --end)
      if (crossing_[end] < crossing_[best]) best = end;
    return best;
  }

  void add_made(const Node& node, GraphPart& part) {
    for (const std::string& name : node.outputs)
      if (!name.empty() && made_.insert(name).second) part.made.push_back(name);
  }

  GraphPart part(size_t begin, size_t end, bool last) {
    // What the part reads, from its nodes back to constants and to what comes from outside.
    std::set<size_t> nodes(moving_.begin() + static_cast<std::ptrdiff_t>(begin),
                           moving_.begin() + static_cast<std::ptrdiff_t>(end));
    std::vector<std::string> wanted;
    for (const size_t n : nodes)
      for (std::string& name : reads(graph_.nodes[n])) wanted.push_back(std::move(name));
    GraphPart out;
    Names own;
    for (const size_t n : nodes)
      for (const std::string& name : graph_.nodes[n].outputs) own.insert(name);
    for (const ValueInfo& output : graph_.outputs) {
      if (!own.contains(output.name) && !(last && !moves(output.name))) continue;
      wanted.push_back(output.name);
      out.model.graph.outputs.push_back(output);
    }
    Names known = own;
    std::set<size_t> constants;
    std::set<std::string> inputs;
    while (!wanted.empty()) {
      const std::string name = std::move(wanted.back());
      wanted.pop_back();
      if (!known.insert(name).second) continue;
      if (const size_t at = index_.initializer(name); at != GraphIndex::kNone) {
        constants.insert(at);
      } else if (is_constant(name)) {
        const size_t maker = index_.producer(name);
        nodes.insert(maker);
        for (std::string& input : reads(graph_.nodes[maker])) wanted.push_back(std::move(input));
      } else {
        inputs.insert(name);
      }
    }
    Model& model = out.model;
    model.ir_version = model_.ir_version;
    model.opset_imports = model_.opset_imports;
    model.graph.name = graph_.name;
    for (const size_t n : nodes) {
      model.graph.nodes.push_back(graph_.nodes[n]);
      add_made(graph_.nodes[n], out);
    }
    for (const size_t at : constants) model.graph.initializers.push_back(graph_.initializers[at]);
    for (const ValueInfo& input : graph_.inputs)
      if (inputs.erase(input.name) != 0) model.graph.inputs.push_back(input);
    for (const std::string& name : inputs)
      model.graph.inputs.push_back({name, DType::undefined, std::nullopt, {}});
    for (size_t i = begin; i < end; ++i) {
      for (const std::string& name : graph_.nodes[moving_[i]].outputs) {
        const auto reader = last_reader_.find(name);
        if (reader != last_reader_.end() && reader->second >= end && !index_.is_graph_output(name))
          model.graph.outputs.push_back({name, DType::undefined, std::nullopt, {}});
      }
    }
    return out;
  }

  Model model_;
  const Graph& graph_;
  GraphIndex index_;
  size_t limit_;
  std::vector<char> constant_;  // by node: it depends on constants alone
  std::vector<size_t> moving_;  // the other nodes
  std::vector<int64_t> crossing_;
  std::unordered_map<std::string, size_t> last_reader_;  // index into moving_
  Names made_;
};

}  // namespace

Result<std::vector<GraphPart>> split_by_weights(Model model, size_t weight_bytes) {
  return Splitter(std::move(model), weight_bytes).split();
}

}  // namespace octavo
