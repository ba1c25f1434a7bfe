#pragma once
// Quantization scales must be finite and positive: kernels rely on it (they divide by them and
// compare rounded values), and a NaN here would come out as a vector of NaN. Private to formats.

#include "base/result.h"
#include "graph/graph.h"

namespace octavo {

// Looks at every constant that an op uses as a scale. Errors name the node, the tensor and the
// element.
Status check_scales(const Graph& graph);

}  // namespace octavo
