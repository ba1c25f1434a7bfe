"""Small ONNX graphs for the oracles of quantization, and onnxruntime sessions to run them."""
import pathlib
import re

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load_file

from conftest import SOURCE

FOREIGN = sorted((SOURCE / "tests" / "golden" / "foreign").glob("*.onnx"))


def foreign_feeds(path):
    """The first batch, padded on the right, that lies beside a model of tests/golden/foreign."""
    arrays = load_file(path.with_suffix(".safetensors"))
    return {i.name: arrays["0.right." + i.name] for i in session(path).get_inputs()}


HAS_VNNI = re.search(r"\bavx(512)?_vnni\b", pathlib.Path("/proc/cpuinfo").read_text()) is not None


def unsaturated(model):
    """The model's bytes with its INT8 weights as uint8, 128 more, and the zero points likewise: the same integers come out.
    onnxruntime's kernel for u8 x s8 on CPUs without VNNI adds pairs of products in 16 bits that saturate, the one for u8 x u8
    does not; its own session.x64quantprecision does this only while optimizing, and fails at a weight with two readers. On
    other CPUs the model stays as it is."""
    if HAS_VNNI:
        return model.SerializeToString()
    none = numpy_helper.from_array(np.int8(0), "unsaturated_zero_point")
    model.graph.initializer.append(none)
    values = {i.name: numpy_helper.to_array(i) for i in model.graph.initializer}
    shifted = set()
    for node in model.graph.node:
        if node.op_type != "MatMulInteger" or node.input[1] not in values or values[node.input[1]].dtype != np.int8:
            continue
        if len(node.input) < 4:
            node.input.extend([""] * (3 - len(node.input)) + [none.name])
        shifted |= {node.input[1], node.input[3]}
    for initializer in model.graph.initializer:
        if initializer.name in shifted:
            moved = (values[initializer.name].astype(np.int16) + 128).astype(np.uint8)
            initializer.CopyFrom(numpy_helper.from_array(moved, initializer.name))
    return model.SerializeToString()


def unsaturated_file(path, folder):
    """The file itself where CPUs compute it exactly, else one in the folder with the same products."""
    if HAS_VNNI:
        return path
    file = folder / "unsaturated.onnx"
    file.write_bytes(unsaturated(onnx.load(path)))
    return file


def session(path, optimize=True):
    options = ort.SessionOptions()
    options.log_severity_level = 3
    if not optimize:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    source = str(path) if HAS_VNNI else unsaturated(onnx.load(path))
    return ort.InferenceSession(source, options, providers=["CPUExecutionProvider"])


def feeds(path, seed=0):
    random = np.random.default_rng(seed)
    out = {}
    for i in session(path).get_inputs():
        shape = [d if isinstance(d, int) else 3 for d in i.shape]
        if i.type == "tensor(int64)":
            out[i.name] = np.ones(shape, np.int64)
        else:
            out[i.name] = random.standard_normal(shape).astype(np.float32)
    return out


def graph_model(tmp_path, nodes, inputs, outputs, weights, opset=17, ir_version=8, **graph_options):
    def info(name, shape):
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    tensors = [w if isinstance(w, TensorProto) else numpy_helper.from_array(w[1], w[0]) for w in weights]
    graph = helper.make_graph(nodes, "g", [info(*i) for i in inputs], [info(*o) for o in outputs], tensors,
                              **graph_options)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir_version)
    path = tmp_path / "source.onnx"
    onnx.save(model, path)
    return path


def weight(*shape, seed=1, scale=0.3):
    return (np.random.default_rng(seed).standard_normal(shape) * scale).astype(np.float32)


# A graph with what a transformer layer has: a shared input, a chain, a residual, products of activations.
def layer(tmp_path, opset=17, named=True):
    def node(op, inputs, outputs, **more):
        return helper.make_node(op, inputs, outputs, name="/layer/" + outputs[0] if named else "", **more)

    nodes = [node("MatMul", ["x", "wq"], ["q"]), node("MatMul", ["x", "wk"], ["k"]), node("MatMul", ["x", "wv"], ["v"]),
             node("Transpose", ["k"], ["kt"], perm=[0, 2, 1]), node("MatMul", ["q", "kt"], ["s"]),
             node("Softmax", ["s"], ["p"], axis=-1), node("MatMul", ["p", "v"], ["o"]),
             node("MatMul", ["o", "wo"], ["a"]), node("Add", ["a", "x"], ["r"]), node("MatMul", ["r", "up"], ["u"]),
             node("Add", ["u", "ub"], ["ub_out"]), node("Relu", ["ub_out"], ["h"]), node("MatMul", ["h", "down"], ["y"])]
    weights = [("wq", weight(8, 8)), ("wk", weight(8, 8, seed=2)), ("wv", weight(8, 8, seed=3)),
               ("wo", weight(8, 8, seed=4)), ("up", weight(8, 20, seed=5)), ("ub", weight(20, seed=6)),
               ("down", weight(20, 8, seed=7)), ("unused", weight(3, 3))]
    return graph_model(tmp_path, nodes, [("x", ["b", "s", 8])], [("y", ["b", "s", 8])], weights, opset=opset)


def one(tmp_path, w, x_shape=("m", 6), y_shape=("m", "n"), **more):
    return graph_model(tmp_path, [helper.make_node("MatMul", ["x", "w"], ["y"], name="mm")],
                       [("x", list(x_shape))], [("y", list(y_shape))], [("w", w)], **more)


IDS = [[101, 2129, 2079, 1045, 25141, 2026, 20786, 102], [101, 7592, 102, 0, 0, 0, 0, 0]]


def ids_of(path):
    ids = np.array(IDS, np.int64)
    full = {"input_ids": ids, "attention_mask": (ids != 0).astype(np.int64), "token_type_ids": np.zeros_like(ids)}
    return {i.name: full[i.name] for i in session(path).get_inputs()}
