"""The executor against onnxruntime: graphs of other exporters at many lengths and paddings, value by value, and random
single nodes of every family of ops."""
import os
import pathlib
import subprocess
import sys

import numpy as np
import onnx
import onnxruntime
import pytest
from safetensors.numpy import load_file, save_file

import random_nodes

SOURCE = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(SOURCE / "tools"))
import first_difference  # noqa: E402

FOREIGN = sorted((SOURCE / "tests/golden/foreign").glob("*.onnx"))


@pytest.fixture(scope="module")
def program():
    path = pathlib.Path(os.environ.get("OCTAVO_RUN_MODEL", ""))
    assert path.is_file(), "OCTAVO_RUN_MODEL is no program; run these tests through ctest"
    return path


def run(program, model, feeds, folder):
    save_file(feeds, folder / "in.safetensors")
    subprocess.run([program, model, folder / "in.safetensors", folder / "out.safetensors"], check=True)
    return load_file(folder / "out.safetensors")


def batch(model, rows, length, side, seed):
    """input_ids and what goes with them, every row padded on that side to another length."""
    rng = np.random.default_rng(seed)
    names = {i.name for i in model.graph.input}
    lengths = [length] + [int(rng.integers(1, length + 1)) for _ in range(rows - 1)]
    mask = np.zeros((rows, length), np.int64)
    for row, n in zip(mask, lengths):
        row[length - n if side == "left" else 0:length if side == "left" else n] = 1
    feeds = {"input_ids": rng.integers(1, 60, (rows, length)) * mask, "attention_mask": mask}
    if "token_type_ids" in names:
        feeds["token_type_ids"] = rng.integers(0, 2, (rows, length)) * mask
    if "position_ids" in names:
        feeds["position_ids"] = np.maximum(np.cumsum(mask, axis=1) - 1, 0)
    return {k: np.ascontiguousarray(v, np.int64) for k, v in feeds.items() if k in names}, mask


@pytest.mark.parametrize("file", FOREIGN, ids=lambda f: f.stem)
@pytest.mark.parametrize("side", ["left", "right"])
def test_foreign_graphs(program, file, side, tmp_path):
    model = onnx.load(file)
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    for seed, (rows, length) in enumerate([(1, 1), (1, 2), (3, 7), (2, 17), (4, 31)]):
        feeds, mask = batch(model, rows, length, side, seed)
        theirs = session.run(None, feeds)[0]
        mine = next(iter(run(program, file, feeds, tmp_path).values()))
        assert mine.shape == theirs.shape
        real = mask.astype(bool)
        scale = np.abs(theirs[real]).max()
        assert np.abs(mine[real] - theirs[real]).max() <= 2e-5 * scale, (rows, length)
        assert np.isfinite(mine).all()


@pytest.mark.parametrize("file", FOREIGN, ids=lambda f: f.stem)
def test_every_value_of_foreign_graphs(program, file, tmp_path):
    feeds, _ = batch(onnx.load(file), 2, 9, "right", 5)
    save_file(feeds, tmp_path / "in.safetensors")
    rows = first_difference.compare(file, tmp_path / "in.safetensors", program)
    assert len(rows) > 20
    worst = max(rows, key=lambda row: row[2])
    assert worst[2] <= 1e-4, f"{worst[0].op_type} node {worst[0].name}: {worst[1]} differs by {worst[2]:.2e}"


def test_first_difference_finds_the_node(program, tmp_path):
    """A program that is handed another model answers with other numbers from one node on."""
    source = onnx.load(FOREIGN[0])
    biased = onnx.ModelProto()
    biased.CopyFrom(source)
    adds = [n for n in biased.graph.node if n.op_type == "Add"]
    victim = adds[len(adds) // 2]
    victim.op_type = "Sub"
    onnx.save(biased, tmp_path / "biased.onnx")
    wrapper = tmp_path / "other"
    wrapper.write_text(f'#!/bin/sh\nshift\nexec "{program}" "{tmp_path}/biased.onnx" "$@"\n')
    wrapper.chmod(0o755)
    feeds, _ = batch(source, 2, 9, "right", 5)
    save_file(feeds, tmp_path / "in.safetensors")
    rows = first_difference.compare(FOREIGN[0], tmp_path / "in.safetensors", wrapper)
    first = next(row for row in rows if row[2] > 1e-4)
    assert first[1] == victim.output[0]


@pytest.mark.parametrize("opset", [11, 13, 17, 18, 21])
def test_random_nodes(program, opset, tmp_path):
    model, feeds = random_nodes.model(opset, seed=opset, rounds=30)
    onnx.save(model, tmp_path / "model.onnx")
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", options, providers=["CPUExecutionProvider"])
    names = [o.name for o in session.get_outputs()]
    theirs = dict(zip(names, session.run(names, feeds)))
    mine = run(program, tmp_path / "model.onnx", feeds, tmp_path)
    wrong = []
    for name in names:
        a, b = mine[name], theirs[name]
        if a.shape != b.shape or a.dtype != b.dtype:
            wrong.append(f"{name}: {a.dtype}{a.shape} instead of {b.dtype}{b.shape}")
        elif a.dtype.kind == "f" and not np.allclose(a, b, rtol=2e-5, atol=2e-6, equal_nan=True):
            wrong.append(f"{name}: differs by {np.abs(a - b).max()}")
        elif a.dtype.kind != "f" and not np.array_equal(a, b):
            wrong.append(f"{name}: {a.ravel()[:8]} instead of {b.ravel()[:8]}")
    assert not wrong, "\n".join(wrong)
    assert len(names) > 1000
