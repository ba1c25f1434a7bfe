#pragma once
// A raised graph (graph/raised_ops.h) -> the spec of a fused encoder and the recipe of every tensor
// that it names. Nothing is packed here: `make` does that for one tensor at a time, so that a model
// of any size is written to a packed file with one tensor in memory.

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "graph/graph.h"
#include "runtime/fused/spec.h"
#include "tensor/tensor.h"

namespace octavo::fused {

struct PackedTensor {
  std::string name;
  DType dtype = DType::undefined;
  Shape shape;
  std::function<Result<Tensor>()> make;
};

struct Compiled {
  EncoderSpec spec;
  std::vector<PackedTensor> tensors;
  // The embedding table stays as it is: "embed.table" is this initializer.
  std::string table;
};

// positions: value of each position input of the graph, float32 [positions][width]; empty when it
// has none. The model must outlive what is made: tensors read its initializers. Errors:
// unsupported, naming the node that is not where a layer of an encoder has it.
Result<Compiled> compile(const Model& raised, const std::map<std::string, Tensor>& positions);

}  // namespace octavo::fused
