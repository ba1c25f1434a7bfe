"""octavo quantize holds one piece of one weight at a time, whatever the size of the model."""
import os
import subprocess
import sys

import pytest

from conftest import SOURCE, highest_memory

MB = 1_000_000


@pytest.mark.parametrize("external", [True, False])
@pytest.mark.parametrize("shape,largest", [
    (("--layers", 4, "--vocabulary", 40000), 164 * MB),  # the largest is copied, not quantized
    (("--layers", 1, "--hidden", 2048, "--intermediate", 16384, "--vocabulary", 10), 134 * MB),
])
def test_peak_is_the_largest_weight_at_most(tmp_path, shape, largest, external):
    source = tmp_path / "big.onnx"
    subprocess.run([sys.executable, SOURCE / "tools" / "make_random_model.py", source, *map(str, shape)], check=True,
                   stdout=subprocess.DEVNULL)
    assert (tmp_path / "big.onnx.data").stat().st_size > 300 * MB
    command = [os.environ["OCTAVO_BIN"], "quantize", source, tmp_path / "q.onnx", "--per-channel"]
    peak = highest_memory(command + (["--external-data"] if external else []), "VmHWM")
    print(f"peak {peak / MB:.0f} MB")
    # A float weight, and its bytes. (A sanitizer keeps what was freed.)
    assert 1 * MB < peak < 60 * MB + largest * 1.25 or "OCTAVO_SANITIZED" in os.environ
