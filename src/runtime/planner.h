#pragma once
// Turns a graph into a Plan. One planner a graph; the body of an If or Loop has a planner of its
// own that finds what it reads from outside in the planner around it.

#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "runtime/arena.h"
#include "runtime/plan.h"
#include "runtime/subgraph.h"

namespace octavo {

class Planner final : public SubgraphCompiler {
 public:
  Planner(const std::map<std::string, int64_t>& opsets, const PlanOptions& options,
          Planner* outer = nullptr)
      : opsets_(opsets), options_(options), outer_(outer) {}

  // Errors end planning; a node without an op only adds to problems(), so that all of them can be
  // named at once.
  Status add_graph(const Graph& graph);
  // The same for a graph whose initializers are this session's own: bytes on the heap that every op
  // has packed or folded are freed at once.
  Status add_own_graph(Graph& graph);

  const std::vector<Error>& problems() const { return problems_; }
  // What this graph reads from the one around it: the value there, the value here.
  const std::vector<std::pair<int, int>>& captures() const { return captures_; }
  Plan take();

  Result<std::unique_ptr<Subgraph>> compile(const Graph& graph) override;

 private:
  using Scope = std::unordered_map<std::string, int>;

  int new_value(const std::string& name);
  // The value of that name, innermost scope first, then the planner around; -1 when there is none.
  int lookup(const std::string& name);
  Status load(int id);
  bool is_constant(int id) const { return plan_.constants[static_cast<size_t>(id)].defined(); }

  Status add_nodes(const Graph& graph);
  Status add_node(const Node& node);
  // An If whose condition is known: its branch becomes part of this graph.
  Status add_branch(const Node& node, bool condition);
  // Whether the step's results are constants now.
  bool fold(const Step& step);
  void release_constants(const OpInit& init, const Step& step, bool folded);
  void release(int id);

  const std::map<std::string, int64_t>& opsets_;
  PlanOptions options_;
  Planner* outer_;
  Plan plan_;
  std::vector<Scope> scopes_;
  std::unordered_map<int, const Initializer*> unloaded_;  // whose bytes nobody has asked for
  std::unordered_map<int, Initializer*> own_;
  std::unordered_map<int, size_t> uses_;  // of an initializer: reads not planned yet
  std::vector<char> read_;                // by value: a step reads it in run()
  std::vector<std::pair<int, int>> captures_;
  std::vector<int> node_captures_;  // of the node being planned
  std::vector<Error> problems_;
  std::unique_ptr<Arena> fold_arena_;
};

}  // namespace octavo
