#pragma once
// What an op is to the executor. An Op is made once from a Node by a factory in the registry, which
// checks the attributes, may look at constant inputs and pack them; afterwards run() is called by
// many threads at once and keeps no state. How to add one: docs/adding-an-op.md.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/thread_pool.h"
#include "graph/graph.h"
#include "kernels/kernels.h"
#include "tensor/tensor.h"

namespace octavo {

class Frame;
struct Step;
class OpContext;
class SubgraphCompiler;

class Op {
 public:
  Op() = default;
  Op(const Op&) = delete;
  Op& operator=(const Op&) = delete;
  virtual ~Op() = default;
  // Errors need not name the node: the executor puts its describe() in front.
  virtual Status run(OpContext& context) const = 0;
};

// A tensor and, when its bytes lie in the run's arena, the block that holds them (-1: elsewhere).
struct RunValue {
  Tensor tensor;
  int block = -1;
};

// The body of an If or Loop, compiled. What it reads from outside is found by the executor.
class Subgraph {
 public:
  virtual ~Subgraph() = default;
  virtual size_t inputs() const = 0;
  virtual size_t outputs() const = 0;
  // Takes one value for every input. The values returned are the caller's to give on
  // (OpContext::give) or to drop (OpContext::drop).
  virtual Result<std::vector<RunValue>> run(OpContext& context,
                                            std::vector<RunValue> inputs) const = 0;
};

// What a factory sees of the node it makes an op for.
class OpInit {
 public:
  OpInit(const Node& node, int64_t opset, std::vector<const Tensor*> constants, ThreadPool& pool,
         const kernels::Table& kernels, SubgraphCompiler* compiler = nullptr)
      : node_(node),
        opset_(opset),
        constants_(std::move(constants)),
        dropped_(node.inputs.size()),
        pool_(pool),
        kernels_(kernels),
        compiler_(compiler) {}

  const Node& node() const { return node_; }
  // Version of the node's domain that the model imports: 17 also for an op last changed in 13.
  int64_t opset() const { return opset_; }

  size_t inputs() const { return node_.inputs.size(); }
  size_t outputs() const { return node_.outputs.size(); }
  bool has_input(size_t i) const { return i < inputs() && !node_.inputs[i].empty(); }
  bool has_output(size_t i) const { return i < outputs() && !node_.outputs[i].empty(); }

  // The input's bytes when they are known before any run (initializers, folded values), else null.
  // Valid only inside the factory.
  const Tensor* constant(size_t i) const { return i < constants_.size() ? constants_[i] : nullptr; }
  // The op keeps what it needs of constant input i (packed, or converted) and will not ask for it
  // in run(), where input(i) may then be null. The session lets go of the bytes when nobody else
  // reads them, and gives file-backed pages back. Precondition: constant(i) is not null.
  void drop(size_t i) { dropped_[i] = true; }
  bool dropped(size_t i) const { return dropped_[i]; }

  ThreadPool& pool() const { return pool_; }
  const kernels::Table& kernels() const { return kernels_; }

  // Compiles the graph in that attribute. Errors: no such graph, or what is wrong with it.
  Result<std::unique_ptr<Subgraph>> subgraph(const std::string& attribute);

 private:
  const Node& node_;
  int64_t opset_;
  std::vector<const Tensor*> constants_;
  std::vector<bool> dropped_;
  ThreadPool& pool_;
  const kernels::Table& kernels_;
  SubgraphCompiler* compiler_;
};

// What run() sees: inputs, memory for outputs, threads, kernels.
class OpContext {
 public:
  OpContext(Frame& frame, const Step& step) : frame_(frame), step_(step) {}

  size_t inputs() const;
  size_t outputs() const;
  // Null when the optional input is absent (or was dropped by the factory).
  const Tensor* input(size_t i) const;
  // Precondition: the registry's minimum says that input i is there.
  const Tensor& required(size_t i) const { return *input(i); }
  // Whether anybody reads output i: an optional output may be left out otherwise.
  bool wants(size_t i) const;

  // Uninitialised memory for output i, valid until run() returns. Errors: a bad shape, too large.
  Result<Tensor*> output(size_t i, DType dtype, Shape shape);
  // The same, in the very bytes of one of `inputs` if this is its last use, it lies in the arena
  // and has as many bytes: for ops that read element i of it before they write element i, never
  // after.
  Result<Tensor*> output_over(size_t i, DType dtype, Shape shape, std::span<const size_t> inputs);
  // Output i is input j under another shape: no bytes are copied. Errors: element counts differ.
  Status output_view(size_t i, size_t j, Shape shape);
  // Input i as a value to hand to a subgraph; empty when absent.
  RunValue share(size_t i) const;
  // Output i is this value (of a subgraph's run).
  void give(size_t i, RunValue value);
  void drop(RunValue& value);
  // Uninitialised, 64-byte aligned, given back when run() returns.
  Result<std::span<std::byte>> scratch(size_t bytes);

  ThreadPool& pool() const;
  const kernels::Table& kernels() const;
  Frame& frame() const { return frame_; }
  const Step& step() const { return step_; }

 private:
  Frame& frame_;
  const Step& step_;
};

}  // namespace octavo
