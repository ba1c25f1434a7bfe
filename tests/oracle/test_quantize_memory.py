"""octavo quantize holds one piece of one weight at a time, whatever the size of the model."""
import os
import re
import subprocess
import sys
import time

import pytest

from conftest import SOURCE

MB = 1_000_000


def peak_memory(command):
    """Highest resident set of the program: its own memory and the mapped pages of its files."""
    process = subprocess.Popen([str(c) for c in command], stdout=subprocess.DEVNULL)
    peak = 0
    while process.poll() is None:
        try:
            status = open(f"/proc/{process.pid}/status").read()
        except OSError:
            break
        # Before exec the child is a copy of this interpreter.
        if "octavo" in re.search(r"Name:\s+(.*)", status)[1]:
            peak = max(peak, int((re.search(r"VmHWM:\s+(\d+)", status) or [0, 0])[1]) * 1024)
        time.sleep(0.002)
    assert process.wait() == 0
    return peak


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
    peak = peak_memory(command + (["--external-data"] if external else []))
    print(f"peak {peak / MB:.0f} MB")
    # A float weight, and its bytes. (A sanitizer keeps what was freed.)
    assert 1 * MB < peak < 60 * MB + largest * 1.25 or "OCTAVO_SANITIZED" in os.environ
