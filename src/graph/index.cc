#include <queue>
#include <set>
#include <string>
#include <vector>

#include "graph/captures.h"
#include "graph/graph.h"

namespace octavo {

namespace {

// Every outer value that the subgraphs of a node read: names used inside but not defined there.
void free_names(const Graph& graph, std::set<std::string> defined, std::set<std::string>& free) {
  for (const auto& v : graph.inputs) defined.insert(v.name);
  for (const auto& i : graph.initializers) defined.insert(i.name());
  for (const auto& n : graph.nodes) defined.insert(n.outputs.begin(), n.outputs.end());
  const auto use = [&](const std::string& name) {
    if (!name.empty() && !defined.contains(name)) free.insert(name);
  };
  for (const auto& n : graph.nodes) {
    for (const auto& in : n.inputs) use(in);
    for (const auto& [key, value] : n.attributes) {
      if (const auto* sub = std::get_if<std::shared_ptr<Graph>>(&value))
        free_names(**sub, defined, free);
    }
  }
  for (const auto& o : graph.outputs) use(o.name);
}

}  // namespace

std::set<std::string> captured_values(const Node& node) {
  std::set<std::string> free;
  for (const auto& [key, value] : node.attributes) {
    if (const auto* sub = std::get_if<std::shared_ptr<Graph>>(&value)) free_names(**sub, {}, free);
  }
  return free;
}

GraphIndex::GraphIndex(const Graph& graph) {
  for (const auto& v : graph.inputs) entries_[v.name].input = true;
  for (const auto& v : graph.outputs) entries_[v.name].output = true;
  for (size_t i = 0; i < graph.initializers.size(); ++i)
    entries_[graph.initializers[i].name()].initializer = i;
  for (size_t n = 0; n < graph.nodes.size(); ++n) {
    const Node& node = graph.nodes[n];
    for (const auto& out : node.outputs) {
      if (!out.empty()) entries_[out].producer = n;
    }
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      if (!node.inputs[i].empty()) entries_[node.inputs[i]].uses.push_back({n, i});
    }
    for (const auto& name : captured_values(node)) entries_[name].uses.push_back({n, kNone});
  }
}

const GraphIndex::Entry* GraphIndex::find(std::string_view value) const {
  const auto it = entries_.find(std::string(value));
  return it == entries_.end() ? nullptr : &it->second;
}

size_t GraphIndex::producer(std::string_view value) const {
  const auto* e = find(value);
  return e != nullptr ? e->producer : kNone;
}

const std::vector<GraphIndex::Use>& GraphIndex::uses(std::string_view value) const {
  static const std::vector<Use> none;
  const auto* e = find(value);
  return e != nullptr ? e->uses : none;
}

size_t GraphIndex::initializer(std::string_view value) const {
  const auto* e = find(value);
  return e != nullptr ? e->initializer : kNone;
}

bool GraphIndex::is_graph_input(std::string_view value) const {
  const auto* e = find(value);
  return e != nullptr && e->input;
}

bool GraphIndex::is_graph_output(std::string_view value) const {
  const auto* e = find(value);
  return e != nullptr && e->output;
}

Result<std::vector<size_t>> topological_order(const Graph& graph) {
  const size_t count = graph.nodes.size();
  std::unordered_map<std::string, size_t> maker;
  for (size_t n = 0; n < count; ++n) {
    for (const auto& out : graph.nodes[n].outputs) {
      if (!out.empty()) maker[out] = n;
    }
  }
  std::vector<std::vector<size_t>> users(count);
  std::vector<size_t> waits(count, 0);
  for (size_t n = 0; n < count; ++n) {
    std::set<size_t> before;
    const auto depend = [&](const std::string& name) {
      const auto it = maker.find(name);
      if (it != maker.end()) before.insert(it->second);
    };
    for (const auto& in : graph.nodes[n].inputs) depend(in);
    for (const auto& name : captured_values(graph.nodes[n])) depend(name);
    waits[n] = before.size();
    for (const size_t b : before) users[b].push_back(n);
  }
  std::priority_queue<size_t, std::vector<size_t>, std::greater<>>
      ready;  // lowest index first: stable
  for (size_t n = 0; n < count; ++n) {
    if (waits[n] == 0) ready.push(n);
  }
  std::vector<size_t> order;
  order.reserve(count);
  while (!ready.empty()) {
    const size_t n = ready.top();
    ready.pop();
    order.push_back(n);
    for (const size_t u : users[n]) {
      if (--waits[u] == 0) ready.push(u);
    }
  }
  if (order.size() == count) return order;
  for (size_t n = 0; n < count; ++n) {
    if (waits[n] != 0)
      return Error{Code::invalid_input, graph.nodes[n].describe() + " is part of a cycle"};
  }
  return Error{Code::internal, "topological_order lost a node"};
}

}  // namespace octavo
