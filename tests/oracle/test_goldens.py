"""Files that other packages write, made again: as kept. (Each oracle re-makes its own; these have none.)"""
import pathlib
import subprocess
import sys

import pytest

SOURCE = pathlib.Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("script, folder", [("make_format_golden.py", "formats"), ("make_onnx_goldens.py", "onnx")])
def test_made_again_they_are_the_same(script, folder, tmp_path):
    subprocess.run([sys.executable, SOURCE / "tools" / script, tmp_path], check=True)
    kept = SOURCE / "tests/golden" / folder
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(p.name for p in kept.iterdir())
    for file in kept.iterdir():
        assert file.read_bytes() == (tmp_path / file.name).read_bytes(), file.name
