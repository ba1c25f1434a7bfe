#pragma once
// How an op with a body (If, Loop) gets it compiled: the planner implements this, so that op.h need
// not know about plans.

#include <memory>

#include "graph/graph.h"
#include "runtime/op.h"

namespace octavo {

class SubgraphCompiler {
 public:
  virtual ~SubgraphCompiler() = default;
  virtual Result<std::unique_ptr<Subgraph>> compile(const Graph& graph) = 0;
};

}  // namespace octavo
