#pragma once
// Cuts a graph into parts that run one after another, each with a bounded amount of weights: what
// has to be in memory at once then does not grow with the depth of a model (runtime/streamed.h).
//
// A cut lies where the fewest values cross it, as a rule between two layers. What is computed from
// constants alone (a transposed weight, a table of angles) is part of every part that reads it.

#include <cstddef>
#include <string>
#include <vector>

#include "base/result.h"
#include "graph/graph.h"

namespace octavo {

struct GraphPart {
  // inputs: what the caller or an earlier part gives; those that are no inputs of the whole graph
  // have no element type yet. outputs: what later parts read, and outputs of the whole graph.
  Model model;
  std::vector<std::string> made;  // values that nodes of this part make, and of no earlier one
};

// weight_bytes: of the constants that a part's nodes read (each counted once, tables of a Gather
// and small ones not at all); a single node may have more. One part is the model as it is.
// Precondition: functions are inlined. Errors: a cycle.
Result<std::vector<GraphPart>> split_by_weights(Model model, size_t weight_bytes);

}  // namespace octavo
