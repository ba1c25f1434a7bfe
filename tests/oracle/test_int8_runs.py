"""Quantized files in our executor against onnxruntime on the same file."""
import os
import subprocess

import numpy as np
import onnx
import pytest
from onnx_graphs import FOREIGN, feeds, foreign_feeds, ids_of, layer, one, session, weight
from safetensors.numpy import load_file, save_file


def run_ours(model, inputs, folder):
    save_file(inputs, folder / "in.safetensors")
    subprocess.run([os.environ["OCTAVO_RUN_MODEL"], model, folder / "in.safetensors", folder / "out.safetensors"],
                   check=True)
    arrays = load_file(folder / "out.safetensors")
    return [arrays[o.name] for o in onnx.load(model, load_external_data=False).graph.output]


FORMS = [("--per-channel",), (), ("--per-channel", "--weight-type", "quint8"), ("--weight-type", "quint8"),
         ("--per-channel", "--reduce-range"), ("--activations", "per-token"), ("--activations", "per-token-16")]


@pytest.mark.parametrize("flags", FORMS)
@pytest.mark.parametrize("w", [weight(6, 5), weight(64, 64), weight(333, 129), weight(2, 6, 5), np.abs(weight(6, 5))],
                         ids=lambda w: "x".join(map(str, w.shape)))
def test_one_product_gives_the_same_bits(octavo, tmp_path, w, flags):
    """Integer sums are exact and the float steps are the graph's own, so nothing is left to differ."""
    batch = [w.shape[0]] if w.ndim == 3 else []
    source = one(tmp_path, w, x_shape=(*batch, "m", w.shape[-2]), y_shape=(*batch, "m", w.shape[-1]))
    if w.ndim == 3 and "per-token-16" in flags:  # the axis of the two bytes would meet that of the matrices
        done = octavo("quantize", source, tmp_path / "q.onnx", *flags, check=False)
        assert done.returncode == 3 and "B is a stack of matrices" in done.stderr
        return
    octavo("quantize", source, tmp_path / "q.onnx", *flags)
    x = feeds(source, seed=w.size)
    for values in (x, {"x": np.zeros_like(x["x"])}, {"x": np.abs(x["x"])}, {"x": x["x"] * 1e-30}):
        if w.ndim == 3 and "--per-channel" in flags:
            continue  # onnxruntime wants a scale a batch there
        expected = session(tmp_path / "q.onnx", optimize=False).run(None, values)[0]
        assert run_ours(tmp_path / "q.onnx", values, tmp_path)[0].tobytes() == expected.tobytes()


def close(ours, theirs):
    """A float that differs in its last bit can flip a rounding of the next layer's input: one step of 255."""
    for a, b in zip(ours, theirs):
        assert np.abs(a - b).max() <= 0.02 * np.abs(b).max()
        cosine = (a.astype(np.float64) * b).sum() / np.linalg.norm(a.astype(np.float64)) / np.linalg.norm(b)
        assert cosine > 0.9995


@pytest.mark.parametrize("flags", FORMS)
def test_a_layer(octavo, tmp_path, flags):
    source = layer(tmp_path)
    octavo("quantize", source, tmp_path / "q.onnx", *flags)
    x = feeds(source)
    close(run_ours(tmp_path / "q.onnx", x, tmp_path), session(tmp_path / "q.onnx").run(None, x))


@pytest.mark.parametrize("path", FOREIGN, ids=lambda p: p.stem)
def test_exports_of_other_programs(octavo, tmp_path, path):
    octavo("quantize", path, tmp_path / "q.onnx", "--per-channel", "--external-data")
    x = foreign_feeds(path)
    close(run_ours(tmp_path / "q.onnx", x, tmp_path), session(tmp_path / "q.onnx").run(None, x))


def test_minilm(octavo, minilm, tmp_path):
    octavo("import", minilm, "-o", tmp_path / "m")
    octavo("quantize", tmp_path / "m" / "model.onnx", tmp_path / "q.onnx", "--per-channel", "--external-data")
    x = ids_of(tmp_path / "q.onnx")
    close(run_ours(tmp_path / "q.onnx", x, tmp_path), session(tmp_path / "q.onnx").run(None, x))
