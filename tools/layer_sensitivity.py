#!/usr/bin/env python3
"""Recomputes in numpy what report.json says of the sites of a decoder's first layer: the outliers of each input before
and after smoothing, the smoothing factors, and the error of its quantized products. Reads the snapshot itself, so
nothing of Octavo takes part but the files it left. For Qwen3-like snapshots built with --profile compat.

    tools/layer_sensitivity.py SNAPSHOT BUILD --calibration TEXTS --probe TEXTS

TEXTS: one a line, the ones the build was given. Prints one line a site, ours beside the report's, and how many of the
INT8 weights of the file are not the ones computed here. Needs numpy, onnx, safetensors, tokenizers.
"""
import argparse
import json
import pathlib

import numpy as np
import onnx
from onnx import numpy_helper
from safetensors import safe_open
import tokenizers

F = np.float32
PRODUCTS = {"attention": ("q", "k", "v"), "o": ("o",), "mlp": ("gate", "up"), "down": ("down",)}
MODULES = {**{p: f"self_attn.{p}_proj" for p in "qkvo"}, **{p: f"mlp.{p}_proj" for p in ("gate", "up", "down")}}


def read_snapshot(folder):
    """(config, tensors of the first layer and the table as float32, without "model.")."""
    tensors = {}
    with safe_open(folder / "model.safetensors", "np") as file:
        header_size = int.from_bytes((folder / "model.safetensors").read_bytes()[:8], "little")
        raw = (folder / "model.safetensors").read_bytes()
        header = json.loads(raw[8:8 + header_size])
        for name in file.keys():
            short = name.removeprefix("model.")
            if not short.startswith(("layers.0.", "embed_tokens.")):
                continue
            begin, end = (8 + header_size + o for o in header[name]["data_offsets"])
            if header[name]["dtype"] == "BF16":  # numpy has none
                values = (np.frombuffer(raw[begin:end], np.uint16).astype(np.uint32) << 16).view(F)
            else:
                values = np.frombuffer(raw[begin:end], F)
            tensors[short.removeprefix("layers.0.")] = values.reshape(header[name]["shape"]).copy()
    return json.loads((folder / "config.json").read_text()), tensors


class Layer:
    """The first layer. `product(name, x)` is x W + b, of whatever weights."""

    def __init__(self, config, gains):
        self.heads, self.kv = config["num_attention_heads"], config["num_key_value_heads"]
        self.width = config.get("head_dim") or config["hidden_size"] // self.heads
        self.epsilon, self.theta, self.gains = F(config["rms_norm_eps"]), config["rope_theta"], gains

    def norm(self, x, gain):
        return x / np.sqrt((x * x).mean(-1, keepdims=True) + self.epsilon) * gain

    def rotate(self, x):  # [tokens, heads, width]
        angles = np.arange(len(x))[:, None] / self.theta ** (np.arange(0, self.width, 2) / self.width)
        c, s = (np.concatenate([f(angles)] * 2, -1).astype(F)[:, None] for f in (np.cos, np.sin))
        half = self.width // 2
        return x * c + np.concatenate([-x[..., half:], x[..., :half]], -1) * s

    def run(self, hidden, product):
        """Inputs of the sites and outputs of the products."""
        seen = {"attention": self.norm(hidden, self.gains["input_layernorm"])}
        for name in "qkv":
            seen[name] = product(name, seen["attention"])
        tokens = len(hidden)
        q, k, v = (seen[n].reshape(tokens, -1, self.width) for n in "qkv")
        if "q_norm" in self.gains:
            q, k = self.norm(q, self.gains["q_norm"]), self.norm(k, self.gains["k_norm"])
        q, k = self.rotate(q), self.rotate(k)
        k, v = (np.repeat(t, self.heads // self.kv, 1) for t in (k, v))
        scores = np.einsum("qhd,khd->hqk", q, k) / np.sqrt(F(self.width))
        scores[:, np.triu(np.ones((tokens, tokens), bool), 1)] = -np.inf
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        weights /= weights.sum(-1, keepdims=True)
        seen["o_in"] = np.einsum("hqk,khd->qhd", weights, v).reshape(tokens, -1)
        seen["o"] = product("o", seen["o_in"])
        hidden = hidden + seen["o"]
        seen["mlp"] = self.norm(hidden, self.gains["post_attention_layernorm"])
        seen["gate"], seen["up"] = product("gate", seen["mlp"]), product("up", seen["mlp"])
        seen["down_in"] = seen["gate"] / (1 + np.exp(-seen["gate"])) * seen["up"]
        seen["down"] = product("down", seen["down_in"])
        return seen


INPUTS = {"attention": "attention", "o": "o_in", "mlp": "mlp", "down": "down_in"}


def smooth(layer, weights, biases, maxima, alpha):
    """(factors by site, smoothed weights, biases, gains)."""
    groups = layer.heads // layer.kv
    factors = {}
    for site, names in PRODUCTS.items():
        x = maxima[INPUTS[site]].astype(np.float64)
        w = np.max([np.abs(weights[n]).max(1) for n in names], 0).astype(np.float64)
        if site == "o":  # the query heads of a key/value head share its value's columns
            shared = [a.reshape(layer.kv, groups, layer.width).max(1, keepdims=True) for a in (x, w)]
            x, w = (np.repeat(a, groups, 1).reshape(-1) for a in shared)
        factors[site] = (x**alpha / w**(1 - alpha)).astype(F)
    new = {n: weights[n] * factors[site][:, None] for site, names in PRODUCTS.items() for n in names}
    columns = {"v": factors["o"].reshape(layer.kv, groups, layer.width)[:, 0].reshape(-1), "up": factors["down"]}
    new_biases = dict(biases)
    for name, s in columns.items():
        new[name] = new[name] / s
        if name in biases:
            new_biases[name] = biases[name] / s
    gains = dict(layer.gains)
    gains["input_layernorm"] = gains["input_layernorm"] / factors["attention"]
    gains["post_attention_layernorm"] = gains["post_attention_layernorm"] / factors["mlp"]
    return factors, new, new_biases, gains


def quantize_columns(w):
    scale = (2 * np.abs(w.astype(np.float64)).max(0) / 254).astype(F)
    return np.clip(np.rint(w / scale), -127, 127), scale


def quantize_activations(x):
    """x as DynamicQuantizeLinear and its scale leave it."""
    low, high = min(x.min(), F(0)), max(x.max(), F(0))
    scale = F(high - low) / F(255)
    zero = np.clip(np.rint(-low / scale), 0, 255)
    return (np.clip(np.rint(x / scale) + zero, 0, 255) - zero) * scale


def texts_for_errors(ids):
    ordered = sorted(ids, key=len)
    count = min(4, len(ordered))
    return [ordered[i * (len(ordered) - 1) // max(count - 1, 1)][:64] for i in range(count)]


def outlier(maxima):
    active = np.sort(maxima[maxima > 0])
    return float(active[-1] / active[len(active) // 2])


def recompute(snapshot, build, calibration, probe):
    """One dict a site, and of every product how many INT8 weights differ from the file's: (differ, all)."""
    report = json.loads((build / "report.json").read_text())
    alpha = report["settings"]["alpha"]
    if report["settings"]["activations"] != "per-tensor" or not isinstance(alpha, (int, float)):
        raise SystemExit(f"{build}: only builds of --profile compat with one alpha can be computed again")
    config, tensors = read_snapshot(snapshot)
    weights = {n: tensors[f"{m}.weight"].T for n, m in MODULES.items()}
    biases = {n: tensors[f"{m}.bias"] for n, m in MODULES.items() if f"{m}.bias" in tensors}
    gains = {n.split(".")[-2]: t for n, t in tensors.items() if n.endswith("norm.weight")}
    table = tensors["embed_tokens.weight"]
    layer = Layer(config, gains)
    tokenizer = tokenizers.Tokenizer.from_file(str(build / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()

    def plain(weights, biases):
        return lambda n, x: x @ weights[n] + biases.get(n, F(0))

    longest = min(512, config["max_position_embeddings"])
    maxima = {}
    for text in calibration:
        seen = layer.run(table[tokenizer.encode(text).ids[:longest]], plain(weights, biases))
        for name in INPUTS.values():
            most = np.abs(seen[name]).max(0)
            maxima[name] = np.maximum(maxima.get(name, most), most)
    factors, smoothed, smoothed_biases, smoothed_gains = smooth(layer, weights, biases, maxima, alpha)

    quantized = {n: quantize_columns(w) for n, w in smoothed.items()}
    in_file = {i.name: i for i in onnx.load(build / "model.int8.onnx").graph.initializer}
    differ = {}
    for name, (q, _) in quantized.items():
        theirs = numpy_helper.to_array(in_file[f"layers.0.{MODULES[name]}.weight.T_quantized"])
        differ[name] = (int((theirs != q).sum()), q.size)
    rounded = {n: q.astype(F) * scale for n, (q, scale) in quantized.items()}
    after = Layer(config, smoothed_gains)
    sums = {n: np.zeros(2) for n in MODULES}
    for ids in texts_for_errors([tokenizer.encode(t).ids[:longest] for t in probe]):
        whole = after.run(table[ids], plain(smoothed, smoothed_biases))
        coarse = after.run(table[ids], lambda n, x: quantize_activations(x) @ rounded[n] + smoothed_biases.get(n, F(0)))
        for n in MODULES:
            # The file's product is that of the MatMul alone.
            w = smoothed_biases.get(n, F(0))
            x, y = coarse[n].astype(np.float64) - w, whole[n].astype(np.float64) - w
            sums[n] += [((x - y) ** 2).sum(), (y * y).sum()]
    sites = []
    for site, names in PRODUCTS.items():
        most = maxima[INPUTS[site]]
        sites.append({"site": site, "outlier_before": outlier(most), "outlier_after": outlier(most / factors[site]),
                      "scale_min": float(factors[site].min()), "scale_max": float(factors[site].max()),
                      "error": float(np.sqrt(np.mean([sums[n][0] / sums[n][1] for n in names])))})
    return sites, differ, report["smoothing"]["sites"][:len(sites)]


def lines(file):
    return [line for line in file.read_text().splitlines() if line]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("snapshot", type=pathlib.Path)
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--calibration", type=pathlib.Path, required=True)
    parser.add_argument("--probe", type=pathlib.Path, required=True)
    args = parser.parse_args()
    sites, differ, reported = recompute(args.snapshot, args.build, lines(args.calibration), lines(args.probe))
    for ours, theirs in zip(sites, reported):
        print(f"{ours['site']:10}", *(f"{k} {ours[k]:.6g} ({theirs[k]:.6g})" for k in ours if k != "site"))
    for name, (count, size) in differ.items():
        print(f"{MODULES[name]}: {count} of {size} INT8 weights differ")


if __name__ == "__main__":
    main()
