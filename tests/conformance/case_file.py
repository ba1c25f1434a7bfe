"""The file of test cases that conformance_node reads (tests/conformance/case_file.cc).

Little-endian: "OCTCASE1", u32 cases; a case: text name, text model, f64 rtol, f64 atol, u32 data
sets; a data set: values in, values out; values: u32 count, then each: u8 kind (1: a tensor, 0:
anything else), and for a tensor i32 element type, u32 rank, i64 dims, u64 bytes, the bytes. A text
is u64 bytes and the bytes.
"""
import pathlib
import struct

import numpy as np
import onnx
from onnx import numpy_helper


def text(data):
    data = data.encode() if isinstance(data, str) else data
    return struct.pack("<Q", len(data)) + data


def value(v):
    if isinstance(v, onnx.TensorProto):
        tensor = v
    elif isinstance(v, (np.ndarray, np.generic)) and np.asarray(v).dtype.kind not in "OUS":
        tensor = numpy_helper.from_array(np.asarray(v))
    else:
        return struct.pack("<B", 0)  # a sequence, an optional, strings
    raw = tensor.raw_data
    if not tensor.HasField("raw_data") or tensor.data_type == onnx.TensorProto.STRING:
        if tensor.data_type == onnx.TensorProto.STRING:
            return struct.pack("<B", 0)
        raw = numpy_helper.from_array(numpy_helper.to_array(tensor)).raw_data
    dims = list(tensor.dims)
    return struct.pack(f"<BiI{len(dims)}qQ", 1, tensor.data_type, len(dims), *dims, len(raw)) + raw


def values(vs):
    return struct.pack("<I", len(vs)) + b"".join(map(value, vs))


def write(path, cases):
    """cases: (name, serialized model, rtol, atol, [(inputs, outputs), ...])."""
    out = [b"OCTCASE1", struct.pack("<I", len(cases))]
    for name, model, rtol, atol, data_sets in cases:
        out += [text(name), text(model), struct.pack("<dd", rtol, atol), struct.pack("<I", len(data_sets))]
        for inputs, outputs in data_sets:
            out += [values(inputs), values(outputs)]
    pathlib.Path(path).write_bytes(b"".join(out))
