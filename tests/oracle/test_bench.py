"""octavo bench: the work it counts against a count with the onnx package, and what it prints."""
import json

import numpy as np
import onnx


def linear_macs(file):
    graph = onnx.load(file, load_external_data=False).graph
    shapes = {i.name: list(i.dims) for i in graph.initializer}
    return sum(int(np.prod(shapes[n.input[1]])) for n in graph.node
               if n.op_type in ("MatMul", "MatMulInteger") and len(shapes.get(n.input[1], [])) == 2)


def run(octavo, folder, *more):
    return json.loads(octavo("bench", folder, "--seconds", "0.01", "--json", "--threads", "2", *more).stdout)


def test_counts_the_work_of_linear_layers(octavo, tiny, tmp_path):
    octavo("import", tiny / "qwen3", "-o", tmp_path)
    wanted = linear_macs(tmp_path / "model.onnx")
    report = run(octavo, tmp_path, "--lengths", "8,32,128")
    assert wanted > 0 and report["float_macs_per_token"] == wanted and report["int8_macs_per_token"] == 0
    assert [x["name"] for x in report["lines"]] == ["1 x 8", "1 x 32", "32 x 96", "64 x 8..96"]
    assert report["too_long"] == [128]

    octavo("quantize", tmp_path / "model.onnx", tmp_path / "model.int8.onnx", "--per-channel")
    report = run(octavo, tmp_path, "--lengths", "8", "--no-batches")
    assert report["int8_macs_per_token"] == wanted == report["weight_bytes"]
    for line in report["lines"]:
        assert line["runs"] >= 1 and 0 < line["p50_seconds"] <= line["p95_seconds"]


def test_profile_and_trace(octavo, tiny, tmp_path):
    octavo("import", tiny / "qwen3", "-o", tmp_path)
    trace = tmp_path / "trace.json"
    report = run(octavo, tmp_path, "--lengths", "8", "--no-batches", "--profile", "33", "--trace", trace)
    assert report["fused"] and report["why_plain"] == ""
    steps = report["profile"]
    assert {s["layer"] for s in steps} == {0, 1, 2}  # two layers, and what is outside
    assert 0 < sum(s["seconds"] for s in steps) <= report["profile_seconds"]
    events = json.loads(trace.read_text())["traceEvents"]
    assert [e["name"] for e in events] == [s["step"] for s in steps]
    starts = [e["ts"] for e in events]
    assert starts == sorted(starts)

    text = octavo("bench", tmp_path, "--seconds", "0.01", "--lengths", "8", "--no-batches", "--profile", "33").stdout
    assert "1 x 8" in text and "One text of 33 tokens" in text and "attention" in text


def test_usage(octavo, tmp_path):
    assert octavo("bench", tmp_path, "--trace", "t.json", check=False).returncode == 2
    done = octavo("bench", tmp_path, check=False)
    assert done.returncode == 3 and str(tmp_path) in done.stderr
