"""tools/measure_front.py on a real model with few texts, and what tools/plot_front.py makes of it."""
import json
import os
import subprocess
import sys
import xml.etree.ElementTree

import pytest

from conftest import SOURCE

REFERENCE = SOURCE / "tests/golden/reference/minilm.safetensors"


def test_the_front_is_measured_and_drawn(octavo, minilm, tmp_path):
    out, svg = tmp_path / "front.json", tmp_path / "front.svg"
    subprocess.run([sys.executable, SOURCE / "tools/measure_front.py", os.environ["OCTAVO_BIN"], minilm, "--reference", REFERENCE,
                    "--work", tmp_path / "work", "-o", out, "--budgets", "0,100", "--rounds", "1"], check=True, timeout=600)
    result = json.loads(out.read_text())
    points = {p["name"]: p for p in result["points"]}
    assert list(points) == ["FP32", "vanilla", "compat", "W8A8", "W8A16"]
    assert all(p["tokens_per_second"] > 0 and p["texts"] == 6 for p in points.values())
    # The order of the front, and that of the files' sizes: an int8 table, and the same weights.
    assert points["vanilla"]["cos_mean"] < points["W8A8"]["cos_mean"] < points["W8A16"]["cos_mean"] < points["FP32"]["cos_mean"] + 1e-9
    assert points["W8A16"]["bytes"] < 1.01 * points["W8A8"]["bytes"] < 0.5 * points["vanilla"]["bytes"]
    # The numbers are those of octavo verify.
    found = json.loads(octavo("verify", tmp_path / "work/front-0.onnx", "--tokenizer", tmp_path / "work/fp32", "--reference", REFERENCE,
                              "--json").stdout)
    assert points["W8A8"]["cos_min"] == pytest.approx(found["cos_min"], abs=1e-6)
    # onnxruntime's own: the same integers, float32 ops in another order.
    theirs = json.loads(subprocess.run([sys.executable, SOURCE / "tools/verify_onnxruntime.py", tmp_path / "work/front-0.onnx",
                                        "--reference", REFERENCE], check=True, capture_output=True, text=True).stdout)
    assert theirs["texts"] == 6 and theirs["cos_min"] == pytest.approx(found["cos_min"], abs=5e-4)

    table = subprocess.run([sys.executable, SOURCE / "tools/plot_front.py", out, "-o", svg], check=True, capture_output=True, text=True).stdout
    root = xml.etree.ElementTree.parse(svg).getroot()
    assert len([e for e in root.iter() if e.tag.endswith("circle")]) == 2 * len(points)
    assert f"| Octavo, W8A8 | 0.0% | {points['W8A8']['bytes'] / 1e6:.1f} |" in table and table.count("\n") == 2 + len(points)
