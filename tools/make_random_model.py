#!/usr/bin/env python3
"""Writes an FP32 ONNX model with random weights, of the size of a real one, for measuring what the commands cost:
embedding, then layers with the seven linear layers of a decoder (attention itself left out). The default is the shape
of Qwen3-0.6B: 596 M parameters, 2.4 GB. Weights are written as they are made, so memory stays small.

usage: make_random_model.py OUT.onnx [--hidden 1024] [--layers 28] [--heads 16] [--kv-heads 8] [--head-dim 128]
                            [--intermediate 3072] [--vocabulary 151936] [--seed 0]
"""
import argparse
import pathlib

import numpy as np
import onnx
from onnx import TensorProto, helper

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("out", type=pathlib.Path)
for name, value in (("hidden", 1024), ("layers", 28), ("heads", 16), ("kv-heads", 8), ("head-dim", 128),
                    ("intermediate", 3072), ("vocabulary", 151936), ("seed", 0)):
    parser.add_argument(f"--{name}", type=int, default=value)
args = parser.parse_args()

random = np.random.default_rng(args.seed)
sidecar = args.out.with_name(args.out.name + ".data")
tensors, nodes = [], []
parameters = 0


def weight(file, name, *shape):
    """A normal distribution with a few large columns, as trained weights have."""
    global parameters
    offset = file.tell()
    rows_at_once = max(1, (16 << 20) // (4 * shape[-1]))
    for begin in range(0, shape[0], rows_at_once):
        rows = min(rows_at_once, shape[0] - begin)
        block = random.standard_normal((rows, *shape[1:]), np.float32) * np.float32(shape[0] ** -0.5)
        block[:, ::97] *= 4
        file.write(block.tobytes())
    tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=shape, data_location=TensorProto.EXTERNAL)
    for key, value in (("location", sidecar.name), ("offset", offset), ("length", file.tell() - offset)):
        entry = tensor.external_data.add()
        entry.key, entry.value = key, str(value)
    tensors.append(tensor)
    parameters += int(np.prod(shape))
    return name


def node(op, inputs, output, **attributes):
    nodes.append(helper.make_node(op, inputs, [output], name="/" + output, **attributes))
    return output


with open(sidecar, "wb") as file:
    x = node("Gather", [weight(file, "embed_tokens.weight", args.vocabulary, args.hidden), "input_ids"], "embed")
    for i in range(args.layers):
        at = f"layers.{i}."

        def linear(x, module, columns_in, columns_out):
            return node("MatMul", [x, weight(file, f"{at}{module}.weight", columns_in, columns_out)], at + module)

        wide, narrow = args.heads * args.head_dim, args.kv_heads * args.head_dim
        q = linear(x, "self_attn.q_proj", args.hidden, wide)
        k = linear(x, "self_attn.k_proj", args.hidden, narrow)
        v = linear(x, "self_attn.v_proj", args.hidden, narrow)
        # k * v repeated to q's width stands for attention.
        kv = node("Concat", [node("Mul", [k, v], at + "kv")] * (args.heads // args.kv_heads), at + "repeat", axis=-1)
        o = linear(node("Add", [q, kv], at + "mix"), "self_attn.o_proj", wide, args.hidden)
        x = node("Add", [x, o], at + "residual")
        gate = linear(x, "mlp.gate_proj", args.hidden, args.intermediate)
        up = linear(x, "mlp.up_proj", args.hidden, args.intermediate)
        gated = node("Mul", [node("Sigmoid", [gate], at + "sigmoid"), up], at + "gated")
        down = linear(gated, "mlp.down_proj", args.intermediate, args.hidden)
        x = node("Add", [x, down], at + "out")
    nodes[-1].output[0] = "last_hidden_state"

graph = helper.make_graph(
    nodes, "random", [helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", "sequence"])],
    [helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, ["batch", "sequence", args.hidden])], tensors)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8, producer_name="random")
args.out.write_bytes(model.SerializeToString())
print(f"{args.out}: {parameters:,} parameters, {sidecar.stat().st_size:,} bytes")
