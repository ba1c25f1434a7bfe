#!/usr/bin/env python3
"""Makes tests/golden/foreign: small ONNX files as other programs write them, each with inputs and what onnxruntime
computes (<name>.safetensors: "0.input_ids", ..., "0.last_hidden_state"). Every one is also compared with what
transformers computes from the same snapshot, so that a wrong export cannot become an oracle.

    tools/make_foreign.py            rewrites tests/golden/foreign
    tools/make_foreign.py --check    makes everything anew elsewhere, fails when it computes something else
"""
import argparse
import json
import pathlib
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime
import torch
import transformers
from safetensors import safe_open
from safetensors.numpy import save_file

import contrib_graphs
import export_torch

GOLDEN = pathlib.Path(__file__).resolve().parents[1] / "tests/golden"

# file -> (tiny snapshot, exporter, attention, opset). Between them: old and new spellings of the same ops
# (Unsqueeze, ReduceMean, Split with attributes or inputs), LayerNormalization in pieces and whole, masks by
# multiplication, Where and addition, Reciprocal or Div in RMSNorm.
EXPORTS = {
    "bert_legacy_opset11": ("bert", "legacy", "eager", 11),
    "bert_dynamo_opset21": ("bert", "dynamo", "eager", 21),
    "qwen3_legacy_opset14": ("qwen3", "legacy", "sdpa", 14),
    "llama_dynamo_opset18": ("llama", "dynamo", "sdpa", 18),
}
CONTRIB = {
    "bert_contrib": ("bert", contrib_graphs.bert),
    "llama_contrib_gqa": ("llama", lambda folder: contrib_graphs.llama(folder, True)),
    "llama_contrib_mha": ("llama", lambda folder: contrib_graphs.llama(folder, False)),
}


def strip(model):
    """Exporters leave stack traces and paths of the machine in the metadata: 60% of a tiny file."""
    for node in model.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    for value in [*model.graph.value_info, *model.graph.input, *model.graph.output]:
        del value.metadata_props[:]
    for tensor in model.graph.initializer:
        del tensor.metadata_props[:]
        tensor.doc_string = ""
    del model.graph.metadata_props[:], model.metadata_props[:], model.graph.value_info[:]
    return model


def golden(model, snapshot, grouped):
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    names = [i.name for i in session.get_inputs()]
    tensors = {}
    with safe_open(GOLDEN / f"import/{snapshot}.safetensors", "np") as f:
        for case in sorted({k.rsplit(".", 1)[0] for k in f.keys()}):
            if grouped and case.endswith("left"):
                continue
            feeds = {n: f.get_tensor(f"{case}.{n}") for n in names}
            out = session.run(["last_hidden_state"], feeds)[0]
            expected, mask = f.get_tensor(f"{case}.last_hidden_state"), feeds["attention_mask"][..., None]
            error = np.abs(np.where(mask, out - expected, 0)).max()
            if error > 2e-4 * np.ptp(expected):
                sys.exit(f"{model.graph.name} of {snapshot}, case {case}: {error} away from transformers")
            tensors.update({f"{case}.{k}": v for k, v in feeds.items()})
            tensors[f"{case}.last_hidden_state"] = np.where(mask, out, 0).astype(np.float32)
    versions = {"onnxruntime": onnxruntime.__version__, "torch": torch.__version__, "onnx": onnx.__version__,
                "transformers": transformers.__version__}
    return tensors, {"about": json.dumps({"snapshot": snapshot, "versions": versions}, sort_keys=True)}


def make(folder):
    folder.mkdir(parents=True, exist_ok=True)
    for name in [*EXPORTS, *CONTRIB]:
        if name in EXPORTS:
            snapshot, exporter, attention, opset = EXPORTS[name]
            wrapper = export_torch.load(GOLDEN / "tiny" / snapshot, attention)
            export_torch.export(wrapper, folder / f"{name}.onnx", exporter, opset)
            model = strip(onnx.load(folder / f"{name}.onnx"))
        else:
            snapshot, build = CONTRIB[name]
            model = build(GOLDEN / "tiny" / snapshot)
        onnx.save(model, folder / f"{name}.onnx")
        tensors, metadata = golden(model, snapshot, name.endswith("gqa"))
        save_file(tensors, folder / f"{name}.safetensors", metadata)
        print(f"foreign/{name}.onnx: opset {model.opset_import[0].version}, {len(model.graph.node)} nodes", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    if not args.check:
        make(GOLDEN / "foreign")
        return
    bad = []
    with tempfile.TemporaryDirectory() as scratch:
        make(pathlib.Path(scratch))
        for path in sorted(pathlib.Path(scratch).glob("*.safetensors")):
            with safe_open(path, "np") as a, safe_open(GOLDEN / "foreign" / path.name, "np") as b:
                for key in a.keys():
                    x, y = a.get_tensor(key), b.get_tensor(key)
                    if not np.allclose(x, y, rtol=0, atol=1e-5 * np.ptp(x) if x.dtype == np.float32 else 0):
                        bad.append(f"{path.name}: {key} differs")
    print("\n".join(bad) or "every foreign golden is as before")
    sys.exit(bool(bad))


if __name__ == "__main__":
    main()
