#!/usr/bin/env python3
"""What --alpha auto gives beside every fixed alpha: one model smoothed at each, quantized as `octavo build --profile compat`
does it (one activation scale a tensor), and compared with its FP32 model on texts that neither calibration nor search saw.

    python3 tools/measure_alpha.py build/release/octavo SmolLM2-135M-Instruct.Q4_1.gguf --work WORK

The folder WORK keeps the models; what lies there already is not made again. Prints one line an alpha, and exits with 1 when a
fixed one has a better mean cosine than auto."""
import argparse
import json
import pathlib
import sys

from measure_front import run

FIGURES = ("cos_min", "cos_p5", "cos_mean")


def measure(args, fp32, alpha):
    kept = args.work / f"alpha-{alpha}.json"
    if not kept.exists():
        smoothed, int8 = (args.work / f"{kind}-{alpha}.onnx" for kind in ("smoothed", "int8"))
        search = ["--search-log", args.work / "search.jsonl"] if alpha == "auto" else []
        run(args.octavo, "smooth", "--fp32", fp32 / "model.onnx", "--output", smoothed, "--tokenizer", fp32, "--alpha", alpha, *search)
        run(args.octavo, "quantize", smoothed, int8, "--per-channel", "--external-data")
        kept.write_text(run(args.octavo, "verify", int8, "--tokenizer", fp32, "--against", fp32, "--probe", args.probe, "--json"))
        for file in (smoothed, int8):
            for part in (file, file.with_name(file.name + ".data")):
                part.unlink(missing_ok=True)
    found = json.loads(kept.read_text())
    print(f"{alpha:5} {len(found['texts'])} texts", *(f"{f} {found[f]:.6f}" for f in FIGURES), flush=True)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("octavo", type=pathlib.Path, help="the program")
    parser.add_argument("model", type=pathlib.Path, help="snapshot folder or *.gguf")
    parser.add_argument("--work", type=pathlib.Path, required=True)
    parser.add_argument("--alphas", type=lambda s: s.split(","), default="0.3,0.4,0.5,0.6,0.7,0.8,0.9".split(","))
    parser.add_argument("--probe", default="wide")
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    fp32 = args.work / "fp32"
    if not (fp32 / "model.onnx").exists():
        run(args.octavo, "import", args.model, "-o", fp32)
    fixed = {alpha: measure(args, fp32, alpha)["cos_mean"] for alpha in args.alphas}
    auto = measure(args, fp32, "auto")["cos_mean"]
    best = max(fixed, key=fixed.get)
    print(f"auto {auto:.6f}, the best fixed one is {best} with {fixed[best]:.6f}")
    sys.exit(auto < fixed[best])


if __name__ == "__main__":
    main()
