"""`quantize --activations per-token`: standard ops that onnxruntime, our executor and the fused engine run to the same
numbers. The oracle of the arithmetic is numpy in float32, one operation after the other as docs/quantization.md lists."""
import collections
import json
import os
import subprocess
import sys

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import numpy_helper
from safetensors.numpy import load_file, save_file

from onnx_graphs import layer, one, session, unsaturated_file, weight

F = np.float32
QUANTIZER = {"ReduceMin": 1, "ReduceMax": 1, "Min": 1, "Max": 1, "Sub": 1, "Less": 1, "Where": 1, "Div": 3, "Neg": 1,
             "Round": 2, "Mul": 1, "Add": 1, "Clip": 1, "Cast": 2}
PRODUCT = {"MatMulInteger": 1, "Mul": 3, "Sub": 1, "Cast": 1}
WIDE_QUANTIZER = {**QUANTIZER, "Div": 5, "Floor": 2, "Mul": 3, "Sub": 3, "Cast": 4, "Unsqueeze": 4, "Concat": 2}
WIDE_PRODUCT = {"MatMulInteger": 1, "Mul": 4, "Sub": 1, "Cast": 1, "Gather": 2, "Add": 1}


def ours(path, feed):
    folder = path.parent
    save_file({k: np.ascontiguousarray(v) for k, v in feed.items()}, folder / "in.safetensors")
    done = subprocess.run([os.environ["OCTAVO_RUN_MODEL"], path, folder / "in.safetensors", folder / "out.safetensors"],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return next(iter(load_file(folder / "out.safetensors").values()))


def quantize_weight(w, per_channel):
    top = np.abs(w.astype(np.float64)).max(0 if per_channel else None)
    scale = (2 * top / 254).astype(F)
    scale = np.where(top == 0, F(1), scale)
    return np.clip(np.rint(w / scale), -127, 127).astype(np.int64), scale


def by_formula(x, w, per_channel, bits):
    top = F(2**bits - 1)
    q, w_scale = quantize_weight(w, per_channel)
    low = np.minimum(x.min(-1, keepdims=True), F(0))
    high = np.maximum(x.max(-1, keepdims=True), F(0))
    scale = np.where(high - low < F(1e-30), F(1), (high - low) / top)
    zero = np.rint(-low / scale)
    a = np.clip(np.rint(x * (F(1) / scale)) + zero, F(0), top)
    assert a.dtype == F

    def product(values, zeros):
        return (values.astype(np.int64) @ q - zeros.astype(np.int64) * q.sum(0)).astype(F)

    if bits == 8:
        total = product(a, zero)
    else:
        high_part = np.floor(a / F(256))
        high_zero = np.floor(zero / F(256))
        total = product(high_part, high_zero) * F(256) + product(a - high_part * F(256), zero - high_zero * F(256))
    return total * (scale * w_scale)


def rows(k):
    """Rows at the edges of the formula among ordinary ones."""
    random = np.random.default_rng(3)
    x = random.standard_normal((40, k)).astype(F)
    x[0] = 0
    x[1] = np.abs(x[1])
    x[2] = -np.abs(x[2])
    x[3] *= F(1e-31)
    x[4] *= F(1e-29)
    x[5] *= F(1e30)
    x[6] = 5
    x[7] = np.arange(k) - k / 2  # ties
    x[8] = np.where(np.arange(k) == 3, F(2373), x[8])
    x[9] = F(-0.0)
    x[10:20] *= np.logspace(-6, 6, 10, dtype=F)[:, None]
    return x


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("opset", [11, 13, 17, 18, 21])
@pytest.mark.parametrize("per_channel", [False, True])
def test_a_product_by_the_formula(octavo, tmp_path, bits, opset, per_channel):
    k, n = 90, 37
    w = weight(k, n)
    w[:, 3] = 0
    source = one(tmp_path, w, ("m", k), opset=opset, ir_version=8 if opset < 21 else 10)
    out = tmp_path / "q.onnx"
    octavo("quantize", source, out, "--activations", {8: "per-token", 16: "per-token-16"}[bits],
           *["--per-channel"][:per_channel])
    onnx.checker.check_model(str(out), full_check=True)
    x = rows(k)
    expected = by_formula(x, w, per_channel, bits)
    assert (ours(out, {"x": x}) == expected).all()
    for optimize in (False, True):
        runtime = session(out, optimize)
        assert (runtime.run(None, {"x": x})[0] == expected).all()
        for i in range(len(x)):
            assert (runtime.run(None, {"x": x[i:i + 1]})[0] == expected[i]).all()
    # The file as it is: on CPUs without VNNI by that option alone.
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.add_session_config_entry("session.x64quantprecision", "1")
    precise = ort.InferenceSession(str(out), options, providers=["CPUExecutionProvider"])
    assert (precise.run(None, {"x": x})[0] == expected).all()
    q, scale = quantize_weight(w, per_channel)
    error = np.abs(expected[20:] - x[20:] @ (q * scale))
    assert error.max() < {8: 0.1, 16: 0.0005}[bits]


def ops_of(model):
    return collections.Counter(n.op_type for n in model.graph.node)


def test_shared_inputs_are_quantized_once(octavo, tmp_path):
    """q, k, v share x; of the seven MatMuls two multiply activations."""
    source, out = layer(tmp_path), tmp_path / "q.onnx"
    plain = ops_of(onnx.load(source))
    octavo("quantize", source, out, "--per-channel", "--activations", "per-token", "--protect", "/u$|/v$")
    model = onnx.load(out)
    wanted = collections.Counter(plain)
    wanted["MatMul"] = 2
    wanted["MatMulInteger"] = 6  # a column's sum of each weight
    for count, ops in ((3, QUANTIZER), (4, PRODUCT), (2, WIDE_QUANTIZER), (2, WIDE_PRODUCT)):
        for op, times in ops.items():
            wanted[op] += count * times
    # x in both widths, o and h in 8 bits, r in 16.
    assert ops_of(model) == wanted
    assert {d.domain for d in model.opset_import} == {""}
    names = [n.name for n in model.graph.node]
    assert len(set(names)) == len(names)
    constants = {i.name: numpy_helper.to_array(i) for i in model.graph.initializer}
    for w in ("wq", "wk", "wv", "wo", "up", "down"):
        (sums,) = [n for n in model.graph.node if n.output[0] == w + "_column_sums"]
        ones = constants[sums.input[0]]
        assert sums.op_type == "MatMulInteger" and list(sums.input)[1:] == [w + "_quantized"] and w + "_column_sums" not in constants
        assert ones.dtype == np.uint8 and ones.shape == (1, len(constants[w + "_quantized"])) and (ones == 1).all()
        assert w not in constants and constants[w + "_zero_point"].dtype == np.int8 and constants[w + "_zero_point"] == 0
        assert sum(w + "_quantized" in n.input for n in model.graph.node) == 2  # the product, and the sums
    x = np.random.default_rng(1).standard_normal((3, 5, 8)).astype(F)
    assert np.abs(ours(out, {"x": x}) - session(out).run(None, {"x": x})[0]).max() < 1e-5


def test_per_tensor_is_the_default_and_what_it_was(octavo, tmp_path):
    source = layer(tmp_path)
    octavo("quantize", source, tmp_path / "a.onnx", "--per-channel")
    octavo("quantize", source, tmp_path / "b.onnx", "--per-channel", "--activations", "per-tensor")
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()


def test_the_report_says_what_each_node_got(octavo, tmp_path):
    source, out = layer(tmp_path), tmp_path / "q.onnx"
    done = octavo("quantize", source, out, "--activations", "per-token", "--protect", "/u$", "--protect", "nothing", "--json")
    got = {q["node"]: q["activations"] for q in json.loads(done.stdout)["quantized"]}
    assert got == {f"/layer/{n}": "per-token-16" if n == "u" else "per-token" for n in "qkvauy"}
    assert 'protect "nothing" matches no MatMul' in done.stderr


@pytest.mark.parametrize("options, message", [
    (["--activations", "per-token", "--weight-type", "quint8"], "symmetric"),
    (["--protect", "x"], "goes with --activations per-token"),
    (["--activations", "per-token-16", "--protect", "x"], "goes with --activations per-token"),
    (["--activations", "per-token", "--protect", "("], "protect: \"(\" is not a regular expression")])
def test_refusals(octavo, tmp_path, options, message):
    done = octavo("quantize", layer(tmp_path), tmp_path / "q.onnx", *options, check=False)
    assert done.returncode == 2 and message in done.stderr and not (tmp_path / "q.onnx").exists()


def test_a_taken_name_keeps_the_node(octavo, tmp_path):
    source = layer(tmp_path)
    model = onnx.load(source)
    for node in model.graph.node:
        for names in (node.input, node.output):
            for i, name in enumerate(names):
                if name == "kt":
                    names[i] = "o_rows_scale"
    onnx.save(model, source)
    done = octavo("quantize", source, tmp_path / "q.onnx", "--activations", "per-token", "--json")
    kept = {k["node"]: k["reason"] for k in json.loads(done.stdout)["kept"]}
    assert kept["/layer/a"] == 'the name "o_rows_scale" is already taken'


# --- whole models ---

def make(octavo, source, folder, *options):
    octavo("import", source, "-o", folder)
    octavo("quantize", folder / "model.onnx", folder / "model.int8.onnx", "--per-channel", "--external-data",
           "--activations", *(options or ("per-token",)))
    return folder / "model.int8.onnx"


def feeds(path, texts, width=None):
    width = width or max(map(len, texts))
    ids = np.zeros((len(texts), width), np.int64)
    mask = np.zeros_like(ids)
    for row, text in enumerate(texts):
        ids[row, :len(text)] = text
        mask[row, :len(text)] = 1
    full = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
    return {i.name: full[i.name] for i in session(path).get_inputs()}


def some_texts(vocabulary, lengths):
    random = np.random.default_rng(4)
    return [random.integers(1, vocabulary, n) for n in lengths]


def cosines(a, b):
    a, b = a.astype(np.float64), b.astype(np.float64)
    return (a * b).sum(-1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1)


def raised(path):
    done = subprocess.run([os.environ["OCTAVO_RAISE_MODEL"], path, "--nodes"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


SCALES = {("per-token",): {"row"}, ("per-token-16",): {"row16"},
          ("per-token", "--protect", "down_proj|k_proj|attention/self/key|/output/dense"): {"row", "row16"}}


@pytest.mark.parametrize("options", SCALES, ids=["8", "16", "mixed"])
@pytest.mark.parametrize("name", ["bert", "llama", "mistral", "qwen2", "qwen3"])
def test_tiny_models(octavo, tiny, tmp_path, name, options):
    path = make(octavo, tiny / name, tmp_path, *options)
    (text,) = some_texts(89, [23])
    runtime = session(path).run(None, feeds(path, [text]))[0]
    exact = session(tmp_path / "model.onnx").run(None, feeds(path, [text]))[0]
    assert cosines(ours(path, feeds(path, [text])), runtime).min() > 0.9999
    assert cosines(runtime, exact).min() > 0.995
    linears = [line for line in raised(path).splitlines() if " Linear(" in line]
    assert len(linears) == (12 if name == "bert" else 14)
    assert all("kind=int8" in line for line in linears)
    assert {line.split("scales=")[1].split()[0] for line in linears} == SCALES[options]
    # The engine against the graph node by node.
    texts = tmp_path / "texts.txt"
    texts.write_text("hello world\nthe quick brown fox jumps over it\n")
    vectors = []
    for option, said in (("--no-cache", "runs as 2 fused layers"), ("--exact-onnx", "runs node by node")):
        done = octavo("embed", tmp_path, "--input", texts, "--output", tmp_path / "v.npy", "--explain", option)
        assert said in done.stderr
        vectors.append(np.load(tmp_path / "v.npy"))
    assert cosines(*vectors).min() > 0.9995


@pytest.fixture(scope="module")
def minilm_rows(octavo, minilm, tmp_path_factory):
    return make(octavo, minilm, tmp_path_factory.mktemp("rows"))


def test_a_text_has_the_same_bits_alone_and_in_any_batch_of_onnxruntime(minilm_rows):
    runtime = session(minilm_rows)
    equal = some_texts(30000, [33] * 4)
    mixed = some_texts(30000, [7, 19, 33, 64, 1, 100])
    for texts, width in ((equal, 33), (mixed, 100), (mixed, 128)):
        together = runtime.run(None, feeds(minilm_rows, texts, width))[0]
        for i, text in enumerate(texts):
            alone = runtime.run(None, feeds(minilm_rows, [text]))[0][0]
            assert (together[i, :len(text)] == alone).all()


BATCHES = """
import json, sys
import numpy as np, onnxruntime as ort
options = ort.SessionOptions()
options.log_severity_level = 3
session = ort.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
random = np.random.default_rng(4)

def run(texts, width):
    ids = np.zeros((len(texts), width), np.int64)
    mask = np.zeros_like(ids)
    for row, text in enumerate(texts):
        ids[row, :len(text)] = text
        mask[row, :len(text)] = 1
    full = {"input_ids": ids, "attention_mask": mask}
    return session.run(None, {i.name: full[i.name] for i in session.get_inputs()})[0]

apart = 0
for lengths, width in (([33] * 4, 33), ([7, 19, 33, 64, 1, 90], 90), ([7, 19, 33], 95)):
    texts = [random.integers(1, 89, n) for n in lengths]
    together = run(texts, width)
    for row, text in enumerate(texts):
        apart += int((together[row, :len(text)] != run([text], len(text))[0]).sum())
print(json.dumps([ort.__version__, apart]))
"""


@pytest.mark.parametrize("activations", ["per-token", "per-token-16"])
@pytest.mark.parametrize("name", ["qwen3", "llama"])
def test_a_decoders_text_has_the_same_bits_in_a_batch_of_old_and_new_onnxruntime(octavo, tiny, old_python, tmp_path, name,
                                                                                 activations):
    path = make(octavo, tiny / name, tmp_path, activations, "--table", "int8")
    new = subprocess.run([sys.executable, "-c", BATCHES, path], capture_output=True, text=True, check=True).stdout
    for version, apart in (json.loads(new), json.loads(old_python(BATCHES, path).stdout)):
        assert apart == 0, version


def test_onnxruntime_of_1_17_runs_it(octavo, old_python, tmp_path):
    source, out = layer(tmp_path), tmp_path / "q.onnx"
    octavo("quantize", source, out, "--per-channel", "--activations", "per-token", "--protect", "/u$")
    x = np.random.default_rng(1).standard_normal((3, 5, 8)).astype(F)
    np.save(tmp_path / "x.npy", x)
    old_python("import sys, numpy as np, onnxruntime as ort; m, x, y = sys.argv[1:]; np.save(y, ort.InferenceSession(m, "
               "providers=['CPUExecutionProvider']).run(None, {'x': np.load(x)})[0])", unsaturated_file(out, tmp_path), tmp_path / "x.npy",
               tmp_path / "y.npy")
    assert np.abs(np.load(tmp_path / "y.npy") - session(out).run(None, {"x": x})[0]).max() < 1e-5


FOLDED = """
import json, sys
import onnx, onnxruntime as ort
options = ort.SessionOptions()
options.log_severity_level = 3
if sys.argv[3] == "precise":
    options.add_session_config_entry("session.x64quantprecision", "1")
options.optimized_model_filepath = sys.argv[2]
ort.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
print(ort.__version__)
"""


@pytest.mark.parametrize("activations", ["per-token", "per-token-16"])
@pytest.mark.parametrize("how", ["plain", "precise"])
def test_sums_of_columns_are_made_once_by_old_and_new_onnxruntime(octavo, tiny, old_python, tmp_path, how, activations):
    """Before its own rewriting of weights, which a second reader of them stops (session.x64quantprecision): 16-bit
    activations are multiplied in one product, too."""
    path = make(octavo, tiny / "qwen3", tmp_path, activations)
    sums = {n.output[0] for n in onnx.load(path).graph.node if n.output[0].endswith("_column_sums")}
    assert len(sums) == 14
    for name, run in (("new", None), ("old", old_python)):
        folded = tmp_path / f"{name}.onnx"
        if run is None:
            subprocess.run([sys.executable, "-c", FOLDED, path, folded, how], check=True, capture_output=True)
        else:
            run(FOLDED, path, folded, how)
        nodes = onnx.load(folded).graph.node
        assert not sums & {n.output[0] for n in nodes}, name
        assert sum(n.op_type.startswith("MatMulInteger") for n in nodes) == 14, name


SAME_BITS = """
import json, sys
import numpy as np, onnxruntime as ort
apart = []
for level in (ort.GraphOptimizationLevel.ORT_ENABLE_ALL, ort.GraphOptimizationLevel.ORT_DISABLE_ALL):
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = level
    sessions = [ort.InferenceSession(m, options, providers=["CPUExecutionProvider"]) for m in sys.argv[1:]]
    for n in (1, 7, 33):
        ids = np.random.default_rng(n).integers(1, 89, (2, n))
        full = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
        a, b = (s.run(None, {i.name: full[i.name] for i in s.get_inputs()})[0] for s in sessions)
        apart.append(int((a != b).sum()))
        assert np.isfinite(a).all() and a.std() > 0.01
print(json.dumps([ort.__version__, apart]))
"""


def as_floats(path, out):
    """The file with its rotation back as a float32 matrix, as `smooth --rotate` writes it."""
    model = onnx.load(path)
    values = {i.name: numpy_helper.to_array(i) for i in model.graph.initializer}
    name = "residual_rotation.back"
    assert name not in values
    back = values[name + "_values"][values[name + "_places"]].reshape(values[name + "_shape"])
    made = [n for n in model.graph.node if n.output[0].startswith(name)]
    assert [n.op_type for n in made] == ["Cast", "Gather", "Reshape"]
    for node in made:
        model.graph.node.remove(node)
    for initializer in [i for i in model.graph.initializer if i.name.startswith(name + "_")]:
        model.graph.initializer.remove(initializer)
    model.graph.initializer.append(numpy_helper.from_array(back, name))
    onnx.save(model, out)
    return back


@pytest.mark.parametrize("activations", ["per-token", "per-token-16"])
def test_the_rotation_back_is_bytes_and_gives_the_bits_of_floats(octavo, tiny, old_python, tmp_path, activations):
    octavo("import", tiny / "qwen3", "-o", tmp_path / "fp32")
    (tmp_path / "few.txt").write_text("the quick brown fox\n12345 67890\nword word word\n")
    rotated, out = tmp_path / "rotated.onnx", tmp_path / "int8.onnx"
    octavo("smooth", "--fp32", tmp_path / "fp32/model.onnx", "--output", rotated, "--tokenizer", tmp_path / "fp32", "--alpha", "0.4",
           "--rotate", "--calibration", tmp_path / "few.txt")
    octavo("quantize", rotated, out, "--per-channel", "--activations", activations, "--table", "int8", "--external-data")
    back = as_floats(out, tmp_path / "floats.onnx")
    before = {i.name: numpy_helper.to_array(i) for i in onnx.load(rotated).graph.initializer}["residual_rotation.back"]
    assert back.dtype == np.float32 and back.tobytes() == before.tobytes()
    files = []
    for file in (out, tmp_path / "floats.onnx"):
        (tmp_path / file.stem).mkdir()
        files.append(unsaturated_file(file, tmp_path / file.stem))
    new = subprocess.run([sys.executable, "-c", SAME_BITS, *files], capture_output=True, text=True, check=True).stdout
    for version, apart in (json.loads(new), json.loads(old_python(SAME_BITS, *files).stdout)):
        assert apart == [0] * 6, version
    (text,) = some_texts(89, [23])
    assert (ours(out, feeds(out, [text])) == ours(tmp_path / "floats.onnx", feeds(out, [text]))).all()
    last = [line for line in raised(out).splitlines() if " Linear(" in line and "kind=float" in line]
    assert len(last) == 1
    # What others of our commands say of it.
    largest = json.loads(octavo("inspect", out, "--largest", "1000", "--json").stdout)
    places = [w for w in largest["largest"] if w["name"] == "residual_rotation.back_places"]
    assert places and places[0]["bytes"] == back.size // 4
    done = octavo("verify", out, "--tokenizer", tmp_path / "fp32", "--against", tmp_path / "fp32/model.onnx", "--json")
    assert json.loads(done.stdout)["cos_min"] > 0.99
