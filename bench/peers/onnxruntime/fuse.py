"""onnxruntime's own attention op in the graphs that octavo writes: rotary positions, repeated keys, mask, softmax of a decoder
become one com.microsoft.GroupQueryAttention a layer, as onnxruntime-genai builds its models. The weights stay the same
bytes: the new file lies beside a link to them."""
import os
import pathlib

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def link_data(source, folder):
    """External data may not lie outside the model's folder."""
    data = source.with_name(source.name + ".data")
    target = folder / data.name
    if not target.exists():
        os.link(data, target)


def caches(config, longest=8192):
    dim = config["head_dim"]
    positions = min(longest, config["max_position_embeddings"])
    angles = np.outer(np.arange(positions), 1.0 / config["rope_theta"] ** (np.arange(0, dim, 2) / dim))
    return [numpy_helper.from_array(f(angles).astype(np.float32), name) for f, name in ((np.cos, "cos_cache"), (np.sin, "sin_cache"))]


def attention(layer, nodes, config):
    at = f"/layers.{layer}/self_attn"
    flat = [helper.make_node("Reshape", [nodes[f"{at}/{rope}/Split"].input[0], "flat"], [f"{at}/{name}_flat"], f"{at}/{name}_flat")
            for rope, name in (("RotaryEmbedding", "q"), ("RotaryEmbedding_1", "k"))]
    values = nodes[at + "/Reshape_2"].input[0]
    fused = helper.make_node(
        "GroupQueryAttention", [flat[0].output[0], flat[1].output[0], values, "", "", "seqlens_k", "total", "cos_cache", "sin_cache"],
        [f"{at}/GroupedQueryAttention_output_0", f"{at}/present_k", f"{at}/present_v"], at + "/GroupQueryAttention",
        domain="com.microsoft", num_heads=config["num_attention_heads"], kv_num_heads=config["num_key_value_heads"],
        do_rotary=1, rotary_interleaved=0, scale=float(config["head_dim"] ** -0.5))
    return [*flat, fused]


def lengths():
    """What the op asks for: the last position of each text, and the longest text."""
    return [helper.make_node("ReduceSum", ["attention_mask", "axis1"], ["count"], "/count", keepdims=0),
            helper.make_node("Sub", ["count", "one"], ["last"], "/last"),
            helper.make_node("Cast", ["last"], ["seqlens_k"], "/seqlens_k", to=TensorProto.INT32),
            helper.make_node("Shape", ["input_ids"], ["length1"], "/length1", start=1, end=2),
            helper.make_node("Squeeze", ["length1"], ["length"], "/length"),
            helper.make_node("Cast", ["length"], ["total"], "/total", to=TensorProto.INT32)]


def fuse(source, out, config):
    source, out = pathlib.Path(source), pathlib.Path(out)
    model = onnx.load(str(source), load_external_data=False)
    graph, nodes = model.graph, {n.name: n for n in model.graph.node}
    layers = range(config["num_hidden_layers"])
    gone = ("/rotary_emb/", "/mask/", "/positions/", *(f"/layers.{i}/self_attn/{op}/" for i in layers for op in
                                                       ("RotaryEmbedding", "RotaryEmbedding_1", "GroupedQueryAttention")))
    kept = [n for n in graph.node if not n.name.startswith(gone) and not n.name.endswith("/self_attn/Reshape_2")]
    made = [n for i in layers for n in attention(i, nodes, config)]
    # Any order will do that defines before it uses: new nodes go in front of the product that takes what they make.
    after = {n.output[0]: n for n in made}
    ordered = lengths()
    for node in kept:
        for name in node.input:
            if name in after:
                at = made.index(after.pop(name))
                ordered += made[at - 2:at + 1]
        ordered.append(node)
    del graph.node[:]
    graph.node.extend(ordered)
    graph.initializer.extend([*caches(config), numpy_helper.from_array(np.array([0, 0, -1]), "flat"),
                              numpy_helper.from_array(np.array([1]), "axis1"), numpy_helper.from_array(np.int64(1), "one")])
    if not any(o.domain == "com.microsoft" for o in model.opset_import):
        model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    link_data(source, out.parent)
    onnx.save(model, str(out))
