#pragma once
// TensorProto <-> Tensor, in all of its encodings: raw_data, the typed fields, external data.
// Private to formats.

#include "base/result.h"
#include "formats/external_data.h"
#include "formats/onnx_proto.h"
#include "graph/graph.h"
#include "tensor/tensor.h"

namespace octavo {

// Takes the value out of `proto` (element type, dims, data), leaving what is not modelled. Bytes
// are borrowed: from raw_data, which the tensor takes over, or from the mapped sidecar. Errors:
// dims, data that does not fit them, values out of the element type's range, external data.
// Precondition: holds_tensor(proto).
Result<Tensor> take_tensor(onnx::TensorProto& proto, ExternalData& external);

// Whether a Tensor can hold it: not strings, complex numbers, 8-bit floats, segments.
bool holds_tensor(const onnx::TensorProto& proto);

// The same for an initializer. What a Tensor cannot hold is kept as it is in `opaque`, with its
// external data moved inside; tensor() of such an initializer is an error.
Result<Initializer> take_initializer(onnx::TensorProto& proto, ExternalData& external);
Result<Initializer> take_sparse_initializer(onnx::SparseTensorProto& proto, ExternalData& external);

// Element type, dims and raw_data.
void put_raw(const Tensor& tensor, onnx::TensorProto& proto);
// Element type, dims and float_data, int32_data, ... as the type asks for.
void put_typed(const Tensor& tensor, onnx::TensorProto& proto);

}  // namespace octavo
