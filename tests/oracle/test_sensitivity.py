"""report.json's table of sites, computed again in numpy from the snapshot for one layer (tools/layer_sensitivity.py)."""
import importlib.util

import pytest

from conftest import SOURCE

TEXTS = ["hello world", "A longer text, with a comma; and more.", "Grüße aus München", "x = y + 1", "the the the the",
         "for (int i = 0; i < n; ++i) sum += a[i];", "A", "When do I need a new passport, and where do I get one?"]


@pytest.fixture(scope="module")
def recompute():
    spec = importlib.util.spec_from_file_location("layer_sensitivity", SOURCE / "tools" / "layer_sensitivity.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.recompute


def test_one_layer_by_numpy(octavo, tiny, tmp_path, recompute):
    (tmp_path / "calibration.txt").write_text("\n".join(TEXTS[::2]) + "\n")
    (tmp_path / "probe.txt").write_text("\n".join(TEXTS) + "\n")
    octavo("build", tiny / "qwen3", "-o", tmp_path / "out", "--min-cos", "0", "--no-vanilla",
           "--calibration", tmp_path / "calibration.txt", "--texts", tmp_path / "probe.txt")
    sites, differ, reported = recompute(tiny / "qwen3", tmp_path / "out", TEXTS[::2], TEXTS)
    assert len(sites) == len(reported) == 4
    for ours, theirs in zip(sites, reported):
        for key in ("outlier_before", "outlier_after", "scale_min", "scale_max"):
            assert ours[key] == pytest.approx(theirs[key], rel=1e-4), (ours["site"], key)
        # Three digits are reported; now and then an activation falls on the other side of a step.
        assert ours["error"] == pytest.approx(theirs["error"], rel=0.02), ours["site"]
        assert ours["error"] > 1e-3
    # A weight between two steps may go either way with the last bit of a factor.
    for name, (count, size) in differ.items():
        assert count <= size / 500, name
