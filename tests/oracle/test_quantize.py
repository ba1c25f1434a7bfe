"""octavo quantize against onnxruntime.quantization.quantize_dynamic: the same nodes in the same order, the same
initializers byte for byte; and the result runs in onnxruntime."""
import json

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from onnx_graphs import FOREIGN, feeds, foreign_feeds, graph_model, ids_of, layer, one, session, unsaturated_file, weight
from quantize_dynamic import LITERAL, assert_same, reference
from onnxruntime.quantization import QuantType


def compare(octavo, tmp_path, source, *, runs=True, flags=("--per-channel",), **options):
    ours, theirs = tmp_path / "ours.onnx", tmp_path / "theirs.onnx"
    octavo("quantize", source, ours, *flags, "--external-data")
    expected = reference(source, theirs, **options)
    assert_same(onnx.load(ours), expected)
    if runs:
        x = feeds(source)
        for a, b in zip(session(ours).run(None, x), session(theirs).run(None, x)):
            assert a.tobytes() == b.tobytes()
    return onnx.load(ours)


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("flags,options", [
    (("--per-channel",), {}),
    ((), {"per_channel": False}),
    (("--per-channel", "--reduce-range"), {"reduce_range": True}),
    (("--reduce-range",), {"per_channel": False, "reduce_range": True}),
    (("--per-channel", "--weight-type", "quint8"), {"weight_type": QuantType.QUInt8}),
    (("--weight-type", "QUInt8"), {"per_channel": False, "weight_type": QuantType.QUInt8}),
    (("--per-channel", "--weight-type", "quint8", "--reduce-range"),
     {"weight_type": QuantType.QUInt8, "reduce_range": True}),
])
def test_every_form_of_weight(octavo, tmp_path, flags, options, named):
    compare(octavo, tmp_path, layer(tmp_path, named=named), flags=flags, **options)


@pytest.mark.parametrize("opset", [11, 13, 17, 21])
def test_opsets(octavo, tmp_path, opset):
    compare(octavo, tmp_path, layer(tmp_path, opset))


def test_old_opsets_are_refused(octavo, tmp_path):
    bad = octavo("quantize", layer(tmp_path, 10), tmp_path / "o.onnx", check=False)
    assert bad.returncode == 3 and "opset 10" in bad.stderr and "11" in bad.stderr
    assert not (tmp_path / "o.onnx").exists()


def test_the_literal_command(octavo, tmp_path):
    source = layer(tmp_path)
    octavo("quantize", source, tmp_path / "ours.onnx", *LITERAL)
    assert_same(onnx.load(tmp_path / "ours.onnx"), reference(source, tmp_path / "theirs.onnx"))


def columns(*values):
    """A weight whose every column is one of the cases."""
    return np.stack([np.asarray(v, np.float32) for v in values], axis=1)


TIES = columns([127, 0.5, 1.5, -0.5, -1.5, 2.5], [-127, 126.5, 125.5, -126.5, 3.5, -2.5])
TINY = np.float32(1e-38)
SPECIAL = columns([0] * 6, [TINY] * 6, [-TINY, TINY, 0, 0, 0, 0], [1e-45] * 6, [3e38, -3e38, 1, 0, 0, 0],
                  [-1, -2, -3, -4, -5, -6], [1, 2, 3, 4, 5, 6], [-0.0] * 6)


@pytest.mark.parametrize("weight_type", ["qint8", "quint8"])
@pytest.mark.parametrize("per_channel", [True, False])
@pytest.mark.parametrize("name,w", [("ties", TIES), ("special", SPECIAL), ("zero", np.zeros((6, 3), np.float32)),
                                    ("negative", -np.abs(weight(6, 5))), ("positive", np.abs(weight(6, 5))),
                                    ("one", weight(6, 1)), ("wide", weight(6, 77)), ("odd", weight(6, 1001))])
def test_values(octavo, tmp_path, name, w, per_channel, weight_type):
    flags = ("--weight-type", weight_type) + (("--per-channel",) if per_channel else ())
    kind = QuantType.QInt8 if weight_type == "qint8" else QuantType.QUInt8
    compare(octavo, tmp_path, one(tmp_path, w), flags=flags, per_channel=per_channel, weight_type=kind,
            runs=name != "special")


@pytest.mark.parametrize("seed", range(20))
def test_random_weights_round_the_same(octavo, tmp_path, seed):
    random = np.random.default_rng(seed)
    w = random.standard_normal((200, 100)) * np.exp(random.standard_normal((200, 100)) * 3)
    compare(octavo, tmp_path, one(tmp_path, w.astype(np.float32), x_shape=("m", 200)), runs=False)


def test_batched_constant_weight(octavo, tmp_path):
    w = weight(2, 6, 5)
    for per_channel, flags in ((True, ("--per-channel",)), (False, ())):
        compare(octavo, tmp_path, one(tmp_path, w, x_shape=(2, "m", 6), y_shape=(2, "m", 5)), flags=flags,
                per_channel=per_channel, runs=not per_channel)


def test_vector_weight(octavo, tmp_path):
    compare(octavo, tmp_path, one(tmp_path, weight(6), y_shape=("m",)), flags=(), per_channel=False)
    bad = octavo("quantize", tmp_path / "source.onnx", tmp_path / "o.onnx", "--per-channel", check=False)
    assert bad.returncode == 3 and "vector" in bad.stderr


def shared(tmp_path, *nodes, outputs=(("y", [None, None]), ("z", [None, None])), weights=(), **more):
    return graph_model(tmp_path, list(nodes), [("x", ["m", 6]), ("x2", ["m", 6])], list(outputs),
                       [("w", weight(6, 6)), *weights], **more)


def mm(a, b, y, name=None):
    return helper.make_node("MatMul", [a, b], [y], name=y + "_mm" if name is None else name)


def test_a_weight_used_twice(octavo, tmp_path):
    compare(octavo, tmp_path, shared(tmp_path, mm("x", "w", "y"), mm("x2", "w", "z")))
    compare(octavo, tmp_path, shared(tmp_path, mm("x", "w", "y"), mm("y", "w", "z")))
    compare(octavo, tmp_path, shared(tmp_path, mm("x", "w", "y", ""), mm("x", "w", "z", "")))


def test_a_weight_that_another_op_reads_later_is_dequantized(octavo, tmp_path):
    add = helper.make_node("Add", ["y", "w"], ["z"], name="add")
    for flags, per_channel in ((("--per-channel",), True), ((), False)):
        got = compare(octavo, tmp_path, shared(tmp_path, mm("x", "w", "y"), add, outputs=[("z", [None, None])]), flags=flags,
                      per_channel=per_channel, runs=False)
        assert [n.name for n in got.graph.node if n.op_type == "DequantizeLinear"] == ["w_DequantizeLinear"]
        assert "w" not in [i.name for i in got.graph.initializer]


def test_a_weight_that_another_op_read_before_stays(octavo, tmp_path):
    gather = helper.make_node("Gather", ["w", "i"], ["g"], name="gather")
    got = compare(octavo, tmp_path, shared(
        tmp_path, gather, mm("g", "w", "y"), outputs=[("y", [None, None])],
        weights=[("i", np.array([1, 2], np.int64))]))
    assert {"w", "w_quantized"} <= {i.name for i in got.graph.initializer}


def test_a_quantized_weight_that_is_an_output(octavo, tmp_path):
    compare(octavo, tmp_path, shared(tmp_path, mm("x", "w", "y"), outputs=[("y", [None, None]), ("w", [6, 6])]), runs=False)


def test_weights_listed_among_the_inputs(octavo, tmp_path):
    path = graph_model(tmp_path, [mm("x", "w", "y")], [("x", ["m", 6]), ("w", [6, 6])], [("y", [None, None])],
                       [("w", weight(6, 6))])
    got = compare(octavo, tmp_path, path)
    assert [i.name for i in got.graph.input] == ["x"]


def test_both_sides_constant(octavo, tmp_path):
    path = graph_model(tmp_path, [mm("a", "w", "p"), helper.make_node("Add", ["x", "p"], ["y"])],
                       [("x", [2, 6])], [("y", [2, 6])], [("a", weight(2, 6)), ("w", weight(6, 6, seed=2))])
    compare(octavo, tmp_path, path)


def gemm(tmp_path, bias=True, transposed=True, named=True, twice=False, constant=True, **attributes):
    w = weight(5, 6) if transposed else weight(6, 5)
    weights = ([("w", w)] if constant else []) + [("c", weight(5, seed=3)), ("w2", weight(5, 5))]
    inputs = [("x", ["m", 6])] + ([] if constant else [("w", list(w.shape))])
    nodes = [helper.make_node("Gemm", ["x", "w"] + (["c"] if bias else []), ["h"], name="fc" if named else "",
                              transB=int(transposed), **attributes)]
    if twice:
        nodes.append(helper.make_node("Gemm", ["x", "w"], ["h2"], name="fc2", transB=int(transposed)))
        nodes.append(helper.make_node("Add", ["h", "h2"], ["hh"], name="sum"))
    nodes.append(helper.make_node("MatMul", ["hh" if twice else "h", "w2"], ["y"], name="mm"))
    return graph_model(tmp_path, nodes, inputs, [("y", ["m", 5])], weights)


@pytest.mark.parametrize("case", [
    {}, {"bias": False}, {"transposed": False}, {"named": False}, {"twice": True}, {"constant": False},
    {"constant": False, "transposed": False}, {"alpha": 0.5}, {"beta": 0.5}])
def test_gemm(octavo, tmp_path, case):
    compare(octavo, tmp_path, gemm(tmp_path, **case))


def test_subgraphs_stay_and_read_what_they_read(octavo, tmp_path):
    inner = helper.make_graph([helper.make_node("MatMul", ["h", "w"], ["t"], name="inner")], "then", [],
                              [helper.make_tensor_value_info("t", TensorProto.FLOAT, None)])
    other = helper.make_graph([helper.make_node("Identity", ["h"], ["e"], name="other")], "else", [],
                              [helper.make_tensor_value_info("e", TensorProto.FLOAT, None)])
    cond = numpy_helper.from_array(np.array(True), "cond")
    branch = helper.make_node("If", ["cond"], ["z"], name="if", then_branch=inner, else_branch=other)
    path = graph_model(tmp_path, [mm("x", "w", "h"), branch], [("x", ["m", 6])], [("z", [None, None])],
                       [("w", weight(6, 6)), cond])
    octavo("quantize", path, tmp_path / "o.onnx", "--per-channel")
    model = onnx.load(tmp_path / "o.onnx")
    onnx.checker.check_model(model)
    assert {"w", "w_quantized"} <= {i.name for i in model.graph.initializer}
    x = feeds(path)
    np.testing.assert_allclose(session(tmp_path / "o.onnx").run(None, x)[0], session(path).run(None, x)[0], atol=0.1)


def test_two_nodes_of_one_name_do_not_share_their_scales(octavo, tmp_path):
    """quantize_dynamic would give the second node the first one's scales: here ours is right and it is not.
    (onnxruntime itself refuses such a file; other runtimes do not.)"""
    path = shared(tmp_path, mm("x", "w", "y", "same"), mm("x2", "v", "z", "same"), weights=[("v", weight(6, 6) * 9)])
    octavo("quantize", path, tmp_path / "o.onnx", "--per-channel")
    x = {"x": weight(3, 6, seed=8), "x2": weight(3, 6, seed=9)}
    for a, b in zip(ReferenceEvaluator(str(tmp_path / "o.onnx")).run(None, x),
                    ReferenceEvaluator(str(path)).run(None, x)):
        np.testing.assert_allclose(a, b, atol=0.02 * np.abs(b).max())


def test_exclude(octavo, tmp_path):
    source = layer(tmp_path)
    ours = tmp_path / "ours.onnx"
    report = json.loads(octavo("quantize", source, ours, "--per-channel", "--external-data", "--exclude", "/(q|k)$",
                               "--exclude", "nothing", "--json").stdout)
    assert [q["node"] for q in report["quantized"]] == ["/layer/v", "/layer/a", "/layer/u", "/layer/y"]
    reasons = {k["node"]: k["reason"] for k in report["kept"]}
    assert "/(q|k)$" in reasons["/layer/q"] and "Transpose" in reasons["/layer/s"]
    assert report["warnings"] == ['exclude "nothing" matches no MatMul']
    assert report["bytes_after"] < report["bytes_before"]
    expected = reference(source, tmp_path / "theirs.onnx", nodes_to_exclude=["/layer/q", "/layer/k"])
    assert_same(onnx.load(ours), expected)
    bad = octavo("quantize", source, ours, "--exclude", "(", check=False)
    assert bad.returncode == 2 and "regular expression" in bad.stderr


def test_nothing_to_quantize_is_an_error_that_says_why(octavo, tmp_path):
    path = graph_model(tmp_path, [mm("x", "x2", "y", "dynamic")], [("x", ["m", 6]), ("x2", [6, 6])], [("y", [None, None])], [])
    bad = octavo("quantize", path, tmp_path / "o.onnx", check=False)
    assert bad.returncode == 3 and "dynamic" in bad.stderr and "not a constant" in bad.stderr
    assert not (tmp_path / "o.onnx").exists()
    bad = octavo("quantize", layer(tmp_path), tmp_path / "o.onnx", "--exclude", ".", check=False)
    assert bad.returncode == 3 and "excluded" in bad.stderr
    bad = octavo("quantize", layer(tmp_path), tmp_path / "o.onnx", "--op-types", "Conv", check=False)
    assert bad.returncode == 2 and "Conv" in bad.stderr and "MatMul" in bad.stderr


def test_weights_that_are_not_numbers_are_refused(octavo, tmp_path):
    for value in (np.nan, np.inf, -np.inf):
        w = weight(6, 5)
        w[3, 2] = value
        bad = octavo("quantize", one(tmp_path, w), tmp_path / "o.onnx", check=False)
        assert bad.returncode == 3 and '"w"' in bad.stderr and "element 17" in bad.stderr
        assert not (tmp_path / "o.onnx").exists()


def test_half_precision_and_too_deep_stay(octavo, tmp_path):
    w16 = weight(6, 6).astype(np.float16)
    path = graph_model(tmp_path, [mm("x", "w", "y"), helper.make_node("Cast", ["x2"], ["h"], to=TensorProto.FLOAT16),
                                  mm("h", "w16", "z"), mm("deep", "wd", "d")],
                       [("x", ["m", 6]), ("x2", ["m", 6]), ("deep", ["m", 66311])], [("y", [None, None]), ("d", [None, None])],
                       [("w", weight(6, 6)), ("w16", w16), ("wd", weight(66311, 2))])
    report = json.loads(octavo("quantize", path, tmp_path / "o.onnx", "--per-channel", "--json").stdout)
    reasons = {k["node"]: k["reason"] for k in report["kept"]}
    assert "float16" in reasons["z_mm"] and "overflow" in reasons["d_mm"]
    assert [q["node"] for q in report["quantized"]] == ["y_mm"]


def test_twice_in_a_row_and_in_place(octavo, tmp_path):
    source = layer(tmp_path)
    target = tmp_path / "m.onnx"
    octavo("quantize", source, target, "--per-channel", "--external-data", "--exclude", "/[qk]$")
    octavo("quantize", target, target, "--per-channel", "--external-data")
    onnx.checker.check_model(onnx.load(target))
    octavo("quantize", source, tmp_path / "once.onnx", "--per-channel")
    x = feeds(source)
    for a, b in zip(session(target).run(None, x), session(tmp_path / "once.onnx").run(None, x)):
        assert a.tobytes() == b.tobytes()


def test_the_weights_of_the_input_are_not_overwritten(octavo, tmp_path):
    source = onnx.load(layer(tmp_path))
    onnx.save(source, tmp_path / "model.onnx", save_as_external_data=True, location="model.onnx.data", size_threshold=0)
    (tmp_path / "model.onnx").rename(tmp_path / "fp32.onnx")
    before = {f: f.read_bytes() for f in tmp_path.iterdir()}
    for out, flags in (("model.onnx", ["--external-data"]), ("model.onnx.data", [])):
        done = octavo("quantize", tmp_path / "fp32.onnx", tmp_path / out, *flags, check=False)
        assert done.returncode == 3, out
        assert "model.onnx.data: holds the weights of" in done.stderr and "fp32.onnx" in done.stderr
        assert {f: f.read_bytes() for f in tmp_path.iterdir()} == before, out


def test_the_same_input_gives_the_same_bytes(octavo, tmp_path):
    source = layer(tmp_path)
    seen = set()
    for name in ("a", "b"):
        folder = tmp_path / name
        folder.mkdir()
        octavo("quantize", source, folder / "m.onnx", *LITERAL)
        seen.add((folder / "m.onnx").read_bytes() + (folder / "m.onnx.data").read_bytes()
                 if (folder / "m.onnx.data").exists() else (folder / "m.onnx").read_bytes())
    assert len(seen) == 1


@pytest.mark.parametrize("path", FOREIGN, ids=lambda p: p.stem)
def test_exports_of_other_programs(octavo, tmp_path, path):
    """torch (legacy and dynamo), optimum-like graphs with com.microsoft ops."""
    # Shape inference knows no com.microsoft ops, without which quantize_dynamic gives up.
    expected = reference(path, tmp_path / "theirs.onnx", extra_options={"DefaultTensorType": TensorProto.FLOAT})
    octavo("quantize", path, tmp_path / "ours.onnx", *LITERAL)
    assert_same(onnx.load(tmp_path / "ours.onnx"), expected, check=False)
    x = foreign_feeds(path)
    assert np.isfinite(session(tmp_path / "ours.onnx").run(None, x)[0]).all()


@pytest.fixture(scope="session")
def imported(octavo, minilm, tmp_path_factory):
    folder = tmp_path_factory.mktemp("imported")
    octavo("import", minilm, "-o", folder)
    return folder / "model.onnx"


def test_minilm(octavo, imported, tmp_path):
    ours, theirs = tmp_path / "ours.onnx", tmp_path / "theirs.onnx"
    octavo("quantize", imported, ours, *LITERAL)
    expected = reference(imported, theirs)
    assert_same(onnx.load(ours), expected)
    a = session(ours).run(None, ids_of(imported))[0]
    # quantize_dynamic leaves the shapes it inferred in the file, with which onnxruntime fuses other float ops.
    del expected.graph.value_info[:]
    expected.graph.value_info.extend(onnx.load(ours, load_external_data=False).graph.value_info)
    onnx.save(expected, tmp_path / "same_shapes.onnx")
    assert a.tobytes() == session(tmp_path / "same_shapes.onnx").run(None, ids_of(imported))[0].tobytes()
    fp32 = session(imported).run(None, ids_of(imported))[0]
    cosine = (a * fp32).sum() / np.linalg.norm(a) / np.linalg.norm(fp32)
    assert cosine > 0.95  # of all tokens, padding included


def test_minilm_runs_in_the_oldest_onnxruntime(octavo, imported, old_python, tmp_path):
    octavo("quantize", imported, tmp_path / "q.onnx", *LITERAL)
    code = """
import sys, numpy as np, onnxruntime as ort
s = ort.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
f = np.load(sys.argv[2])
print(ort.__version__)
np.save(sys.argv[3], s.run(None, {i.name: f[i.name] for i in s.get_inputs()})[0])
"""
    np.savez(tmp_path / "in.npz", **ids_of(imported))
    old_python(code, unsaturated_file(tmp_path / "q.onnx", tmp_path), tmp_path / "in.npz", tmp_path / "out.npy")
    new = session(tmp_path / "q.onnx").run(None, ids_of(imported))[0]
    np.testing.assert_allclose(np.load(tmp_path / "out.npy"), new, atol=0.02 * np.abs(new).max())
