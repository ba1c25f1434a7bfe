"""Large models: what build holds in memory of its own does not grow with the depth."""
import os
import subprocess
import sys

import pytest

from conftest import SOURCE, highest_memory

MB = 1_000_000


@pytest.mark.skipif("OCTAVO_SANITIZED" in os.environ, reason="a sanitizer keeps what was freed")
def test_memory_is_flat_in_depth(octavo, tmp_path):
    """The width of Qwen3-0.6B, 63 MB of float weights a layer, at two depths that both need several parts."""
    texts = tmp_path / "texts.txt"
    texts.write_text("A text.\nAnother one, a little longer.\nThe third of them.\nUnd der vierte.\n")
    program, smoothed = os.environ["OCTAVO_BIN"], tmp_path / "smoothed.onnx"
    peaks = {}
    for layers in (12, 24):
        snapshot, fp32 = tmp_path / f"snapshot{layers}", tmp_path / f"fp32-{layers}"
        subprocess.run([sys.executable, SOURCE / "tools" / "make_bench_model.py", snapshot, "--layers", str(layers),
                        "--vocabulary", "1000"], check=True, stdout=subprocess.DEVNULL)
        octavo("import", snapshot, "-o", fp32)
        model = fp32 / "model.onnx"
        peaks[layers] = [
            highest_memory([program, "smooth", "--fp32", model, "--output", smoothed, "--tokenizer", fp32, "--calibration", texts],
                           "RssAnon"),
            highest_memory([program, "verify", smoothed, "--tokenizer", fp32, "--against", model, "--texts", texts],
                           "RssAnon"),
        ]
        size = (fp32 / "model.onnx.data").stat().st_size
        print(f"{layers} layers, {size / MB:.0f} MB: peaks {[round(p / MB) for p in peaks[layers]]} MB")
    for shallow, deep in zip(*peaks.values()):
        assert deep < shallow + 60 * MB
        assert deep < 800 * MB
