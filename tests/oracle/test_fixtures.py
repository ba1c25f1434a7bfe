"""The fixtures themselves: what is missing skips a test, or fails it where nothing may be skipped."""
import os
import pathlib
import subprocess
import sys

import pytest

PROBE = """
def test_models(minilm): pass
def test_interpreter(old_python): pass
def test_other_interpreter(runtimes_python): pass
"""


@pytest.mark.parametrize("required, outcome, code", [("", "3 skipped", 0), ("1", "3 errors", 1)])
def test_missing_oracles(tmp_path, required, outcome, code):
    probe = tmp_path / "test_probe.py"
    probe.write_text(PROBE)
    environment = os.environ | {"OCTAVO_REQUIRE_ORACLES": required, "PYTHONPATH": str(pathlib.Path(__file__).parent),
                                "OCTAVO_MODELS": str(tmp_path / "none"), "OCTAVO_ORT_OLD_PYTHON": "/no/python",
                                "OCTAVO_RUNTIMES_PYTHON": "/no/python"}
    done = subprocess.run([sys.executable, "-B", "-m", "pytest", "-q", "-p", "conftest", "-p", "no:cacheprovider", probe],
                          capture_output=True, text=True, env=environment, cwd=tmp_path)
    assert done.returncode == code and outcome in done.stdout, done.stdout + done.stderr
