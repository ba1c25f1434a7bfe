"""Every op of com.microsoft that the executor has against onnxruntime, on random cases of each form: onnxruntime says
what is right, conformance_node runs the cases and compares."""
import collections
import os
import pathlib
import re
import subprocess
import sys

import numpy as np
import onnxruntime
from onnx import helper

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "conformance"))
import case_file  # noqa: E402
from contrib_cases import cases  # noqa: E402


def expected(case):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    source = case.reference
    session = onnxruntime.InferenceSession(source.model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(source.outputs, source.feeds)


def test_values(tmp_path):
    written, ops = [], collections.Counter()
    for case in cases():
        want = expected(case)
        assert all(np.isfinite(w).all() for w in want), case.name
        for output, w in zip(case.model.graph.output, want):
            output.CopyFrom(helper.make_tensor_value_info(output.name, helper.np_dtype_to_tensor_dtype(w.dtype), None))
        # Of the largest value: where terms cancel, neither side is right to more.
        largest = max((float(np.abs(w).max()) for w in want if w.size), default=0)
        written.append((case.name, case.model.SerializeToString(), 0.0, case.tolerance * max(largest, 1e-6),
                        [(list(case.feeds.values()), want)]))
        ops[case.op] += 1
    file = tmp_path / "cases.bin"
    case_file.write(file, written)
    done = subprocess.run([os.environ["OCTAVO_CONFORMANCE"], file, "-v"], capture_output=True, text=True, timeout=600)
    print(done.stdout)
    assert done.returncode == 0, done.stdout
    assert f"Of {len(written)} cases {len(written)} pass" in done.stdout, done.stdout
    # A case that nobody wrote for an op would pass unseen.
    table = set(re.findall(r"\| com\.microsoft\.(\w+) \|", done.stdout))
    assert table == set(ops), table ^ set(ops)
