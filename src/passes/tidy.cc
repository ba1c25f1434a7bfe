#include "passes/tidy.h"

#include <algorithm>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

namespace octavo {

namespace {

// Names read inside a graph that it does not define itself.
void read_names(const Graph& graph, std::unordered_set<std::string>& out) {
  std::unordered_set<std::string> own;
  for (const auto& v : graph.inputs) own.insert(v.name);
  for (const auto& i : graph.initializers) own.insert(i.name());
  std::unordered_set<std::string> read;
  for (const auto& n : graph.nodes) {
    own.insert(n.outputs.begin(), n.outputs.end());
    read.insert(n.inputs.begin(), n.inputs.end());
    for (const auto& [key, value] : n.attributes) {
      if (const auto* sub = std::get_if<std::shared_ptr<Graph>>(&value)) read_names(**sub, read);
    }
  }
  for (const auto& v : graph.outputs) read.insert(v.name);
  for (const auto& name : read) {
    if (!own.contains(name)) out.insert(name);
  }
}

std::unordered_set<std::string> read_by_subgraphs(const Node& node) {
  std::unordered_set<std::string> out;
  for (const auto& [key, value] : node.attributes) {
    if (const auto* sub = std::get_if<std::shared_ptr<Graph>>(&value)) read_names(**sub, out);
  }
  return out;
}

std::vector<size_t> breadth_first(const Graph& graph) {
  const size_t count = graph.nodes.size();
  std::vector<size_t> waits(count, 0);
  std::unordered_map<std::string, std::vector<size_t>> readers;
  std::vector<size_t> order;
  for (size_t n = 0; n < count; ++n) {
    for (const auto& in : graph.nodes[n].inputs) {
      if (in.empty()) continue;
      ++waits[n];
      readers[in].push_back(n);
    }
    if (waits[n] == 0) order.push_back(n);
  }
  const auto known = [&](const std::string& value) {
    const auto it = readers.find(value);
    if (it == readers.end()) return;
    for (const size_t n : it->second) {
      if (--waits[n] == 0) order.push_back(n);
    }
  };
  std::set<std::string> given;  // sorted, each once
  for (const auto& i : graph.initializers) given.insert(i.name());
  for (const auto& v : graph.inputs) given.insert(v.name);
  for (const auto& name : given) known(name);
  for (size_t at = 0; at < order.size(); ++at) {
    for (const auto& out : graph.nodes[order[at]].outputs) known(out);
  }
  return order;
}

bool subgraphs_come_late_enough(const Graph& graph, const std::vector<size_t>& order) {
  std::unordered_map<std::string, size_t> made_by;
  for (size_t n = 0; n < graph.nodes.size(); ++n) {
    for (const auto& out : graph.nodes[n].outputs) made_by.emplace(out, n);
  }
  std::vector<bool> done(graph.nodes.size(), false);
  for (const size_t n : order) {
    for (const auto& name : read_by_subgraphs(graph.nodes[n])) {
      const auto it = made_by.find(name);
      if (it != made_by.end() && !done[it->second]) return false;
    }
    done[n] = true;
  }
  return true;
}

}  // namespace

void drop_unused_initializers(Graph& graph) {
  std::unordered_set<std::string> read;
  for (const auto& n : graph.nodes) {
    read.insert(n.inputs.begin(), n.inputs.end());
    read.merge(read_by_subgraphs(n));
  }
  for (const auto& v : graph.outputs) read.insert(v.name);
  // A node that makes a value of the name takes the initializer's place.
  for (const auto& n : graph.nodes) {
    for (const auto& out : n.outputs) read.erase(out);
  }
  std::unordered_set<std::string> dropped;
  std::erase_if(graph.initializers, [&](const Initializer& i) {
    if (read.contains(i.name())) return false;
    dropped.insert(i.name());
    return true;
  });
  for (auto* values : {&graph.inputs, &graph.value_info})
    std::erase_if(*values, [&](const ValueInfo& v) { return dropped.contains(v.name); });
}

Status sort_breadth_first(Graph& graph) {
  std::vector<size_t> order = breadth_first(graph);
  if (order.size() != graph.nodes.size() || !subgraphs_come_late_enough(graph, order)) {
    OCTAVO_TRY(order, topological_order(graph));
  }
  std::vector<Node> nodes;
  nodes.reserve(order.size());
  for (const size_t n : order) nodes.push_back(std::move(graph.nodes[n]));
  graph.nodes = std::move(nodes);
  return Done{};
}

}  // namespace octavo
