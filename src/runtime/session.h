#pragma once
// Runs an ONNX graph. create() checks that every node is an op we have, orders the nodes, folds
// constants, packs the weights of MatMul, and plans lifetimes; run() may be called from many
// threads at once.

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/thread_pool.h"
#include "graph/graph.h"
#include "tensor/tensor.h"

namespace octavo {

struct SessionOptions {
  std::shared_ptr<ThreadPool> pool;  // null: a pool of its own with `threads`
  int threads = 0;                   // 0: usable_cpus()
};

using Feed = std::pair<std::string, Tensor>;

// Sees a value as soon as it is made; an error ends the run. The tensor is valid during the call
// only (its memory is used again): clone() what should stay.
using Tap = std::function<Status(const std::string& value, const Tensor& tensor)>;

// How long one step of a run took, and what it made.
struct StepTime {
  std::string where;  // Node::describe()
  double seconds = 0;
  size_t bytes = 0;  // of its outputs
};

struct RunOptions {
  std::vector<std::string>
      outputs;  // which values to return, any value of the graph; empty: the graph's outputs
  std::vector<std::string> watch;  // values the tap sees (never folded away)
  Tap tap;
  std::vector<StepTime>* times = nullptr;  // filled with the steps in the order they ran
};

class Session {
 public:
  // Model-local functions are inlined. Errors: unsupported, listing every node whose op, version or
  // type we do not have; invalid_input.
  static Result<Session> create(Model model, const SessionOptions& options = {});
  Session(Session&&) noexcept;
  Session& operator=(Session&&) noexcept;
  ~Session();

  // Feeds are checked against the graph inputs (missing, unknown, dtype, shape). The tensors
  // returned own their bytes. Errors name the node that failed.
  Result<std::vector<Tensor>> run(std::span<const Feed> feeds,
                                  const RunOptions& options = {}) const;

  const Graph& graph() const;  // inputs and outputs as in the file
  ThreadPool& pool() const;

 private:
  struct State;
  explicit Session(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace octavo
