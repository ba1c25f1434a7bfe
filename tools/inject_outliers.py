#!/usr/bin/env python3
"""Gives a pre-norm decoder the outlier channels that break INT8 in the wild, without changing what it computes.

    tools/inject_outliers.py IN.onnx OUT.onnx [--channels 4] [--factor 60] [--seed 0]

In every norm whose output only feeds MatMuls with constant weights, `channels` entries of the gain are multiplied by
`factor` and the matching rows of those weights divided by it. The FP32 function is the same up to rounding; the scale
of a whole activation no longer fits anything.
"""
import argparse
import pathlib

import numpy as np
import onnx
from onnx import numpy_helper


def inject(model, channels, factor, seed):
    """Changes the model in place; returns the names of the gains."""
    graph = model.graph
    constants = {i.name: i for i in graph.initializer}
    readers = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    values = {}  # name -> array, changed below and written back once

    def value(name):
        if name not in values:
            values[name] = numpy_helper.to_array(constants[name]).copy()
        return values[name]

    random = np.random.default_rng(seed)
    done = []
    for node in graph.node:
        gains = [n for n in node.input if n in constants and len(constants[n].dims) == 1 and constants[n].dims[0] > channels]
        users = readers.get(node.output[0], [])
        if node.op_type != "Mul" or len(gains) != 1 or not users:
            continue
        if not all(u.op_type == "MatMul" and u.input[0] == node.output[0] and u.input[1] in constants for u in users):
            continue
        chosen = random.choice(len(value(gains[0])), channels, replace=False)
        value(gains[0])[chosen] *= np.float32(factor)
        for user in users:
            value(user.input[1])[chosen] /= np.float32(factor)
        done.append(gains[0])
    for name, array in values.items():
        constants[name].CopyFrom(numpy_helper.from_array(array, name))
    return done


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--channels", type=int, default=4)
    parser.add_argument("--factor", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    model = onnx.load(args.model)
    done = inject(model, args.channels, args.factor, args.seed)
    if not done:
        raise SystemExit(f"{args.model}: no norm whose output only feeds constant-weight MatMuls")
    data = args.out.with_name(args.out.name + ".data")
    data.unlink(missing_ok=True)
    onnx.save_model(model, args.out, save_as_external_data=True, location=data.name)
    print(f"{len(done)} norms, {args.channels} channels each times {args.factor:g}")


if __name__ == "__main__":
    main()
