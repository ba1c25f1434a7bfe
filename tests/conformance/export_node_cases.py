"""Writes the node test cases of the onnx package to one file that the C++ runner reads.
usage: export_node_cases.py FILE
"""
import sys

import case_file
import onnx
from onnx.backend.test.case.node import collect_testcases

cases = collect_testcases(None)
case_file.write(sys.argv[1], [(c.name, c.model.SerializeToString(), c.rtol, c.atol, c.data_sets) for c in cases])
print(f"{len(cases)} cases of onnx {onnx.__version__}")
