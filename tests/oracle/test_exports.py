"""Foreign files through the recipe: what torch.onnx writes, smoothed and quantized by the two commands of the README,
run by onnxruntime. The tiny files of tests/golden/foreign always; MiniLM and SmolLM2 exported live with PyTorch."""
import os
import pathlib
import subprocess
import sys

import numpy as np
import onnxruntime
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

SOURCE = pathlib.Path(__file__).resolve().parents[2]
FOREIGN = SOURCE / "tests/golden/foreign"
EXPORTS = sorted(p.stem for p in FOREIGN.glob("*.onnx"))


def session(file):
    return onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])


def infer(model, feeds):
    return model.run(["last_hidden_state"], {i.name: feeds[i.name] for i in model.get_inputs()})[0]


def cases(name):
    out = {}
    for key, value in load_file(FOREIGN / f"{name}.safetensors").items():
        case, what = key.rsplit(".", 1)
        out.setdefault(case, {})[what] = value
    return out


def cosines(a, b, mask):
    a, b = a[mask > 0], b[mask > 0]
    return (a * b).sum(-1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1)


def smooth_and_quantize(octavo, file, tokenizer, folder):
    """The commands as the README has them."""
    smoothed, quantized = folder / "model.smoothed.fp32.onnx", folder / "model.int8.onnx"
    octavo("smooth", "--fp32", file, "--output", smoothed, "--tokenizer", tokenizer, "--alpha", "0.8")
    octavo("quantize", smoothed, quantized, "--per-channel", "--op-types", "MatMul", "--weight-type", "qint8",
           "--external-data")
    return session(smoothed), session(quantized)


@pytest.mark.parametrize("name", EXPORTS)
def test_recipe_on_tiny_exports(octavo, tiny, tmp_path, name):
    with safe_open(FOREIGN / f"{name}.safetensors", "np") as f:
        snapshot = f.metadata()["about"].split('"snapshot": "')[1].split('"')[0]
    original = session(FOREIGN / f"{name}.onnx")
    smoothed, quantized = smooth_and_quantize(octavo, FOREIGN / f"{name}.onnx", tiny / snapshot, tmp_path)
    for case, feeds in cases(name).items():
        mask = feeds["attention_mask"]
        before, after = infer(original, feeds), infer(smoothed, feeds)
        error = np.abs(before - after)[mask > 0].max() / np.abs(before[mask > 0]).max()
        assert error < 1e-4, f"case {case}: smoothing changed the function by {error:.1e}"
        # Random weights of 40 channels keep less of their direction in INT8 than a trained model's.
        assert cosines(infer(quantized, feeds), before, mask).mean() > 0.95, case


@pytest.mark.torch
@pytest.mark.parametrize("model, exporter, attention", [
    ("minilm", "legacy", "sdpa"), ("minilm", "dynamo", "eager"), ("smollm2", "legacy", "eager"), ("smollm2", "dynamo", "sdpa")])
def test_real_exports(octavo, tmp_path, request, model, exporter, attention):
    source = request.getfixturevalue(model)
    file = tmp_path / "export.onnx"
    subprocess.run([sys.executable, SOURCE / "tools/export_torch.py", source, file, "--exporter", exporter,
                    "--attention", attention], check=True, capture_output=True)
    octavo("import", source, "-o", tmp_path / "import")
    rng = np.random.default_rng(7)
    ids = rng.integers(100, 5000, (2, 24))
    mask = np.ones_like(ids)
    mask[1, 17:] = 0
    feeds = {"input_ids": ids, "attention_mask": mask, "token_type_ids": ids * 0}
    exported = session(file)
    expected = infer(exported, feeds)

    # Our import and our executor against the export.
    ours = infer(session(tmp_path / "import/model.onnx"), feeds)
    assert np.abs(ours - expected)[mask > 0].max() <= 2e-4 * np.ptp(expected)
    save_file({i.name: feeds[i.name] for i in exported.get_inputs()}, tmp_path / "in.safetensors")
    subprocess.run([os.environ["OCTAVO_RUN_MODEL"], file, tmp_path / "in.safetensors", tmp_path / "out.safetensors"],
                   check=True, capture_output=True)
    executed = load_file(tmp_path / "out.safetensors")["last_hidden_state"]
    assert np.abs(executed - expected)[mask > 0].max() <= 2e-4 * np.ptp(expected)

    smoothed, quantized = smooth_and_quantize(octavo, file, tmp_path / "import", tmp_path)
    after = infer(smoothed, feeds)
    assert np.abs(after - expected)[mask > 0].max() <= 1e-4 * np.abs(expected).max()
    assert cosines(infer(quantized, feeds), expected, mask).mean() > 0.98
