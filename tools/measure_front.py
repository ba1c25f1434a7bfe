#!/usr/bin/env python3
"""Measures the front of quality against speed and size of one model: FP32, vanilla, the compat profile, and files with a
scale a token from 8 bits everywhere to 16 bits everywhere, as `octavo quantize --max-extra-macs` and --target-cos choose
between; and, with --llama-cpp, llama.cpp's Q8_0 on the same token ids. tools/plot_front.py draws the result.

    python3 tools/measure_front.py build/release/octavo MODEL --reference wide.safetensors --work WORK -o front.json

Quality is the cosine to the reference of tools/dump_reference.py (`octavo verify`), speed that of `octavo bench` for one
text of 128 tokens: the fastest of --rounds rounds in which all take turns, so that what else the machine does meets all.
What lies in WORK already is kept."""
import argparse
import json
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
FIGURES = ("cos_min", "cos_p1", "cos_p5", "cos_p50", "cos_mean")


def run(*command, keep=None):
    """Its standard output; not run again when the file `keep` is there."""
    if keep and keep.exists():
        return ""
    done = subprocess.run([str(c) for c in command], stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(str(c) for c in command)}: exit {done.returncode}")
    return done.stdout


def size_of(model):
    return sum(f.stat().st_size for f in (model, model.with_name(model.name + ".data")) if f.exists())


class Front:
    def __init__(self, args):
        self.args, self.octavo, self.work = args, args.octavo, args.work
        self.fp32 = args.work / "fp32"
        self.points = []

    def smoothed(self, alpha, activations):
        """alpha: None with per-token-16."""
        out = self.work / f"smoothed-{alpha or 'closest'}-{activations}.onnx"
        extra = ["--alpha", alpha] if alpha else []
        if alpha == "auto":
            extra += ["--activations", activations]
        if activations != "per-tensor":  # as build --profile accurate, or closest
            extra += ["--factors", activations]
            if self.args.rotate:
                extra.append("--rotate")
        run(self.octavo, "smooth", "--fp32", self.fp32 / "model.onnx", "--output", out, "--tokenizer", self.fp32, *extra, keep=out)
        return out

    def add(self, name, kind, model, extra_macs=0.0):
        kept = model.with_suffix(".verify.json")
        if not kept.exists():
            kept.write_text(run(self.octavo, "verify", model, "--tokenizer", self.fp32, "--reference", self.args.reference, "--json"))
        found = json.loads(kept.read_text())
        self.points.append({"name": name, "kind": kind, "file": str(model), "bytes": size_of(model), "extra_macs": extra_macs,
                            "texts": len(found["texts"]), **{k: round(found[k], 6) for k in FIGURES}})
        print(name, self.points[-1], file=sys.stderr)

    def models(self):
        octavo, work = self.octavo, self.work
        run(octavo, "import", self.args.model, "-o", self.fp32, keep=self.fp32 / "model.onnx")
        self.add("FP32", "fp32", self.fp32 / "model.onnx")
        for name, source in (("vanilla", self.fp32 / "model.onnx"), ("compat", self.smoothed(self.args.compat_alpha, "per-tensor"))):
            run(octavo, "quantize", source, work / f"{name}.onnx", "--per-channel", "--external-data", keep=work / f"{name}.onnx")
            self.add(name, name, work / f"{name}.onnx")
        source = self.smoothed(self.args.alpha, "per-token")
        search = ["--activations", "per-token", "--protect-log", work / "protect.jsonl"]
        for budget in self.args.budgets:
            if budget >= 100:
                self.on_the_front(self.smoothed(None, "per-token-16"), "closest", ["--activations", "per-token-16"], 1.0)
                continue
            how = [*search, "--max-extra-macs", f"{budget:g}%"] if budget else ["--activations", "per-token"]
            self.on_the_front(source, f"front-{budget:g}", how)
        for target in self.args.targets:
            self.on_the_front(source, f"target-{target:g}", [*search, "--target-cos", f"{target:g}"])

    def on_the_front(self, source, name, how, extra=0.0):
        """`extra`: products more, where no search says."""
        out, report = self.work / f"{name}.onnx", self.work / f"{name}.json"
        if self.args.compensate:
            how.append("--compensate")
        if "--compensate" in how or "--protect-log" in how:
            how += ["--tokenizer", self.fp32]
        if not out.exists():
            report.write_text(run(self.octavo, "quantize", source, out, "--per-channel", "--table", "int8", "--external-data", *how, "--json"))
        found = json.loads(report.read_text()).get("protection") or {}
        extra = found.get("extra_macs", extra)
        label = "W8A8" if extra == 0 else "W8A16" if extra >= 1 else f"+{100 * extra:.0f}%"
        if name.startswith("target"):
            label += f" (target {name.removeprefix('target-')}{'' if found.get('reached', True) else ', not reached'})"
        self.add(label, "front", out, extra)

    def speeds(self):
        for point in self.points:
            point["tokens_per_second"] = 0.0
        for _ in range(self.args.rounds):
            for point in self.points:
                if point["kind"] == "llama_cpp":
                    command = [self.args.llama_cpp, ROOT / "bench/peers/quality.py", "--root", self.work, "--variants", "Q8_0",
                               "--threads", self.args.threads, "--speed", "128"]
                    speed = json.loads(run(*command))["variants"]["Q8_0"]["tokens_per_second"]
                else:
                    lines = json.loads(run(self.octavo, "bench", self.fp32, "--model-file", pathlib.Path(point["file"]).resolve(), "--json",
                                           "--threads", self.args.threads, "--lengths", "128", "--no-batches", "--seconds", "1"))["lines"]
                    speed = lines[0]["tokens_per_second"]
                point["tokens_per_second"] = max(point["tokens_per_second"], round(speed, 1))

    def q8_0(self):
        """WORK in the shape of bench/peers/setup.sh: fp32/ is there, snapshot/ is a link."""
        snapshot = self.work / "snapshot"
        if not snapshot.exists():
            source = self.args.model.resolve()
            snapshot.symlink_to(source if source.is_dir() else source.parent)
        found = json.loads(run(self.args.llama_cpp, ROOT / "bench/peers/quality.py", "--root", self.work, "--reference",
                               self.args.reference, "--variants", "Q8_0", "--threads", self.args.threads))
        q8 = found["variants"]["Q8_0"]
        self.points.append({"name": "llama.cpp Q8_0", "kind": "llama_cpp", "bytes": q8["bytes"], "extra_macs": 0.0, "texts": found["texts"],
                            "versions": found["versions"], **{k: q8[k] for k in FIGURES}})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("octavo", type=pathlib.Path, help="the program")
    parser.add_argument("model", type=pathlib.Path, help="snapshot folder or *.gguf")
    parser.add_argument("--reference", required=True, type=pathlib.Path, help="of tools/dump_reference.py, best with --probe wide")
    parser.add_argument("--work", required=True, type=pathlib.Path, help="folder for the models")
    parser.add_argument("-o", "--output", required=True, type=pathlib.Path)
    parser.add_argument("--title", help="default: the model's name")
    parser.add_argument("--alpha", default="0.5", help="with a scale a token: a number, or auto")
    parser.add_argument("--rotate", action="store_true", help="with a scale a token: rotate the residual stream")
    parser.add_argument("--compensate", action="store_true", help="with a scale a token: compensated rounding")
    parser.add_argument("--targets", type=lambda s: [float(t) for t in s.split(",")], default=[], help="cosines for --target-cos, by commas")
    parser.add_argument("--compat-alpha", default="0.8", help="with a scale a tensor")
    parser.add_argument("--budgets", type=lambda s: [float(b) for b in s.split(",")], default=[0, 5, 15, 40, 100],
                        help="extra products in percent, by commas; 0: 8 bits everywhere, 100: 16 (default: 0,5,15,40,100)")
    parser.add_argument("--llama-cpp", type=pathlib.Path, help="Python of an environment with bench/peers/llama_cpp/requirements.txt")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    args.octavo, args.work = args.octavo.resolve(), args.work.resolve()
    args.work.mkdir(parents=True, exist_ok=True)
    front = Front(args)
    front.models()
    if args.llama_cpp:
        front.q8_0()
    front.speeds()
    for point in front.points:
        point.pop("file", None)
    machine = json.loads(run(args.octavo, "bench", front.fp32, "--lengths", "8", "--no-batches", "--seconds", "0.1", "--json"))["machine"]
    result = {"title": args.title or args.model.stem, "machine": {"kernels": machine["kernels"], "threads": args.threads},
              "workload": "one text of 128 tokens", "points": front.points}
    args.output.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
