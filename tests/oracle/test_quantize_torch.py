"""octavo quantize on MiniLM and SmolLM2 as torch exports them, against quantize_dynamic."""
import subprocess
import sys

import numpy as np
import onnx
import pytest
from conftest import SOURCE
from onnx_graphs import ids_of, session
from quantize_dynamic import LITERAL, assert_same, reference

@pytest.mark.torch
@pytest.mark.parametrize("exporter", ["legacy", "dynamo"])
@pytest.mark.parametrize("name", ["minilm", "smollm2"])
def test_real_models_exported_by_torch(octavo, request, tmp_path, name, exporter):
    """The command in the place of a Python recipe's quantize_dynamic, on files that we did not write."""
    source = request.getfixturevalue(name)
    subprocess.run([sys.executable, SOURCE / "tools" / "export_torch.py", source, tmp_path / "model.onnx", "--exporter",
                    exporter], check=True)
    octavo("quantize", tmp_path / "model.onnx", tmp_path / "ours.onnx", *LITERAL)
    expected = reference(tmp_path / "model.onnx", tmp_path / "theirs.onnx")
    assert_same(onnx.load(tmp_path / "ours.onnx"), expected, check=False)
    x = ids_of(tmp_path / "model.onnx")
    fp32 = session(tmp_path / "model.onnx").run(None, x)[0][0]
    ours = session(tmp_path / "ours.onnx").run(None, x)[0][0]
    assert (ours * fp32).sum() / np.linalg.norm(ours) / np.linalg.norm(fp32) > 0.8
