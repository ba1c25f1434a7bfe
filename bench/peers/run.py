#!/usr/bin/env python3
"""Octavo and its peers side by side: the same token ids, the same number of threads, taking turns in one go.

    run.py --work WORK --model qwen3 --octavo build/release/bench/bench_octavo_worker [--rounds 3] [--threads 2]
           [--texts] [--avx2] [--engines "octavo;onnxruntime:INT8"] [--longest 8192] [--limit 60] [--only "1 x 8;mixed"]
           [--program build/release/octavo] [--json docs/performance/qwen3.json] [--out docs/performance.md]

WORK is what setup.sh made. In every round each engine is started, loads, and runs every workload: once to warm up, then
three times or for two seconds; the next round starts with the next engine. A workload that would take an engine longer
than --limit seconds is left out and said so; one that took five seconds and three times as long as the best is not
repeated in later rounds. --texts starts from strings and ends with normalised vectors. --avx2 keeps all that can be kept
to AVX2. --program adds what `octavo bench` says of the INT8 model right after the rounds. Vectors of eight texts are
compared with onnxruntime's FP32, to show that all did the same work.
Needs tokenizers; engines run in WORK/venvs/<engine>, or --python ENGINE=PYTHON.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import common
import numpy as np
import report
import workloads

HERE = pathlib.Path(__file__).resolve().parent
ENGINES = ["octavo:INT8", "octavo:FP32", "onnxruntime:INT8", "onnxruntime:INT8, own attention op", "onnxruntime:MatMulNBits-8", "onnxruntime:FP32",
           "openvino:INT8, group 1024, bf16", "openvino:INT8, group 1024, f32", "openvino:INT8, group 32, bf16",
           "llama_cpp:Q8_0", "llama_cpp:BF16", "torch:BF16", "torch:FP32"]
AVX2 = {"OCTAVO_CPU": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "DNNL_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2"}
LONG = 5  # seconds after which a run is its own warm-up
REPEATS, ENOUGH = 3, 2.0
CHECK, REFERENCE = "check", "onnxruntime:FP32"
PROFILE_TOKENS = 512


class Absent(Exception):
    """The model has no such form for this engine."""


class Engine:
    """What is known of one engine over all rounds."""

    def __init__(self, name, args):
        self.name, self.args = name, args
        self.engine, self.variant = name.split(":", 1)
        self.record = {"engine": self.engine, "variant": self.variant, "versions": {}, "load_s": [], "first_s": [],
                       "peak": {}, "anonymous": {}, "runs": {}, "skipped": {}}
        self.arrangements, self.vectors = [], None

    def command(self, file):
        args = self.args
        texts = ["--texts"] if args.texts else []
        if self.engine == "octavo":
            folder = args.work / args.model / self.variant.lower()
            return [args.octavo, folder, file, args.threads, *texts]
        python = args.python.get(self.engine, args.work / "venvs" / self.engine / "bin" / "python")
        return [python, HERE / "worker.py", self.engine, self.variant, "--root", args.work / args.model,
                "--workloads", file, "--threads", args.threads, *texts]

    def start(self, file, log):
        environment = {k: v for k, v in os.environ.items() if not k.startswith("OPENBLAS_")}
        environment |= {"OMP_NUM_THREADS": str(self.args.threads), "OCTAVO_CACHE": str(file.parent / "cache")}
        environment |= AVX2 if self.args.avx2 else {}
        self.started = time.perf_counter()
        self.process = subprocess.Popen([str(c) for c in self.command(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=log, text=True, env=environment)
        ready = self.read()
        self.record["versions"], self.arrangements = ready["versions"], ready["arrangements"]
        self.record["load_s"].append(ready["load_s"])
        self.record["peak"]["loaded"] = max(ready["peak"], self.record["peak"].get("loaded", 0))
        self.record["anonymous"]["loaded"] = ready["anonymous"]

    def read(self):
        line = self.process.stdout.readline()
        answer = json.loads(line) if line else {"error": f"it ended with exit code {self.process.wait()}"}
        if "error" in answer:
            raise Absent if "no such form" in answer["error"] else RuntimeError(answer["error"])
        return answer

    def ask(self, request):
        self.process.stdin.write(request + "\n")
        self.process.stdin.flush()
        return self.read()

    def first_start(self, file, log):
        """Octavo packs weights once and maps them ever after: the first start is told apart."""
        self.start(file, log)
        self.stop()
        self.record["first_start"] = {"load_s": self.record["load_s"].pop(), "peak": self.record["peak"].pop("loaded")}

    def stop(self):
        self.process.stdin.close()
        self.process.wait()

    def measure(self, workload, arrangement):
        request = f"run {workload}\t{arrangement}"
        answer = self.ask(request)
        times = [answer["seconds"]]
        if times[0] < LONG:
            times = []
            while len(times) < REPEATS or (sum(times) < ENOUGH and len(times) < 50):
                answer = self.ask(request)
                times.append(answer["seconds"])
        self.record["runs"].setdefault(workload, {}).setdefault(arrangement, []).append(times)
        for key in ("peak", "anonymous"):
            self.record[key][workload] = max(answer[key], self.record[key].get(workload, 0))
        return statistics.median(times)

    def best(self, workload):
        """Median over rounds of each round's median, of the fastest arrangement; None when it never ran."""
        runs = self.record["runs"].get(workload, {})
        return min((statistics.median(map(statistics.median, rounds)) for rounds in runs.values()), default=None)

    def wanted(self, workload, texts):
        """The arrangements worth a run: all that differ in the first round, later those near the best."""
        if texts == 1:
            return self.arrangements[:1]
        fits = {"32 x 128": lambda a: a != "sorted, batches of 16", "mixed": lambda a: a != "batches of 32"}
        every = [a for a in self.arrangements if fits.get(workload, lambda _: True)(a)]
        runs = self.record["runs"].get(workload)
        if not runs:
            return every
        limit = 1.1 * self.best(workload)
        return [a for a in every if a in runs and statistics.median(map(statistics.median, runs[a])) <= limit]


def one_round(engine, engines, works, first_round, scratch, log):
    engine.start(scratch / "workloads.json", log)
    slowest = 0.0  # seconds a token
    for name, work in works.items():
        if name == CHECK:
            continue
        if name in engine.record["skipped"]:
            continue
        texts, tokens = len(work["ids"]), work["tokens"]
        fastest = min((b for e in engines if (b := e.best(name)) is not None), default=0)
        own = engine.best(name)
        if not first_round and own is not None and own > max(LONG, 3 * fastest):
            continue
        longest = max(map(len, work["ids"]))
        growth = 2 if longest > 2048 else 1
        if slowest * tokens * growth > engine.args.limit:
            engine.record["skipped"][name] = f"over {engine.args.limit:.0f} s"
            continue
        for arrangement in engine.wanted(name, texts):
            seconds = engine.measure(name, arrangement)
            print(f"  {engine.name:34} {name:10} {arrangement:22} {tokens / seconds:10.1f} tokens/s", flush=True)
            slowest = max(slowest, seconds / tokens) if texts == 1 and longest >= 128 else slowest
        if name == next(iter(works)):
            engine.record["first_s"].append(time.perf_counter() - engine.started - sum(
                sum(rounds[-1]) for rounds in engine.record["runs"][name].values()))
    if first_round:
        file = scratch / "vectors.bin"
        engine.ask(f"vectors {CHECK}\t{engine.arrangements[0]}\t{file}")
        engine.vectors = np.fromfile(file, np.float32).reshape(len(works[CHECK]["ids"]), -1)
    engine.stop()


def compare(engines):
    reference = next((e.vectors for e in engines if e.name == REFERENCE and e.vectors is not None), None)
    for engine in engines:
        if reference is not None and engine.vectors is not None:
            a, b = reference.astype(np.float64), engine.vectors.astype(np.float64)
            cosines = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
            engine.record["cosine"] = [float(cosines.min()), float(cosines.mean())]


def octavo_bench(args, tokens, cache):
    """The program's own view, with the packed weights of the rounds."""
    command = [args.program, "bench", args.work / args.model / "int8", "--threads", args.threads, "--profile", tokens,
               "--lengths", ",".join(str(n) for n in workloads.LENGTHS if n <= args.longest), "--json"]
    environment = os.environ | {"OCTAVO_CACHE": str(cache)} | (AVX2 if args.avx2 else {})
    done = subprocess.run([str(c) for c in command], stdout=subprocess.PIPE, env=environment, check=True, text=True)
    return json.loads(done.stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=pathlib.Path, required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--octavo", type=pathlib.Path, required=True)
    parser.add_argument("--python", action="append", default=[], type=lambda s: s.split("=", 1))
    parser.add_argument("--program", type=pathlib.Path)
    parser.add_argument("--engines", default="")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--longest", type=int, default=8192)
    parser.add_argument("--limit", type=float, default=60)
    parser.add_argument("--only", default="", help="workloads, separated by semicolons")
    parser.add_argument("--texts", action="store_true")
    parser.add_argument("--avx2", action="store_true")
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--out", type=pathlib.Path)
    args = parser.parse_args()
    args.python = dict(args.python)
    names = args.engines.split(";") if args.engines else ENGINES
    names = [e for n in names for e in ENGINES if e == n or e.split(":")[0] == n]
    engines = [Engine(name, args) for name in names]

    made = workloads.make(args.work / args.model / "fp32", args.longest)
    works = made["workloads"]
    if args.only:
        works = {n: w for n, w in works.items() if n in (*args.only.split(";"), CHECK)}
    if args.texts and "texts" not in next(iter(works.values())):
        sys.exit(f"{args.model}: its tokenizer is no trained one, there are no texts")
    here = common.machine()
    isa = "avx2" if args.avx2 else "amx" if "amx_int8" in here["isa"] else ""  # a section of its own in the page
    result = {"model": args.model, "input": "texts" if args.texts else "ids", "isa": isa,
              "threads": args.threads, "rounds": args.rounds, "machine": here, "mixed": made["mixed"],
              "tokens": {n: w["tokens"] for n, w in works.items()}, "texts": {n: len(w["ids"]) for n, w in works.items()}}
    with tempfile.TemporaryDirectory() as scratch, open(args.work / "peers.log", "a") as log:
        scratch = pathlib.Path(scratch)
        (scratch / "workloads.json").write_text(json.dumps(made))
        for engine in engines:
            if engine.engine == "octavo":
                engine.first_start(scratch / "workloads.json", log)
        for number in range(args.rounds):
            print(f"round {number + 1} of {args.rounds}", flush=True)
            turn = number % len(engines)
            for engine in [*engines[turn:], *engines[:turn]]:
                if "error" in engine.record or engine not in engines:
                    continue
                try:
                    one_round(engine, engines, works, number == 0, scratch, log)
                except Absent:
                    engine.stop()
                    engines = [e for e in engines if e is not engine]
                except (RuntimeError, OSError) as error:
                    engine.record["error"] = str(error)
                    print(f"  {engine.name}: {error}", flush=True)
                    engine.process.kill()
                    engine.process.wait()
        if args.program:
            result["profile_tokens"] = min(PROFILE_TOKENS, made["positions"])
            result["bench"] = octavo_bench(args, result["profile_tokens"], scratch / "cache")
    compare(engines)
    result["engines"] = [e.record for e in engines]
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(result, indent=None, separators=(",", ":")) + "\n")
    print(report.tables(result))
    if args.out:
        report.update(args.out, result)


if __name__ == "__main__":
    main()
