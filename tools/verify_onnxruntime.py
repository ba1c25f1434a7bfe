#!/usr/bin/env python3
"""`octavo verify --reference`, but with onnxruntime: cosine of a model file's vectors to those of tools/dump_reference.py, on the
token ids that lie there, one text a run. Prints JSON. On CPUs without VNNI its own products saturate unless told otherwise
(session.x64quantprecision), which is done here.

    python3 tools/verify_onnxruntime.py minilm-int8/model.int8.onnx --reference wide.safetensors

Needs: onnxruntime, numpy
"""
import argparse
import json
import pathlib
import sys

import numpy as np
import onnxruntime
from reference_file import figures, read_reference


def open_session(model, threads):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.x64quantprecision", "1")
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its classes differ by version; a weight that two MatMuls read ends here
        print(f"without session.x64quantprecision, which onnxruntime refuses here: {error}", file=sys.stderr)
        options.add_session_config_entry("session.x64quantprecision", "0")
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def embed(session, ids, pooling):
    """[width] in float64, as pooled"""
    row = np.array([ids], np.int64)
    values = {"input_ids": row, "attention_mask": np.ones_like(row), "token_type_ids": np.zeros_like(row)}
    hidden = session.run(None, {i.name: values[i.name] for i in session.get_inputs()})[0][0].astype(np.float64)
    return {"mean": hidden.mean(0), "cls": hidden[0], "last_token": hidden[-1]}[pooling]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=pathlib.Path, help="ONNX file")
    parser.add_argument("--reference", required=True, type=pathlib.Path)
    parser.add_argument("--threads", type=int, default=0, help="default: onnxruntime's")
    args = parser.parse_args()
    texts, expected, metadata = read_reference(args.reference)
    session = open_session(args.model, args.threads)
    vectors = np.stack([embed(session, ids, metadata["pooling"]) for ids in texts])
    found = figures(vectors, expected)
    found["worst"] = json.loads(metadata["texts"])[found["worst"]][:80]
    print(json.dumps({"model": args.model.name, "onnxruntime": onnxruntime.__version__, "reference": metadata["made_by"],
                      "texts": len(texts), **found}, indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()
