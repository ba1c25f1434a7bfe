"""octavo inspect against the onnx package, and the golden ONNX files against the script that made them."""
import json
import os
import subprocess
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from conftest import SOURCE

GOLDEN = SOURCE / "tests" / "golden" / "onnx"


def test_goldens_are_what_the_script_makes(tmp_path):
    subprocess.run([sys.executable, SOURCE / "tools" / "make_onnx_goldens.py", tmp_path], check=True)
    made = sorted(p.name for p in tmp_path.iterdir())
    assert made == sorted(p.name for p in GOLDEN.iterdir())
    for name in made:
        assert (tmp_path / name).read_bytes() == (GOLDEN / name).read_bytes(), name


def nodes(graph):
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                yield from nodes(attribute.g)


def test_reports_what_the_onnx_package_sees(octavo):
    for name in ("encodings.onnx", "everything.onnx", "external.onnx"):
        report = json.loads(octavo("inspect", GOLDEN / name, "--json").stdout)
        model = onnx.load(GOLDEN / name)
        ops = {}
        for node in nodes(model.graph):
            key = f"{node.domain}.{node.op_type}" if node.domain else node.op_type
            ops[key] = ops.get(key, 0) + 1
        assert report["ops"] == ops
        assert report["nodes"] == sum(ops.values())
        assert [v["name"] for v in report["inputs"]] == [v.name for v in model.graph.input]
        assert [v["name"] for v in report["outputs"]] == [v.name for v in model.graph.output]
        assert report["opsets"] == {o.domain or "ai.onnx": o.version for o in model.opset_import}
        assert report["metadata"] == {m.key: m.value for m in model.metadata_props}
        assert report["file_bytes"] == (GOLDEN / name).stat().st_size
        for kind, dtype in ((TensorProto.FLOAT, "float32"), (TensorProto.INT64, "int64"), (TensorProto.INT8, "int8")):
            arrays = [numpy_helper.to_array(i) for g in graphs(model.graph) for i in g.initializer
                      if i.data_type == kind]
            got = report["weights_by_dtype"].get(dtype, {"tensors": 0, "elements": 0, "bytes": 0})
            assert got == {"tensors": len(arrays), "elements": sum(a.size for a in arrays),
                           "bytes": sum(a.nbytes for a in arrays)}


def graphs(graph):
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                yield from graphs(attribute.g)


def test_sidecars_with_holes_and_sharing(octavo, tmp_path):
    """Two tensors at the same bytes count once; what lies between and behind is unused."""
    (tmp_path / "w.bin").write_bytes(bytes(1000))
    tensors = []
    for name, offset, size in (("a", 0, 100), ("b", 50, 100), ("c", 400, 100), ("a2", 0, 100)):
        t = TensorProto(name=name, data_type=TensorProto.UINT8, dims=[size], data_location=TensorProto.EXTERNAL)
        for key, value in (("location", "w.bin"), ("offset", offset), ("length", size)):
            entry = t.external_data.add()
            entry.key, entry.value = key, str(value)
        tensors.append(t)
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", None, 3])
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", [x],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)], tensors)
    onnx.save(helper.make_model(graph), tmp_path / "m.onnx")
    report = json.loads(octavo("inspect", tmp_path / "m.onnx", "--json", "--largest", 2).stdout)
    assert report["sidecars"] == [{"path": str(tmp_path / "w.bin"), "bytes": 1000, "used": 250, "unused": 750,
                                   "tensors": 4}]
    assert report["inputs"] == [{"name": "x", "dtype": "float32", "shape": "[batch, ?, 3]"}]
    assert report["outputs"] == [{"name": "y", "dtype": "float32", "shape": ""}]
    assert [w["name"] for w in report["largest"]] == ["a", "a2"]
    assert all(w["in_sidecar"] for w in report["largest"])
    text = octavo("inspect", tmp_path / "m.onnx").stdout
    assert "750 B" in text and "w.bin" in text


def test_says_what_memory_embedding_takes(octavo, minilm, tmp_path):
    octavo("import", minilm, "-o", tmp_path / "m")
    octavo("quantize", tmp_path / "m/model.onnx", tmp_path / "m/model.int8.onnx", "--per-channel", "--external-data")
    memory = json.loads(octavo("inspect", tmp_path / "m", "--json").stdout)["memory"]
    weights = sum(numpy_helper.to_array(i).size for i in onnx.load(tmp_path / "m/model.int8.onnx").graph.initializer
                  if i.data_type == TensorProto.INT8)
    assert memory["engine"] and memory["batch_tokens"] == 4096
    assert weights < memory["packed_weights"] < 1.15 * weights  # and sums, scales, biases, norms, positions
    assert memory["embedding_table"] == 30522 * 384 * 4
    small = json.loads(octavo("inspect", tmp_path / "m", "--json", "--max-batch-tokens", 256).stdout)["memory"]
    assert small["longest_text"] == 512 and small["packed_weights"] == memory["packed_weights"]
    assert small["activations"] < small["longest_activations"] < memory["activations"]
    said = octavo("inspect", tmp_path / "m/model.int8.onnx").stdout
    assert "activations, 4096 tokens at once" in said
    # The same numbers as where it is done.
    env = {**os.environ, "OCTAVO_CACHE": str(tmp_path / "cache")}
    explained = octavo("embed", tmp_path / "m", "a", "--explain", "--json", env=env).stderr
    assert f"{-(-memory['packed_weights'] // 10**6)} MB of weights" in explained, explained
    assert f"{-(-memory['activations'] // 10**6)} MB of activations" in explained
    other = json.loads(octavo("inspect", GOLDEN / "everything.onnx", "--json").stdout)["memory"]
    assert not other["engine"] and other["reason"]


def test_errors_are_named(octavo, tmp_path):
    bad = octavo("inspect", tmp_path / "none.onnx", check=False)
    assert bad.returncode == 3 and "none.onnx" in bad.stderr and not bad.stdout
    (tmp_path / "broken.onnx").write_bytes((GOLDEN / "everything.onnx").read_bytes()[:-3])
    bad = octavo("inspect", tmp_path / "broken.onnx", "--json", check=False)
    assert bad.returncode == 3 and "broken.onnx" in bad.stderr and not bad.stdout


def test_strict_refuses_hard_links(octavo, tmp_path):
    """A hard link to a file from elsewhere cannot be told from a file by its path; strict looks at the count."""
    for file in GOLDEN.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    model = tmp_path / "external.onnx"
    sidecars = json.loads(octavo("inspect", model, "--strict", "--json").stdout)["sidecars"]
    (tmp_path / "link").hardlink_to(tmp_path / sidecars[0]["path"])
    octavo("inspect", model)
    done = octavo("inspect", model, "--strict", check=False)
    assert done.returncode == 3 and "more than one hard link" in done.stderr, done.stderr
