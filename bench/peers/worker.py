#!/usr/bin/env python3
"""One engine in a process of its own, driven by run.py over standard input and output; or, once, the files it needs.

    worker.py ENGINE --prepare --root MODEL
    worker.py ENGINE VARIANT --root MODEL --workloads FILE --threads N [--texts]

ENGINE is a folder beside this file with peer.py: VARIANTS, versions(), prepare(files) and Model(files, variant, threads)
with encode(list of id lists) -> [texts, width] and, if padding is not how it batches, ARRANGEMENTS. A line in is
`run WORKLOAD<tab>ARRANGEMENT` or `vectors WORKLOAD<tab>ARRANGEMENT<tab>FILE`; a line out is a JSON object. The time is
that from ids in lists (with --texts: from strings, tokenized by the tokenizers package) to pooled vectors in memory.
"""
import argparse
import importlib.util
import json
import pathlib
import sys
import time

import common
import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
# How a padding engine can be given many texts: sorted by length or not, so many a run.
ARRANGEMENTS = {"one by one": (True, 1), "batches of 16": (False, 16), "sorted, batches of 16": (True, 16),
                "batches of 32": (True, 32)}


def load_peer(engine):
    sys.path = [p for p in sys.path if pathlib.Path(p or ".").resolve() != HERE]  # folders here are named as packages are
    spec = importlib.util.spec_from_file_location("peer", HERE / engine / "peer.py")
    peer = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(peer)
    return peer


class Worker:
    def __init__(self, args):
        start = time.perf_counter()
        peer = load_peer(args.engine)
        imported = time.perf_counter()
        files = common.Files(args.root, args.engine)
        self.model = peer.Model(files, args.variant, args.threads)
        self.arrangements = getattr(peer, "ARRANGEMENTS", ARRANGEMENTS)
        self.loaded = {"import_s": imported - start, "load_s": time.perf_counter() - imported,
                       "versions": peer.versions(), "arrangements": list(self.arrangements), **common.memory()}
        self.workloads = json.loads(args.workloads.read_text())["workloads"]
        self.tokenizer = None
        if args.texts:
            import tokenizers

            self.tokenizer = tokenizers.Tokenizer.from_file(str(files.tokenizer))
            self.tokenizer.no_padding()
            self.tokenizer.no_truncation()

    def run(self, name, arrangement):
        """-> seconds, vectors [texts, width]"""
        ordered, size = self.arrangements[arrangement]
        start = time.perf_counter()
        if self.tokenizer:
            texts = [e.ids for e in self.tokenizer.encode_batch_fast(self.workloads[name]["texts"])]
        else:
            texts = self.workloads[name]["ids"]
        order = sorted(range(len(texts)), key=lambda i: -len(texts[i])) if ordered else list(range(len(texts)))
        vectors = None
        for begin in range(0, len(order), size):
            part = order[begin:begin + size]
            rows = self.model.encode([texts[i] for i in part])
            if vectors is None:
                vectors = np.empty((len(texts), rows.shape[1]), np.float32)
            vectors[part] = rows
        if self.tokenizer:
            vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return time.perf_counter() - start, vectors


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("engine")
    parser.add_argument("variant", nargs="?")
    parser.add_argument("--root", required=True)
    parser.add_argument("--prepare", action="store_true")
    parser.add_argument("--workloads", type=pathlib.Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--texts", action="store_true")
    args = parser.parse_args()
    if args.prepare:
        files = common.Files(args.root, args.engine)
        files.own.mkdir(parents=True, exist_ok=True)
        load_peer(args.engine).prepare(files)
        return
    # Whatever an engine's C++ prints goes to stderr; answers keep the pipe to themselves.
    import os

    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)

    def answer(value):
        answers.write(json.dumps(value) + "\n")

    try:
        worker = Worker(args)
    except Exception as error:  # said to the driver, which goes on with the others
        return answer({"error": f"{type(error).__name__}: {error}"})
    answer(worker.loaded)
    for line in sys.stdin:
        verb, *rest = line.rstrip("\n").split(" ", 1)
        try:
            name, arrangement, *file = rest[0].split("\t")
            seconds, vectors = worker.run(name, arrangement)
            if verb == "vectors":
                vectors.astype(np.float32).tofile(file[0])
            answer({"seconds": seconds, **common.memory()})
        except Exception as error:
            answer({"error": f"{type(error).__name__}: {error}"})


if __name__ == "__main__":
    main()
