#pragma once
// Model pieces -> protobuf messages. Initializers of the main graph are not among them: the writer
// streams those. Private to formats.

#include "base/result.h"
#include "formats/onnx_proto.h"
#include "graph/graph.h"

namespace octavo {

// Errors: a tensor that cannot be computed, an initializer too large for protobuf.
Result<onnx::NodeProto> node_proto(const Node& node);
Result<onnx::FunctionProto> function_proto(const Function& function);
onnx::ValueInfoProto value_info_proto(const ValueInfo& value);
// With its initializers (a subgraph) or without (the main graph).
Result<onnx::GraphProto> graph_proto(const Graph& graph, bool with_initializers);
// Without its graph.
Result<onnx::ModelProto> model_proto(const Model& model);

// An initializer that is stored inside the file as protobuf fields: opaque ones and typed_fields.
Result<onnx::TensorProto> tensor_proto(const Initializer& initializer);
onnx::SparseTensorProto sparse_proto(const Initializer& initializer);

}  // namespace octavo
