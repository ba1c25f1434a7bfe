"""Writes the node test cases of the onnx package to one file that the C++ runner reads.
usage: export_node_cases.py FILE

Little-endian: "OCTCASE1", u32 cases; a case: text name, text model, f64 rtol, f64 atol, u32 data
sets; a data set: values in, values out; values: u32 count, then each: u8 kind (1: a tensor, 0:
anything else), and for a tensor i32 element type, u32 rank, i64 dims, u64 bytes, the bytes. A text
is u64 bytes and the bytes.
"""
import pathlib
import struct
import sys

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.backend.test.case.node import collect_testcases


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


cases = collect_testcases(None)
out = [b"OCTCASE1", struct.pack("<I", len(cases))]
for case in cases:
    out += [text(case.name), text(case.model.SerializeToString()), struct.pack("<dd", case.rtol, case.atol)]
    out += [struct.pack("<I", len(case.data_sets))]
    for inputs, outputs in case.data_sets:
        out += [values(inputs), values(outputs)]
file = pathlib.Path(sys.argv[1])
file.write_bytes(b"".join(out))
print(f"{len(cases)} cases of onnx {onnx.__version__}, {file.stat().st_size / 1e6:.1f} MB")
