"""`quantize --table`: the embedding table in fewer bytes, against numpy's rounding of its rows, in onnxruntime, our executor
and the engine."""
import json
import os
import subprocess

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from onnx_graphs import graph_model, session, weight
from test_per_token import cosines, feeds, ours, raised, some_texts

F = np.float32


def by_rows(table):
    scale = (2 * np.abs(table).max(1, keepdims=True).astype(np.float64) / 254).astype(F)
    scale = np.where(scale < np.finfo(F).tiny, F(1), scale)
    return np.clip(np.rint(table / scale), -127, 127).astype(np.int8), scale


def as_bfloat16(table):
    bits = table.view(np.uint32)
    return ((bits + 0x7fff + (bits >> 16 & 1)) >> 16 << 16).astype(np.uint32).view(F)


STORED = {"int8": lambda t: by_rows(t)[0].astype(F) * by_rows(t)[1], "bfloat16": as_bfloat16,
          "float16": lambda t: t.astype(np.float16).astype(F)}
OPS = {"int8": ["Gather", "Cast", "Gather", "Mul"], "bfloat16": ["Gather", "Cast"], "float16": ["Gather", "Cast"]}


def small(tmp_path, table, tied=False, opset=17):
    """ids -> table -> MatMul; tied: the table is read again, transposed."""
    w = weight(table.shape[1], 5)
    nodes = [helper.make_node("Gather", ["table", "ids"], ["e"], name="words"),
             helper.make_node("MatMul", ["e", "w"], ["y"], name="mm")]
    if tied:
        nodes += [helper.make_node("Transpose", ["table"], ["t"], name="tt"), helper.make_node("MatMul", ["e", "t"], ["z"], name="out")]
    path = graph_model(tmp_path, nodes, [], [("y", ["b", "s", 5])] + [("z", ["b", "s", len(table)])] * tied,
                       [("table", table), ("w", w)], opset=opset)
    model = onnx.load(path)
    model.graph.input.append(helper.make_tensor_value_info("input_ids", onnx.TensorProto.INT64, ["b", "s"]))
    model.graph.node.insert(0, helper.make_node("Identity", ["input_ids"], ["ids"], name="id"))
    model.graph.output.append(helper.make_tensor_value_info("e", onnx.TensorProto.FLOAT, ["b", "s", table.shape[1]]))
    onnx.save(model, path)
    return path


def a_table():
    table = weight(300, 33, seed=9)
    table[7] = 0
    table[8] *= F(1e-42)
    table[9] *= F(1e3)
    table[10, :7] = [0.5, 1.5, 2.5, -0.5, -1.5, 127, -127]
    return table


@pytest.mark.parametrize("kind", STORED)
def test_rows_are_rounded_as_numpy_rounds_them(octavo, tmp_path, kind):
    table = a_table()
    source, out = small(tmp_path, table), tmp_path / "q.onnx"
    done = octavo("quantize", source, out, "--per-channel", "--table", kind, "--json")
    model = onnx.load(out)
    onnx.checker.check_model(str(out), full_check=True)
    at = [n.op_type for n in model.graph.node if n.name.startswith("words")]
    assert sorted(at) == sorted(OPS[kind]) and not any(i.name == "table" for i in model.graph.initializer)
    if kind == "int8":
        stored = {i.name: numpy_helper.to_array(i) for i in model.graph.initializer}
        q, scale = by_rows(table)
        assert (stored["table_rows_quantized"] == q).all() and (stored["table_rows_scale"] == scale).all()
    report = json.loads(done.stdout)["table"]
    assert report == {"weight": "table", "type": kind, "bytes_before": table.nbytes, "also_read_by": [],
                      "bytes_after": table.size * (1 if kind == "int8" else 2) + (4 * len(table) if kind == "int8" else 0)}
    ids = np.arange(300).reshape(2, 150)
    expected = STORED[kind](table)[ids]
    assert (session(out).run(["e"], {"input_ids": ids})[0] == expected).all()
    np.save(tmp_path / "ids.npy", ids)
    values = tmp_path / "values"
    values.write_text("e\n")
    from safetensors.numpy import load_file, save_file
    save_file({"input_ids": ids}, tmp_path / "in.safetensors")
    subprocess.run([os.environ["OCTAVO_RUN_MODEL"], out, tmp_path / "in.safetensors", tmp_path / "o.safetensors", "--values", values],
                   check=True)
    assert (load_file(tmp_path / "o.safetensors")["e"] == expected).all()


@pytest.mark.parametrize("kind", ["int8", "bfloat16"])
def test_a_tied_table_stays_for_its_other_reader(octavo, tmp_path, kind):
    table = a_table()
    source, out = small(tmp_path, table, tied=True), tmp_path / "q.onnx"
    done = octavo("quantize", source, out, "--table", kind)
    assert 'the embedding table "table" stays in float32 as well, for tt' in done.stderr
    names = {i.name for i in onnx.load(out).graph.initializer}
    assert "table" in names and len(names & {"table_rows_quantized", "table_bfloat16"}) == 1
    ids = np.arange(20).reshape(1, 20)
    e, z = session(out).run(["e", "z"], {"input_ids": ids})
    assert (e == STORED[kind](table)[ids]).all() and np.allclose(z, e @ table.T, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind, break_it, message", [
    ("int8", np.nan, "in row 5"), ("bfloat16", np.inf, "in row 5"), ("float16", 7e4, "float16 ends at 65504")])
def test_numbers_that_have_no_such_form(octavo, tmp_path, kind, break_it, message):
    table = a_table()
    table[5, 3] = break_it
    done = octavo("quantize", small(tmp_path, table), tmp_path / "q.onnx", "--table", kind, check=False)
    assert done.returncode == 3 and message in done.stderr and not (tmp_path / "q.onnx").exists()


def test_refusals(octavo, tmp_path):
    done = octavo("quantize", small(tmp_path, a_table(), opset=12), tmp_path / "q.onnx", "--table", "bfloat16", check=False)
    assert done.returncode == 3 and "opset 12 has no bfloat16" in done.stderr
    from onnx_graphs import layer
    done = octavo("quantize", layer(tmp_path), tmp_path / "q.onnx", "--table", "int8", check=False)
    assert done.returncode == 3 and "no embedding table" in done.stderr


@pytest.mark.parametrize("kind", STORED)
@pytest.mark.parametrize("name", ["bert", "llama", "qwen3"])
def test_whole_models(octavo, tiny, tmp_path, name, kind):
    octavo("import", tiny / name, "-o", tmp_path)
    path = tmp_path / "model.int8.onnx"
    octavo("quantize", tmp_path / "model.onnx", path, "--per-channel", "--activations", "per-token", "--table", kind)
    (text,) = some_texts(89, [23])
    runtime = session(path).run(None, feeds(path, [text]))[0]
    exact = session(tmp_path / "model.onnx").run(None, feeds(path, [text]))[0]
    assert cosines(ours(path, feeds(path, [text])), runtime).min() > 0.9999
    assert cosines(runtime, exact).min() > 0.995
    assert json.loads(raised(path).splitlines()[-1])["difference"] < 0.05
    vectors = []
    for option, said in (("--no-cache", "runs as 2 fused layers"), ("--exact-onnx", "runs node by node")):
        done = octavo("embed", tmp_path, "hello world", "the quick brown fox", "--output", tmp_path / "v.npy", "--explain", option)
        assert said in done.stderr
        vectors.append(np.load(tmp_path / "v.npy"))
    assert cosines(*vectors).min() > 0.9995


def test_the_engine_reads_the_int8_table_of_the_file(octavo, tiny, tmp_path):
    """The packed file holds no table: its bytes would be there twice."""
    octavo("import", tiny / "qwen3", "-o", tmp_path)
    for kind in ("float32", "int8"):
        octavo("quantize", tmp_path / "model.onnx", tmp_path / "model.int8.onnx", "--per-channel", "--table", kind, "--external-data")
        octavo("embed", tmp_path, "hello", env={**os.environ, "OCTAVO_CACHE": str(tmp_path / kind)})
    sizes = {kind: sum(f.stat().st_size for f in (tmp_path / kind).iterdir()) for kind in ("float32", "int8")}
    rows = onnx.load(tmp_path / "model.int8.onnx").graph.initializer
    vocabulary = next(i.dims[0] for i in rows if i.name.endswith("_rows_quantized"))
    assert 0 < sizes["int8"] - sizes["float32"] < 4 * vocabulary + 2000, sizes
