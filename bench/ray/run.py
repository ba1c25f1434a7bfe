#!/usr/bin/env python3
"""The same Parquet files embedded by Ray with two workers of one thread and by one process with two threads, taking turns.

    PYTHONPATH=build/dev/python build/venv/engines/bin/python bench/ray/run.py --octavo build/dev/octavo --work WORK
        [--texts 100000] [--files 40] [--rounds 3] [--json WORK/ray.json] [--out docs/scaling.md] [--note TEXT]

WORK gets the model (MiniLM in INT8, made once of build/models/minilm), the texts and the vectors. Every round runs both, each in
a process of its own, and compares all rows and all bits; a last run of Ray has one of its workers killed in the middle. --note
goes into the page. The exit code is 1 where they differ, or where Ray's rate at work is more than 10% below the other's.
"""
import argparse
import functools
import importlib.metadata
import json
import os
import pathlib
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.append(str(HERE.parent / "peers"))
import common
import workloads

CPUS = 2
ROWS = 4096
GOAL = 0.9
MARK = "ray"
QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_DATA_DISABLE_PROGRESS_BARS": "1", "RAY_AUTH_MODE": "disabled",
         # Ray's workers are nice to others, 15 steps: beside other work that would compare priorities.
         "RAY_worker_niceness": "0"}


def write_texts(folder, texts, files):
    import pyarrow as pa
    import pyarrow.parquet as pq

    draw = random.Random(7)
    folder.mkdir(parents=True)
    made = [" ".join(draw.choices(workloads.WORDS, k=draw.randint(3, 12))) for _ in range(texts)]
    for n in range(files):
        ids = range(n * texts // files, (n + 1) * texts // files)
        pq.write_table(pa.table({"id": list(ids), "text": [made[i] for i in ids]}), folder / f"part-{n:04}.parquet")


def one_process(source, target, model):
    """Threads instead of workers: read, encode, write."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    import octavo

    began = time.time()
    target.mkdir()
    embedder = octavo.Embedder(model, threads=CPUS)
    for file in sorted(source.iterdir()):
        writer = None
        for batch in pq.ParquetFile(file).iter_batches(batch_size=ROWS):
            vectors = embedder.encode(batch.column("text").to_pylist())
            column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), embedder.dim)
            table = pa.Table.from_batches([batch]).append_column("embedding", column)
            writer = writer or pq.ParquetWriter(target / file.name, table.schema, use_dictionary=["id", "text"])
            writer.write_table(table)
        writer.close()
        with open(target / file.name, "rb") as written:
            os.fsync(written.fileno())
    return {"began": began, "seconds": time.time() - began}


def writers(target):
    """Processes that are writing a file there."""
    for link in pathlib.Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if os.readlink(link).startswith(str(target)) and int(link.parts[2]) != os.getpid():
                yield int(link.parts[2])
        except OSError:
            continue


def kill_one(target, files):
    """Waits for the middle, and ends a worker with half a file."""
    while len(list(target.glob("*.parquet"))) < files // 2:
        time.sleep(0.05)
    while (victim := next(writers(target), None)) is None:
        pass
    os.kill(victim, signal.SIGKILL)
    print(f"  killed worker {victim}", file=sys.stderr, flush=True)


def two_workers(source, target, model, kill=False):
    import ray

    from octavo.ray import embed_parquet

    start = time.time()
    # A socket's name has 107 bytes at most, and Ray puts many of its own into it.
    session = tempfile.mkdtemp(prefix="octavo-ray-", dir="/tmp")
    ray.init(num_cpus=CPUS, include_dashboard=False, object_store_memory=200 << 20, _temp_dir=session,
             logging_level="error", log_to_driver=False)
    began = time.time()
    killer = threading.Thread(target=kill_one, args=(target, len(list(source.iterdir()))), daemon=True)
    if kill:
        killer.start()
    embed_parquet(source, target, model, workers=CPUS, threads=1, rows=ROWS)
    made = {"began": began, "seconds": time.time() - began, "init": began - start}
    assert not kill or not killer.is_alive()
    ray.shutdown()
    shutil.rmtree(session, ignore_errors=True)
    return made


def times_of(target, texts, files):
    """Rows a second from the second file's end to the last one's: neither start nor the wait for the last is in it."""
    ends = sorted(file.stat().st_mtime for file in target.glob("*.parquet"))
    return (files - CPUS) * (texts / files) / (ends[-1] - ends[CPUS - 1])


def run(kind, args):
    target = args.work / kind
    shutil.rmtree(target, ignore_errors=True)
    command = [sys.executable, __file__, "--child", kind, "--work", args.work]
    done = subprocess.run([str(c) for c in command], env=os.environ | QUIET | {"OCTAVO_CACHE": str(args.work / "cache")},
                          stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"{kind} ended with exit code {done.returncode}")
    made = json.loads(done.stdout.splitlines()[-1])
    made["at_work"] = times_of(target, args.texts, args.files)
    made["whole"] = args.texts / made["seconds"]
    print(f"  {kind:12} {made['seconds']:6.1f} s, {made['whole']:7.0f} texts/s; at work {made['at_work']:7.0f} texts/s", flush=True)
    return made


def same(args, other="ray"):
    """All rows of the source, once, in both, with the same bits."""
    import numpy as np
    import pyarrow.parquet as pq

    tables = [pq.read_table(args.work / kind).sort_by("id") for kind in ("process", other)]
    vectors = [t["embedding"].combine_chunks().flatten().to_numpy() for t in tables]
    return all(t["id"].to_pylist() == list(range(args.texts)) for t in tables) and np.array_equal(
        vectors[0].view(np.int32), vectors[1].view(np.int32))


def block(result):
    machine = result["machine"]
    median = {kind: {k: statistics.median(r[k] for r in result[kind]) for k in result[kind][0]} for kind in ("process", "ray")}
    spread = {kind: (max(r["at_work"] for r in result[kind]) - min(r["at_work"] for r in result[kind])) / 2 / median[kind]["at_work"]
              for kind in median}
    rounds = f"{result['rounds']} rounds, medians, +- is half the range" if result["rounds"] > 1 else "one round"
    lines = [
        f"{machine['cpu']}, {machine['cpus']} CPUs ({', '.join(machine['isa'])}), {machine['memory_gb']} GB; all-MiniLM-L6-v2 in INT8, "
        f"{result['texts']:,} texts of 3 to 12 words in {result['files']} files; {rounds}; "
        f"load {machine['load_before']} before the run.{' ' + result['note'] if result['note'] else ''}",
        f"Versions: {', '.join(f'{k} {v}' for k, v in result['versions'].items())}.", "",
        "| | texts/s at work | whole job, s | texts/s, start and end included |", "|---|---|---|---|"]
    for kind, name in (("process", "one process, 2 threads"), ("ray", "Ray, 2 workers of 1 thread")):
        m = median[kind]
        around = f" +-{100 * spread[kind]:.0f}%" if result["rounds"] > 1 else ""
        lines.append(f"| {name} | {m['at_work']:,.0f}{around} | {m['seconds']:.1f} | {m['whole']:,.0f} |")
    lines += [f"| **Ray over one process** | **{result['ratio']:.2f}** (goal {GOAL}) | | **{median['ray']['whole'] / median['process']['whole']:.2f}** |",
              "", f"The rows of both are those that went in, with the same bits. Ray's own start (`ray.init`, before the job) took "
              f"{median['ray']['init']:.1f} s more.",
              f"Once more with one of the two workers killed (SIGKILL) in the middle of a file: all {result['texts']:,} rows, none twice, the "
              f"same bits, in {result['killed']['seconds']:.1f} s."]
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=pathlib.Path, required=True)
    parser.add_argument("--octavo", type=pathlib.Path, default=pathlib.Path("build/dev/octavo"))
    parser.add_argument("--texts", type=int, default=100_000)
    parser.add_argument("--files", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--out", type=pathlib.Path)
    parser.add_argument("--note", default="")
    parser.add_argument("--child", choices=("process", "ray", "killed"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    args.work = args.work.resolve()
    model, source = args.work / "minilm", args.work / "texts"
    if args.child:
        kinds = {"process": one_process, "ray": two_workers, "killed": functools.partial(two_workers, kill=True)}
        print(json.dumps(kinds[args.child](source, args.work / args.child, model)))
        return
    result = {"machine": common.machine(), "texts": args.texts, "files": args.files, "rounds": args.rounds, "note": args.note,
              "versions": {name: importlib.metadata.version(name) for name in ("ray", "pyarrow")}, "process": [], "ray": []}
    args.work.mkdir(parents=True, exist_ok=True)
    if not (model / "model.int8.onnx").exists():
        subprocess.run([args.octavo, "build", HERE.parents[1] / "build" / "models" / "minilm", "-o", model], check=True)
    shutil.rmtree(source, ignore_errors=True)
    write_texts(source, args.texts, args.files)
    for number in range(args.rounds):
        print(f"round {number + 1} of {args.rounds}", flush=True)
        for kind in ("process", "ray") if number % 2 == 0 else ("ray", "process"):
            result[kind].append(run(kind, args))
        if not same(args):
            sys.exit("rows or bits of the two differ")
    print("a worker is killed", flush=True)
    result["killed"] = run("killed", args)
    if not same(args, "killed"):
        sys.exit("rows or bits differ after a worker was killed")
    result["ratio"] = statistics.median(r["at_work"] for r in result["ray"]) / statistics.median(
        r["at_work"] for r in result["process"])
    if args.json:
        args.json.write_text(json.dumps(result, separators=(",", ":")) + "\n")
    text = block(result)
    print(text)
    if args.out:
        begin, end = f"<!-- {MARK} begin: made by bench/ray/run.py -->\n", f"<!-- {MARK} end -->"
        before, found, rest = args.out.read_text().partition(begin)
        if not found or end not in rest:
            sys.exit(f"{args.out} has no place for it: {begin}{end}")
        args.out.write_text(before + begin + text + "\n" + end + rest.partition(end)[2])
    sys.exit(result["ratio"] < GOAL)


if __name__ == "__main__":
    main()
