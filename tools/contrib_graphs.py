"""Graphs of com.microsoft ops, spelled as onnxruntime's optimizer (BERT) and onnxruntime-genai's builder
(decoders; what onnx-community publishes) spell them, over the weights of the tiny snapshots. The decoders take
right padding only, as GroupQueryAttention does.
"""
import json

import numpy as np
from onnx import TensorProto, helper, numpy_helper
from safetensors import safe_open

MS = "com.microsoft"


def weights_of(folder):
    tensors = {}
    for file in sorted(folder.glob("*.safetensors")):
        with safe_open(file, "np") as f:
            tensors.update({k: f.get_tensor(k).astype(np.float32) for k in f.keys()})
    return tensors, json.loads((folder / "config.json").read_text())


class Graph:
    def __init__(self, name):
        self.name, self.nodes, self.constants = name, [], {}

    def constant(self, name, value):
        self.constants.setdefault(name, np.array(value, order="C"))
        return name

    def op(self, op_type, inputs, name, outputs=1, domain="", **attributes):
        """outputs: how many, or their names ("" where one is left out)."""
        names = [f"{name}/output_{i}" for i in range(outputs)] if isinstance(outputs, int) else outputs
        self.nodes.append(helper.make_node(op_type, inputs, names, name, domain=domain, **attributes))
        return names[0]

    def linear(self, x, tensors, key, name):
        y = self.op("MatMul", [x, self.constant(key + ".MatMul.weight", tensors[key + ".weight"].T)], name + "/MatMul")
        if key + ".bias" in tensors:
            y = self.op("Add", [y, self.constant(key + ".Add.bias", tensors[key + ".bias"])], name + "/Add")
        return y

    def model(self, inputs, hidden, opset=17):
        values = [helper.make_tensor_value_info(n, TensorProto.INT64, ["batch", "sequence"]) for n in inputs]
        out = helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, ["batch", "sequence", hidden])
        graph = helper.make_graph(self.nodes, self.name, values, [out],
                                  [numpy_helper.from_array(v, k) for k, v in self.constants.items()])
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset), helper.make_opsetid(MS, 1)],
                                 ir_version=8, producer_name="contrib_graphs.py")


def bert(folder):
    """SkipLayerNormalization with bias, MultiHeadAttention with packed bias and a key padding mask, BiasGelu."""
    t, c = weights_of(folder)
    t = {k.removeprefix("bert."): v for k, v in t.items()}
    g, hidden = Graph("bert"), c["hidden_size"]

    def table(kind):
        return g.constant(f"embeddings.{kind}", t[f"embeddings.{kind}.weight"])

    length = g.op("Shape", ["input_ids"], "/length", start=1, end=2)
    scalar = g.op("Squeeze", [length], "/length/Squeeze")
    positions = g.op("Range", [g.constant("zero", np.int64(0)), scalar, g.constant("one", np.int64(1))], "/positions")
    words = g.op("Gather", [table("word_embeddings"), "input_ids"], "/words")
    places = g.op("Gather", [table("position_embeddings"), positions], "/places")
    types = g.op("Gather", [table("token_type_embeddings"), "token_type_ids"], "/types")
    x = g.op("Add", [words, types], "/embeddings/Add")
    x = g.op("Add", [x, places], "/embeddings/Add_1")

    def pair(key):
        return [g.constant(key + s, t[key + s]) for s in (".weight", ".bias")]

    x = g.op("LayerNormalization", [x, *pair("embeddings.LayerNorm")], "/embeddings/LayerNorm", axis=-1,
             epsilon=c["layer_norm_eps"])
    mask = g.op("Cast", ["attention_mask"], "/mask", to=TensorProto.INT32)
    for i in range(c["num_hidden_layers"]):
        key, at = f"encoder.layer.{i}.", f"/encoder/layer.{i}"

        def product(v, name):
            return g.op("MatMul", [v, g.constant(key + name + ".T", t[key + name + ".weight"].T)], f"{at}/{name}")

        qkv = [f"attention.self.{n}" for n in ("query", "key", "value")]
        bias = g.constant(key + "qkv.bias", np.concatenate([t[f"{key}{n}.bias"] for n in qkv]))
        mixed = g.op("MultiHeadAttention", [*(product(x, n) for n in qkv), bias, mask], at + "/MultiHeadAttention",
                     domain=MS, num_heads=c["num_attention_heads"])
        out = product(mixed, "attention.output.dense")
        x = g.op("SkipLayerNormalization",
                 [out, x, *pair(key + "attention.output.LayerNorm"),
                  g.constant(key + "out.bias", t[key + "attention.output.dense.bias"])],
                 at + "/SkipLayerNorm_1", domain=MS, epsilon=c["layer_norm_eps"])
        inner = g.op("BiasGelu", [product(x, "intermediate.dense"),
                                  g.constant(key + "inner.bias", t[key + "intermediate.dense.bias"])],
                     at + "/BiasGelu", domain=MS)
        last = i + 1 == c["num_hidden_layers"]
        x = g.op("SkipLayerNormalization",
                 [product(inner, "output.dense"), x, *pair(key + "output.LayerNorm"),
                  g.constant(key + "output.bias", t[key + "output.dense.bias"])],
                 at + "/SkipLayerNorm_2", ["last_hidden_state"] if last else 1, domain=MS, epsilon=c["layer_norm_eps"])
    return g.model(["input_ids", "attention_mask", "token_type_ids"], hidden)


def llama3_frequencies(c, dim):
    freq = 1.0 / c["rope_theta"] ** (np.arange(0, dim, 2) / dim)
    s = c["rope_scaling"]
    wave, old = 2 * np.pi / freq, s["original_max_position_embeddings"]
    low, high = s["low_freq_factor"], s["high_freq_factor"]
    smooth = np.clip((old / wave - low) / (high - low), 0, 1)
    return (1 - smooth) * freq / s["factor"] + smooth * freq


def llama(folder, grouped):
    """SimplifiedLayerNormalization (standard domain, axis and stash_type as genai writes them) and
    SkipSimplifiedLayerNormalization whose fourth output carries the residual. grouped: GroupQueryAttention with
    do_rotary, seqlens_k and total_sequence_length; else RotaryEmbedding, keys and values repeated,
    MultiHeadAttention with an additive mask."""
    t, c = weights_of(folder)
    t = {k.removeprefix("model."): v for k, v in t.items()}
    g, hidden = Graph("llama"), c["hidden_size"]
    heads, kv, dim, eps = c["num_attention_heads"], c["num_key_value_heads"], c["head_dim"], c["rms_norm_eps"]
    angles = np.outer(np.arange(c["max_position_embeddings"]), llama3_frequencies(c, dim))
    caches = [g.constant("cos_cache", np.cos(angles).astype(np.float32)),
              g.constant("sin_cache", np.sin(angles).astype(np.float32))]
    length = g.op("Shape", ["input_ids"], "/length", start=1, end=2)
    if grouped:
        total = g.op("Cast", [g.op("Squeeze", [length], "/length/Squeeze")], "/total", to=TensorProto.INT32)
        count = g.op("ReduceSum", ["attention_mask", g.constant("axis1", np.array([1]))], "/count", keepdims=0)
        last = g.op("Cast", [g.op("Sub", [count, g.constant("one", np.int64(1))], "/last")], "/seqlens_k",
                    to=TensorProto.INT32)
    else:
        zero, one = g.constant("zero", np.int64(0)), g.constant("one", np.int64(1))
        positions = g.op("Range", [zero, g.op("Squeeze", [length], "/length/Squeeze"), one], "/positions")
        rows = g.op("Unsqueeze", [positions, g.constant("axis1", np.array([1]))], "/rows")
        causal = g.op("LessOrEqual", [positions, rows], "/causal")
        keys = g.op("Cast", [g.op("Unsqueeze", ["attention_mask", g.constant("axis12", np.array([1, 2]))], "/keys")],
                    "/keys/Cast", to=TensorProto.BOOL)
        allowed = g.op("And", [causal, keys], "/allowed")
        mask = g.op("Where", [allowed, g.constant("none", np.float32(0)), g.constant("lowest", np.float32(-1e9))], "/mask")
        batch = g.op("Shape", ["input_ids"], "/batch_and_length")
        ids = g.op("Expand", [positions, batch], "/position_ids")
    residual = g.op("Gather", [g.constant("embed_tokens.weight", t["embed_tokens.weight"]), "input_ids"], "/embed")
    x = g.op("SimplifiedLayerNormalization", [residual, g.constant("n0", t["layers.0.input_layernorm.weight"])],
             "/layers.0/input_layernorm", axis=-1, epsilon=eps, stash_type=1)
    for i in range(c["num_hidden_layers"]):
        key, at = f"layers.{i}.", f"/layers.{i}"
        q, k, v = (g.linear(x, t, f"{key}self_attn.{n}_proj", f"{at}/attn/{n}_proj") for n in "qkv")
        if grouped:
            mixed = g.op("GroupQueryAttention", [q, k, v, "", "", last, total, *caches], at + "/attn/GroupQueryAttention",
                         [at + "/attn/y", at + "/present.key", at + "/present.value"], domain=MS, num_heads=heads,
                         kv_num_heads=kv, do_rotary=1, rotary_interleaved=0, scale=float(1 / np.sqrt(dim)))
        else:
            q, k = (g.op("RotaryEmbedding", [s, ids, *caches], f"{at}/attn/{n}_rotary", domain=MS, num_heads=h,
                         rotary_embedding_dim=0, interleaved=0) for s, n, h in ((q, "q", heads), (k, "k", kv)))

            def repeat(s, n):
                s = g.op("Reshape", [s, g.constant("split", np.array([0, 0, kv, 1, dim]))], f"{at}/attn/{n}/split")
                s = g.op("Expand", [s, g.constant("repeat", np.array([1, 1, 1, heads // kv, 1]))], f"{at}/attn/{n}/repeat")
                return g.op("Reshape", [s, g.constant("merge", np.array([0, 0, heads * dim]))], f"{at}/attn/{n}/merge")

            mixed = g.op("MultiHeadAttention", [q, repeat(k, "k"), repeat(v, "v"), "", "", mask],
                         at + "/attn/MultiHeadAttention", domain=MS, num_heads=heads)
        out = g.linear(mixed, t, key + "self_attn.o_proj", at + "/attn/o_proj")
        residual_name = at + "/post_attention_layernorm/residual"
        x = g.op("SkipSimplifiedLayerNormalization",
                 [residual, out, g.constant(key + "post", t[key + "post_attention_layernorm.weight"])],
                 at + "/post_attention_layernorm", [at + "/post_attention_layernorm/y", "", "", residual_name],
                 domain=MS, epsilon=eps)
        gate, up = (g.linear(x, t, f"{key}mlp.{n}_proj", f"{at}/mlp/{n}_proj") for n in ("gate", "up"))
        silu = g.op("Mul", [gate, g.op("Sigmoid", [gate], at + "/mlp/Sigmoid")], at + "/mlp/Mul")
        down = g.linear(g.op("Mul", [silu, up], at + "/mlp/Mul_1"), t, key + "mlp.down_proj", at + "/mlp/down_proj")
        last_layer = i + 1 == c["num_hidden_layers"]
        gain = "norm.weight" if last_layer else f"layers.{i + 1}.input_layernorm.weight"
        where = "/norm" if last_layer else f"/layers.{i + 1}/input_layernorm"
        residual = where + "/residual"
        outputs = ["last_hidden_state"] if last_layer else [where + "/y", "", "", residual]
        x = g.op("SkipSimplifiedLayerNormalization", [residual_name, down, g.constant(gain, t[gain])], where, outputs,
                 domain=MS, epsilon=eps)
    return g.model(["input_ids", "attention_mask"], hidden)

