#pragma once
// Calls of model-local functions -> their bodies, nested ones and those inside subgraphs included.
// Used to write files that every tool reads, and by the runtime for foreign models that carry
// functions. A node of the body keeps the place it came from: "Pow" in the body of
// "/layers.0/input_layernorm/RMSNorm" becomes "/layers.0/input_layernorm/RMSNorm/Pow".
// Spec: onnx/docs/IR.md, "Functions".

#include "base/result.h"
#include "graph/graph.h"

namespace octavo {

// Afterwards the model has no functions, and imports the domains that its nodes use. Errors:
// invalid_input naming the call (too many inputs or outputs, a function that calls itself);
// unsupported (two functions of one name, bodies written for another opset than the model's, more
// than 200,000 nodes).
Status inline_functions(Model& model);

}  // namespace octavo
