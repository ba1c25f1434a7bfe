#pragma once
// Initializers of a raised graph -> packed tensors (kernels.h layouts).

#include <string>
#include <vector>

#include "base/result.h"
#include "graph/graph.h"
#include "runtime/fused/compile.h"
#include "runtime/fused/spec.h"

namespace octavo::fused {

// Where one Linear node keeps its numbers; null where it has none.
struct LinearSource {
  const Node* node = nullptr;
  const Initializer* weight = nullptr;
  const Initializer* bias = nullptr;
  const Initializer* scale = nullptr;
  const Initializer* zero_point = nullptr;
  const Initializer* factor = nullptr;
  WeightKind kind = WeightKind::f32;
  RowScales scales = RowScales::tensor;
  size_t k = 0;
  size_t n = 0;
};

// Errors: unsupported (a type or zero point that the kernels cannot take), naming the node.
Status describe_linear(LinearSource& source);

// One packed linear of these sources side by side, a section each; gated: the two alternate by 32
// columns. Appends its tensors.
LinearSpec pack_linear(const std::string& name, std::vector<LinearSource> sources, bool gated,
                       std::vector<PackedTensor>& tensors);

// A vector of n floats from an initializer of any float type and of n elements. Errors:
// unsupported.
Result<std::vector<float>> read_floats(const Initializer& initializer, size_t n);

}  // namespace octavo::fused
