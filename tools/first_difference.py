#!/usr/bin/env python3
"""Where do two executors part? Runs a model in Octavo and in onnxruntime on the same inputs and compares every value of
the graph, in the order it is computed.

    tools/first_difference.py MODEL.onnx INPUTS.safetensors [--program build/dev/tests/oracle_run_model]
                              [--tolerance 1e-4] [--all]

Prints the first value whose largest difference, relative to the largest number in it, passes the tolerance, with the
node that makes it and whether the node's own inputs still agreed; with --all one line a value. Exit code 1 when there
is one. onnxruntime runs without optimizations, so that each node exists there as it stands in the file.
"""
import argparse
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime
from safetensors.numpy import load_file

SOURCE = pathlib.Path(__file__).resolve().parents[1]


def nodes_of(model):
    """Top-level nodes with the values they make; functions are inlined first, as Octavo does."""
    if model.functions:
        import onnx.inliner

        model = onnx.inliner.inline_local_functions(model)
    return model


def theirs(model, folder, names, feeds):
    wide = onnx.ModelProto()
    wide.CopyFrom(model)
    have = {o.name for o in wide.graph.output}
    wide.graph.output.extend(onnx.helper.make_empty_tensor_value_info(n) for n in names if n not in have)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    file = folder / "wide.onnx"
    onnx.save(wide, file, save_as_external_data=True, location="wide.data")
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    wanted = {i.name for i in session.get_inputs()}
    return dict(zip(names, session.run(names, {k: v for k, v in feeds.items() if k in wanted})))


def ours(program, model_file, inputs_file, folder, names):
    (folder / "names.txt").write_text("".join(f"{n}\n" for n in names))
    out = folder / "ours.safetensors"
    done = subprocess.run([program, model_file, inputs_file, out, "--values", folder / "names.txt"],
                          capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(done.stderr)
    return load_file(out)


def difference(a, b):
    """Relative to the range of b; inf for another shape, type or place of NaN."""
    if a.shape != b.shape or a.dtype != b.dtype:
        return np.inf
    if a.size == 0:
        return 0.0
    if a.dtype == bool:
        return float(np.any(a != b))
    a, b = a.astype(np.float64), b.astype(np.float64)
    if not np.array_equal(np.isfinite(a), np.isfinite(b)):
        return np.inf
    keep = np.isfinite(b)
    return float(np.abs(a - b)[keep].max(initial=0) / max(np.abs(b)[keep].max(initial=0), 1e-30))


def compare(model_file, inputs_file, program):
    """[(node, value, difference)] in the order of the file."""
    model = nodes_of(onnx.load(model_file))
    names = [o for n in model.graph.node for o in n.output if o]
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        reference = theirs(model, folder, names, load_file(inputs_file))
        names = [n for n in names if isinstance(reference[n], np.ndarray) and reference[n].dtype.kind in "fiub"]
        mine = ours(program, model_file, inputs_file, folder, names)
    return [(n, o, difference(mine[o], reference[o])) for n in model.graph.node for o in n.output if o in mine]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("inputs", type=pathlib.Path)
    parser.add_argument("--program", type=pathlib.Path, default=SOURCE / "build/dev/tests/oracle_run_model")
    parser.add_argument("--tolerance", type=float, default=1e-4)
    parser.add_argument("--all", action="store_true")
    arguments = parser.parse_args()
    rows = compare(arguments.model, arguments.inputs, arguments.program)
    so_far = {value: d for _, value, d in rows}
    if arguments.all:
        for node, value, d in rows:
            print(f"{d:9.2e}  {node.op_type:24} {value}")
    for node, value, d in rows:
        if d > arguments.tolerance:
            print(f"first difference: {d:.2e} in \"{value}\", made by {node.op_type} node \"{node.name}\"")
            for name in filter(None, node.input):
                print(f"  its input \"{name}\": " + (f"{so_far[name]:.2e}" if name in so_far else "constant or fed"))
            sys.exit(1)
    print(f"{len(rows)} values, largest difference {max((d for *_, d in rows), default=0):.2e}")


if __name__ == "__main__":
    main()
