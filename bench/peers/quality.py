#!/usr/bin/env python3
"""How close an engine's vectors are to the original's: cosine to a reference of tools/dump_reference.py (PyTorch, FP32),
on the very token ids that lie in it, so that no tokenizer comes between. Percentiles are those of `octavo verify`.

    python3 tools/dump_reference.py MODEL -o wide.safetensors --probe wide          # needs PyTorch
    WORK/venvs/llama_cpp/bin/python bench/peers/quality.py --root WORK/smollm2 --reference wide.safetensors

ROOT is a model of setup.sh; the engine's own files are made when they are not there. Prints JSON."""
import argparse
import json
import pathlib
import sys
import time

import common
import numpy as np
import worker

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools"))
from reference_file import figures, read_reference


def speed_of(model, vocabulary, tokens):
    """Tokens a second of one text, the fastest run of a second."""
    text = [[100 + i * 7919 % (vocabulary - 100) for i in range(tokens)]]
    model.encode(text)
    best, end = float("inf"), time.perf_counter() + 1
    while time.perf_counter() < end:
        start = time.perf_counter()
        model.encode(text)
        best = min(best, time.perf_counter() - start)
    return tokens / best


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", required=True, type=pathlib.Path)
    parser.add_argument("--reference", type=pathlib.Path)
    parser.add_argument("--speed", type=int, metavar="TOKENS", help="also, or only, measure a single text of so many tokens")
    parser.add_argument("--engine", default="llama_cpp")
    parser.add_argument("--variants", default="", help="by commas; default: all of the engine")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    if not args.reference and not args.speed:
        parser.error("nothing to measure: give --reference, --speed or both")
    peer, files = worker.load_peer(args.engine), common.Files(args.root, args.engine)
    out = {"model": args.root.name, "versions": peer.versions(), "variants": {}}
    if args.reference:
        ids, expected, metadata = read_reference(args.reference)
        if metadata["pooling"] != files.pooling:
            parser.error(f"{args.reference} was pooled by {metadata['pooling']}, {args.root} says {files.pooling}")
        out |= {"reference": metadata["made_by"], "pooling": metadata["pooling"], "texts": len(ids), "tokens": sum(map(len, ids))}
    if not files.own.exists():
        files.own.mkdir(parents=True)
        peer.prepare(files)
    for variant in args.variants.split(",") if args.variants else peer.VARIANTS:
        model = peer.Model(files, variant, args.threads)
        found = {"bytes": sum(f.stat().st_size for f in files.own.iterdir() if f.stem == variant)}
        if args.reference:
            # One text a run: what a batch does to a vector is not measured here.
            vectors = np.concatenate([model.encode([text]) for text in ids])
            found |= {k: round(v, 6) for k, v in figures(vectors, expected).items()}
        if args.speed:
            found["tokens_per_second"] = round(speed_of(model, files.config["vocab_size"], args.speed), 1)
        out["variants"][variant] = found
    print(json.dumps(out, indent=2))


if __name__ == "__main__":
    main()
