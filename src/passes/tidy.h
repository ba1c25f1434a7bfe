#pragma once
// Small clean-ups after a rewrite.

#include "graph/graph.h"

namespace octavo {

// Drops initializers that nothing reads, and the graph inputs and value_info of the same name.
void drop_unused_initializers(Graph& graph);

// Orders the nodes breadth-first from the constants and inputs, as ONNX Runtime's quantizer does:
// first nodes without inputs, then those that wait for nothing more, taking initializers and graph
// inputs by name. Where that order would put a node before a value that its subgraph reads, the
// nodes keep their own order instead. Errors: a cycle.
Status sort_breadth_first(Graph& graph);

}  // namespace octavo
