#!/usr/bin/env python3
"""`octavo serve` and a Python server on onnxruntime side by side, under the same load, taking turns in one go.

    run.py --work WORK --octavo build/release/octavo [--rounds 4] [--seconds 7] [--warm 1] [--clients 1,8,64] [--threads 2]
           [--servers "octavo;python:3:16;python:0:1"] [--json WORK/serve.json] [--out docs/serving.md] [--note TEXT]

WORK is what setup.sh made. All servers start, answer the mixed texts of bench/peers once, and stay; in every round, for
every number of clients, each of them is loaded for --warm and then --seconds, while the others have nothing to do; the next
round starts with the next server. python:N:G waits N ms for a batch to fill and runs it in padded groups of G texts. A
round ends with `octavo embed` of the same texts, whose CPU time is what the model and the tokenizer cost without HTTP and
JSON. --note goes into the page's head. Runs in WORK/venv.
"""
import argparse
import base64
import importlib.metadata
import json
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
sys.path.append(str(HERE.parent / "peers"))
import common
import load
import page
import workloads

MODEL = "minilm"
START_S = 60
# `octavo embed` of the mixed texts so many times and of them once: the difference is free of start and end.
MANY = 12
# Two ways to quantize differ; a wrong pooling or another model is far below.
SAME = 0.8
TICK = os.sysconf("SC_CLK_TCK")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def ticks(file):
    fields = pathlib.Path(file).read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


class Server:
    def __init__(self, name, args):
        self.name, self.args = name, args
        self.kind, *how = name.split(":")
        self.wait, self.group = how or (0, 0)
        self.record = {"kind": self.kind, "wait_ms": float(self.wait), "group": int(self.group), "windows": {}, "idle_cpu_s": 0.0}

    def command(self):
        args, folder = self.args, self.args.work / MODEL
        if self.kind == "octavo":
            return [args.octavo, "serve", folder, "--port", self.port, "--threads", args.threads, "--no-access-log"]
        return [sys.executable, HERE / "server.py", folder, "model.int8.vanilla.onnx", "--port", self.port, "--wait-ms",
                self.wait, "--group", self.group, "--threads", args.threads]

    def start(self, log):
        self.port = free_port()
        environment = os.environ | {"OCTAVO_CACHE": str(self.args.work / "cache")}
        self.process = subprocess.Popen([str(c) for c in self.command()], stdout=log, stderr=log, env=environment)
        until = time.monotonic() + START_S
        while True:
            if self.process.poll() is not None:
                sys.exit(f"{self.name} ended with exit code {self.process.returncode}; WORK/serve.log says why")
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health").close()
                return
            except urllib.error.URLError:
                if time.monotonic() > until:
                    sys.exit(f"{self.name} does not answer after {START_S} s; WORK/serve.log may say why")
                time.sleep(0.1)

    def vectors(self, texts):
        body = json.dumps({"input": texts, "model": MODEL, "encoding_format": "base64"}).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/v1/embeddings", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request) as answer:
            data = json.load(answer)["data"]
        return np.stack([np.frombuffer(base64.b64decode(d["embedding"]), np.float32) for d in data])

    def cpu(self):
        return ticks(f"/proc/{self.process.pid}/stat")

    def threads_cpu(self):
        return {task.name: ticks(task / "stat") for task in pathlib.Path(f"/proc/{self.process.pid}/task").iterdir()}

    def stop(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        self.record["peak"] = int(status.split("VmHWM:")[1].split()[0]) * 1024
        self.process.terminate()
        self.process.wait(60)


def one_window(server, others, requests, clients, args):
    before, idle = server.threads_cpu(), sum(s.cpu() for s in others)
    made = load.run(server.port, requests, clients, args.warm, args.seconds, server.cpu)
    spent = sorted((seconds - before.get(thread, 0.0) for thread, seconds in server.threads_cpu().items()), reverse=True)
    # Those that run the model are as many as --threads, and the busiest; the rest read, write and tokenize.
    made["other_threads"] = sum(spent[args.threads:]) / sum(spent)
    server.record["idle_cpu_s"] += sum(s.cpu() for s in others) - idle
    server.record["windows"].setdefault(str(clients), []).append(made)
    print(f"  {server.name:10} {clients:3} clients {made['texts_s']:8.1f} texts/s   p50 {1000 * made['p50']:7.1f}   "
          f"p95 {1000 * made['p95']:7.1f}   p99 {1000 * made['p99']:7.1f} ms", flush=True)


def embed_cpu(args, texts, times, scratch):
    """User and system seconds of one `octavo embed` of the texts so many times."""
    file = scratch / "texts.jsonl"
    file.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts * times))
    command = [args.octavo, "embed", args.work / MODEL, "--input", file, "--output", scratch / "vectors.npy", "--threads", args.threads]
    process = subprocess.Popen([str(c) for c in command], env=os.environ | {"OCTAVO_CACHE": str(args.work / "cache")})
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"octavo embed ended with exit code {process.returncode}")
    return used.ru_utime + used.ru_stime


def versions(args, servers):
    octavo = subprocess.run([args.octavo, "--version"], capture_output=True, text=True, check=True).stdout.split()[-1]
    if all(s.kind == "octavo" for s in servers):
        return {"octavo": octavo}
    names = ("fastapi", "onnxruntime", "tokenizers", "uvicorn")
    return {"octavo": octavo, "python": sys.version.split()[0], **{n: importlib.metadata.version(n) for n in names}}


def check(servers, texts):
    """All did the same work, or there is nothing to compare. -> the lowest cosine to the first one's vectors."""
    first, *rest = [s.vectors(texts).astype(np.float64) for s in servers]
    lowest = min((float(((first * v).sum(1) / np.linalg.norm(first, axis=1) / np.linalg.norm(v, axis=1)).min()) for v in rest),
                 default=1.0)
    if not lowest > SAME:
        sys.exit(f"the servers' vectors differ: a text's cosine is {lowest:.3f}")
    return lowest


def measure(args, servers, texts, scratch):
    requests = load.requests_of(texts, MODEL)
    embed = []
    for number in range(args.rounds):
        print(f"round {number + 1} of {args.rounds}", flush=True)
        turn = number % len(servers)
        for clients in args.clients:
            for server in [*servers[turn:], *servers[:turn]]:
                one_window(server, [s for s in servers if s is not server], requests, clients, args)
        many, once = embed_cpu(args, texts, MANY, scratch), embed_cpu(args, texts, 1, scratch)
        embed.append((many - once) / (len(texts) * (MANY - 1)))
    return embed


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=pathlib.Path, required=True)
    parser.add_argument("--octavo", type=pathlib.Path, required=True)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=7)
    parser.add_argument("--warm", type=float, default=1)
    parser.add_argument("--clients", type=lambda s: [int(n) for n in s.split(",")], default=[1, 8, 64])
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--servers", default="octavo;python:3:16;python:0:1")
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--out", type=pathlib.Path)
    parser.add_argument("--note", default="")
    args = parser.parse_args()
    made = workloads.make(args.work / MODEL, longest=8)
    mixed = made["workloads"]["mixed"]
    servers = [Server(name, args) for name in args.servers.split(";")]
    result = {"machine": common.machine(), "threads": args.threads, "rounds": args.rounds, "seconds": args.seconds,
              "clients": args.clients, "mixed": made["mixed"], "texts": len(mixed["texts"]), "tokens": mixed["tokens"],
              "note": args.note, "versions": versions(args, servers)}
    started = []
    with tempfile.TemporaryDirectory() as scratch, open(args.work / "serve.log", "a") as log:
        try:
            for server in servers:
                started.append(server)
                server.start(log)
            result["cosine"] = check(servers, mixed["texts"])
            result["embed_cpu_s"] = measure(args, servers, mixed["texts"], pathlib.Path(scratch))
            for server in servers:
                server.stop()
        finally:
            for server in started:
                if server.process.poll() is None:
                    server.process.kill()
    result["servers"] = [s.record for s in servers]
    if args.json:
        args.json.write_text(json.dumps(result, separators=(",", ":")) + "\n")
    print(page.block(result))
    if args.out:
        page.update(args.out, result)


if __name__ == "__main__":
    main()
