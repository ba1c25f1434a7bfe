#!/usr/bin/env python3
"""How much injected outlier channels cost the accurate recipe: a decoder as it is, and the same function with channels of
every norm's gain multiplied (tools/inject_outliers.py), each smoothed, quantized and compared with the FP32 model as
`octavo build --profile accurate` does it, on the same texts.

    python3 tools/measure_outliers.py build/release/octavo SmolLM2-135M-Instruct.Q4_1.gguf --work WORK [--only injected]

The folder WORK keeps the models; what lies there already is not made again. Prints one line a model and, with both, how far
apart they are."""
import argparse
import json
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
FIGURES = ("cos_min", "cos_p5", "cos_mean")


def run(*command, keep):
    """Not run again when the file `keep` is there; its standard output is what is kept where that is no model."""
    if keep.exists():
        return
    done = subprocess.run([str(c) for c in command], stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(str(c) for c in command)}: exit {done.returncode}")
    if keep.suffix == ".json":
        keep.write_text(done.stdout)


def measure(args, name, fp32):
    folder, tokenizer = args.work / name, args.work / "plain"
    folder.mkdir(exist_ok=True)
    smoothed, int8 = folder / "smoothed.onnx", folder / "int8.onnx"
    run(args.octavo, "smooth", "--fp32", fp32, "--output", smoothed, "--tokenizer", tokenizer, "--alpha", args.alpha, "--factors", "per-token", "--rotate",
        keep=smoothed)
    run(args.octavo, "quantize", smoothed, int8, "--per-channel", "--activations", "per-token", "--table", "int8", "--compensate",
        "--max-extra-macs", args.max_extra_macs, "--tokenizer", tokenizer, "--external-data", "--json", keep=folder / "quantize.json")
    run(args.octavo, "verify", int8, "--tokenizer", tokenizer, "--against", args.work / "plain/model.onnx", "--probe", args.probe,
        "--json", keep=folder / "verify.json")
    found = json.loads((folder / "verify.json").read_text())
    chosen = json.loads((folder / "quantize.json").read_text())["protection"]
    wide = sum(site["wide"] for site in chosen["sites"])
    print(f"{name:9} {len(found['texts'])} texts", *(f"{f} {found[f]:.6f}" for f in FIGURES),
          f"{wide} of {len(chosen['sites'])} inputs in 16 bits, {chosen['extra_macs']:.1%} more products", flush=True)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("octavo", type=pathlib.Path)
    parser.add_argument("model", type=pathlib.Path, help="snapshot or GGUF")
    parser.add_argument("--work", type=pathlib.Path, required=True)
    parser.add_argument("--only", choices=["plain", "injected"])
    parser.add_argument("--alpha", default="0.5", help="that of the accurate profile")
    parser.add_argument("--max-extra-macs", default="15%")
    parser.add_argument("--probe", default="wide")
    parser.add_argument("--channels", default="4")
    parser.add_argument("--factor", default="60")
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    plain = args.work / "plain" / "model.onnx"
    run(args.octavo, "import", args.model, "-o", plain.parent, keep=plain)
    found = {}
    if args.only != "plain":
        injected = args.work / "injected.onnx"
        run(sys.executable, ROOT / "tools/inject_outliers.py", plain, injected, "--channels", args.channels, "--factor", args.factor,
            keep=injected)
        found["injected"] = measure(args, "injected", injected)
    if args.only != "injected":
        found["plain"] = measure(args, "plain", plain)
    if len(found) == 2:
        apart = {f: found["injected"][f] - found["plain"][f] for f in FIGURES}
        print("apart    ", *(f"{f} {d:+.6f}" for f, d in apart.items()))


if __name__ == "__main__":
    main()
