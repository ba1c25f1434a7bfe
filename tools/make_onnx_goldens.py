#!/usr/bin/env python3
"""Writes tests/golden/onnx/: small ONNX files made by the onnx package (1.23.2), which is the oracle for
reading every encoding and for round trips that lose nothing. Values follow a rule that the test knows:
element i of a numeric tensor is (i * 7) mod 11 - 3 (mod 11 alone where unsigned), of a bool i odd, of a string "s<i>".
usage: make_onnx_goldens.py DIR"""

import pathlib
import sys

import ml_dtypes
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

out = pathlib.Path(sys.argv[1])
out.mkdir(parents=True, exist_ok=True)

TYPES = {
    "f32": np.float32, "u8": np.uint8, "i8": np.int8, "u16": np.uint16, "i16": np.int16, "i32": np.int32,
    "i64": np.int64, "bool": np.bool_, "f16": np.float16, "f64": np.float64, "u32": np.uint32, "u64": np.uint64,
    "bf16": ml_dtypes.bfloat16, "u4": ml_dtypes.uint4, "i4": ml_dtypes.int4,
}


def values(key, n):
    i = np.arange(n)
    if key == "bool":
        return (i % 2 == 1)
    v = (i * 7) % 11 - (0 if key.startswith("u") else 3)
    return v.astype(TYPES[key])


def typed(array, name):
    """The same tensor in the typed field instead of raw_data."""
    t = numpy_helper.from_array(array, name)
    raw = t.raw_data
    t.ClearField("raw_data")
    kind = t.data_type
    if kind == TensorProto.FLOAT:
        t.float_data.extend(array.ravel().tolist())
    elif kind == TensorProto.DOUBLE:
        t.double_data.extend(array.ravel().tolist())
    elif kind == TensorProto.INT64:
        t.int64_data.extend(array.ravel().tolist())
    elif kind in (TensorProto.UINT32, TensorProto.UINT64):
        t.uint64_data.extend(array.ravel().tolist())
    elif kind in (TensorProto.FLOAT16, TensorProto.BFLOAT16):
        t.int32_data.extend(np.frombuffer(raw, np.uint16).tolist())
    elif kind in (TensorProto.UINT4, TensorProto.INT4):
        t.int32_data.extend(np.frombuffer(raw, np.uint8).tolist())
    else:
        t.int32_data.extend(array.ravel().astype(np.int32).tolist())
    return t


def all_types():
    tensors = []
    for key in TYPES:
        array = values(key, 15).reshape(3, 5)
        tensors.append(numpy_helper.from_array(array, f"{key}_raw"))
        tensors.append(typed(array, f"{key}_typed"))
    tensors.append(numpy_helper.from_array(np.zeros((0, 4), np.float32), "empty"))
    tensors.append(numpy_helper.from_array(np.array(2.5, np.float32), "scalar"))
    tensors.append(helper.make_tensor("strings", TensorProto.STRING, [2, 2], [b"s0", b"s1", b"s2", b"s3"]))
    tensors.append(helper.make_tensor("f8", TensorProto.FLOAT8E4M3FN, [4], b"\x01\x02\x03\x04", raw=True))
    return tensors


def model(graph, **more):
    m = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8, producer_name="golden")
    for key, value in more.items():
        setattr(m, key, value)
    return m


def io(name, shape=(2, 3)):
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


identity = helper.make_node("Identity", ["x"], ["y"], name="id")
encodings = model(helper.make_graph([identity], "encodings", [io("x")], [io("y")], initializer=all_types()))
onnx.save(encodings, out / "encodings.onnx")


def everything():
    """Every kind of field a model can carry, those that newer versions of the proto added included."""
    then = helper.make_graph(
        [helper.make_node("Add", ["x", "half"], ["t"], name="in_then")], "then", [], [io("t")],
        initializer=[numpy_helper.from_array(np.array(0.5, np.float32), "half")])
    inner_if = helper.make_node(
        "If", ["cond"], ["e"], name="inner_if",
        then_branch=helper.make_graph([helper.make_node("Neg", ["x"], ["n"])], "deep_then", [], [io("n")]),
        else_branch=helper.make_graph([helper.make_node("Abs", ["x"], ["a"])], "deep_else", [], [io("a")]))
    otherwise = helper.make_graph([inner_if], "else", [], [io("e")])
    branch = helper.make_node("If", ["cond"], ["branched"], name="if", then_branch=then, else_branch=otherwise)
    constant = helper.make_node("Constant", [], ["c"], name="const",
                                value=numpy_helper.from_array(np.arange(6, dtype=np.float32).reshape(2, 3), "of_c"))
    constant.attribute[0].doc_string = "an attribute with a doc string"
    strings = helper.make_node("Constant", [], ["unused_strings"], name="strings", value_strings=["a", "b"])
    ints = helper.make_node("ReduceMean", ["branched"], ["mean"], name="mean", axes=[-1, 0], keepdims=1)
    floats = helper.make_node("Selu", ["mean"], ["act"], name="act", alpha=1.5, gamma=0.25)
    optional = helper.make_node("Clip", ["act", "", "upper"], ["clipped"], name="clip")
    seq = helper.make_node("SequenceConstruct", ["clipped", "c"], ["seq"], name="seq")
    at = helper.make_node("SequenceAt", ["seq", "zero"], ["at"], name="at")
    opt = helper.make_node("Optional", [], ["nothing"], name="opt", type=helper.make_optional_type_proto(
        helper.make_tensor_type_proto(TensorProto.FLOAT, [2])))
    sparse_node = helper.make_node("Constant", [], ["sparse_c"], name="sparse_const", sparse_value=sparse("inner"))
    call = helper.make_node("Scale", ["at"], ["scaled"], name="call", domain="local", factor=2.0)
    call.overload = "o1"
    add = helper.make_node("Add", ["scaled", "sparse"], ["y"], name="add", doc_string="adds")
    entry = add.metadata_props.add()
    entry.key, entry.value = "node", "meta"
    graph = helper.make_graph(
        [branch, constant, strings, ints, floats, optional, seq, at, opt, sparse_node, call, add], "everything",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 3], "an input"),
         helper.make_tensor_value_info("cond", TensorProto.BOOL, []),
         helper.make_tensor_value_info("unknown_rank", TensorProto.INT64, None),
         helper.make_tensor_value_info("f8_input", TensorProto.FLOAT8E5M2, [1])],
        [io("y", None)],
        initializer=[numpy_helper.from_array(np.array(3, np.float32), "upper"),
                     numpy_helper.from_array(np.array(0, np.int64), "zero")],
        doc_string="a graph",
        value_info=[helper.make_tensor_sequence_value_info("seq", TensorProto.FLOAT, ["batch", None]),
                    helper.make_tensor_value_info("mean", TensorProto.FLOAT, [None, "batch", 1]),
                    onnx.ValueInfoProto(name="typeless")],
        sparse_initializer=[sparse("sparse")])
    graph.input[0].type.denotation = "IMAGE"
    graph.input[0].type.tensor_type.shape.dim[0].denotation = "DATA_BATCH"
    graph.quantization_annotation.add().tensor_name = "x"
    graph.initializer[0].doc_string = "of an initializer"
    entry = graph.metadata_props.add()
    entry.key, entry.value = "graph", "meta"
    scale = helper.make_function(
        "local", "Scale", ["a"], ["b"],
        [helper.make_node("Constant", [], ["f"], name="f"), helper.make_node("Mul", ["a", "f"], ["b"], name="m")],
        [helper.make_opsetid("", 17)], attributes=["other"],
        attribute_protos=[helper.make_attribute("factor", 1.0)])
    ref = scale.node[0].attribute.add()
    ref.name, ref.type, ref.ref_attr_name = "value_float", onnx.AttributeProto.FLOAT, "factor"
    scale.doc_string = "a function"
    m = helper.make_model(
        graph, functions=[scale], ir_version=10, producer_name="golden", producer_version="1", domain="org.example",
        model_version=7, doc_string="a model",
        opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("local", 1)])
    for key in ("b", "a"):
        entry = m.metadata_props.add()
        entry.key, entry.value = key, "meta " + key
    m.training_info.add().algorithm.name = "training"
    m.graph.metadata_props.sort(key=lambda e: e.key)
    return m


def sparse(name):
    return helper.make_sparse_tensor(
        helper.make_tensor(name, TensorProto.FLOAT, [2], [1.0, 2.0]),
        helper.make_tensor("", TensorProto.INT64, [2], [1, 5]), [2, 3])


onnx.save(everything(), out / "everything.onnx")

# Sidecar with tensors at unaligned offsets, as other writers leave them (no alignment at all).
external = model(helper.make_graph([identity], "external", [io("x")], [io("y")], initializer=[
    numpy_helper.from_array(values("i8", 7), "seven"),
    numpy_helper.from_array(values("f32", 1000).reshape(10, 100), "unaligned"),
    numpy_helper.from_array(values("i64", 3), "three"),
]))
for name in ("external.onnx", "external.onnx.data"):
    (out / name).unlink(missing_ok=True)
onnx.save(external, out / "external.onnx", save_as_external_data=True, location="external.onnx.data", size_threshold=0,
          all_tensors_to_one_file=True)
