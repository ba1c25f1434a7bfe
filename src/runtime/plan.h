#pragma once
// A graph made ready to run: values numbered, nodes turned into steps with their ops, what is
// constant computed. A Schedule is the part of a plan that a given set of results needs, with the
// place where each value dies.

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "graph/graph.h"
#include "runtime/op.h"

namespace octavo {

struct Step {
  std::shared_ptr<const Op> op;
  std::vector<int> inputs;    // value numbers, -1 for an absent one
  std::vector<int> outputs;   // the same
  std::vector<int> captures;  // values that subgraphs read besides
  std::string where;          // Node::describe()
};

struct Plan {
  std::vector<std::string> names;            // of each value
  std::unordered_map<std::string, int> ids;  // of the names that can be asked for
  std::vector<Tensor> constants;             // by value number; undefined: not constant or not kept
  std::vector<Step> steps;                   // in an order that may be run
  std::vector<int> inputs;
  std::vector<int> outputs;
};

struct Schedule {
  std::vector<size_t> steps;
  std::vector<std::vector<int>> dying;  // beside steps: values that nobody needs afterwards
  std::vector<char> used;               // by value number: somebody reads it or it was asked for
  std::vector<char> kept;               // by value number: asked for, never dies
};

// `results` never die; `seen` need only be made (and so may be folded or die at once).
Schedule make_schedule(const Plan& plan, const std::vector<int>& results,
                       const std::vector<int>& seen);

struct PlanOptions {
  ThreadPool* pool = nullptr;
  const kernels::Table* kernels = nullptr;
};

// Errors: unsupported, listing every node without an op at its version; invalid_input.
// Initializers of `model` that every op has packed are let go of.
Result<Plan> make_plan(Model& model, const PlanOptions& options);

}  // namespace octavo
