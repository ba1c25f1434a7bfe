"""octavo verify: its numbers against numpy and onnxruntime, and against what transformers said."""
import json
import pathlib
import re
import shutil
import subprocess
import sys

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper
from safetensors import safe_open
from safetensors.numpy import load_file

SOURCE = pathlib.Path(__file__).resolve().parents[2]
GOLDEN = SOURCE / "tests/golden"
MODELS = ["minilm", "smollm2"]


@pytest.fixture(scope="module")
def tiny_bert(octavo, tiny, tmp_path_factory):
    """A tiny model, imported, and beside it one whose weights were shaken."""
    folder = tmp_path_factory.mktemp("bert")
    octavo("import", tiny / "bert", "-o", folder)
    model = onnx.load(folder / "model.onnx")
    rng = np.random.default_rng(20261124)
    for weight in model.graph.initializer:
        if weight.data_type == onnx.TensorProto.FLOAT and len(weight.dims) == 2:
            values = numpy_helper.to_array(weight)
            noise = rng.normal(0, 0.5 * values.std(), values.shape).astype(np.float32)
            weight.CopyFrom(numpy_helper.from_array(values + noise, weight.name))
    onnx.save(model, folder / "shaken.onnx")
    return folder


@pytest.fixture(scope="module")
def probe40():
    return GOLDEN / "probe/texts40.jsonl"


def run(octavo, *arguments, check=True):
    done = octavo("verify", *arguments, "--json", check=check)
    return done, json.loads(done.stdout) if done.stdout else None


@pytest.mark.parametrize("model", MODELS)
def test_import_is_what_transformers_computes(octavo, model, request, tmp_path):
    octavo("import", request.getfixturevalue(model), "-o", tmp_path)
    _, report = run(octavo, tmp_path, "--reference", GOLDEN / f"reference/{model}.safetensors", "--min-cos", 0.99999)
    assert report["cos_min"] >= 0.99999 and report["passed"] and len(report["texts"]) == 6
    assert any("Klimawandel" in t["text"] for t in report["texts"])
    with safe_open(GOLDEN / f"reference/{model}.safetensors", "np") as f:
        norms, made_by = f.get_tensor("norms"), f.metadata()["made_by"]
    assert made_by in report["reference"]
    np.testing.assert_allclose([t["reference_norm"] for t in report["texts"]], norms, rtol=1e-6)
    np.testing.assert_allclose([t["norm"] for t in report["texts"]], norms, rtol=1e-3)


def test_numbers_are_numpys_and_onnxruntimes(octavo, tiny_bert, probe40):
    _, report = run(octavo, tiny_bert / "shaken.onnx", "--against", tiny_bert / "model.onnx", "--texts", probe40)
    texts = [json.loads(line)["text"] for line in probe40.read_text().splitlines()]
    assert [t["text"] for t in report["texts"]] == texts
    cosines = np.array([t["cosine"] for t in report["texts"]])
    assert cosines.min() < 0.99, "the shaken model is too good for this test"
    assert report["cos_min"] == cosines.min() and report["worst"] == cosines.argmin()
    assert report["cos_mean"] == pytest.approx(cosines.mean(), abs=1e-15)
    for key, q in (("cos_p1", 1), ("cos_p5", 5), ("cos_p50", 50)):
        assert report[key] == np.percentile(cosines, q), key

    sessions = [onnxruntime.InferenceSession(tiny_bert / f"{name}.onnx") for name in ("shaken", "model")]
    for text in report["texts"]:
        ids = np.array([text["ids"]], np.int64)
        feeds = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
        a, b = (s.run(None, feeds)[0][0].mean(axis=0, dtype=np.float64) for s in sessions)
        assert text["norm"] == pytest.approx(np.linalg.norm(a), rel=1e-5)
        assert text["reference_norm"] == pytest.approx(np.linalg.norm(b), rel=1e-5)
        assert text["cosine"] == pytest.approx(a @ b / np.linalg.norm(a) / np.linalg.norm(b), abs=1e-5)


def test_gate_decides_the_exit_code(octavo, tiny_bert):
    model = (tiny_bert / "shaken.onnx", "--against", tiny_bert / "model.onnx")
    _, report = run(octavo, *model)
    for gate, code in ((report["cos_min"] - 1e-6, 0), (report["cos_min"] + 1e-6, 1)):
        done, gated = run(octavo, *model, "--min-cos", gate, check=False)
        assert done.returncode == code and gated["passed"] == (code == 0)
    text = octavo("verify", *model, "--min-cos", 0.999999, check=False)
    assert text.returncode == 1 and "FAILED" in text.stdout and "worst text" in text.stdout


def test_a_folder_is_its_model(octavo, tiny_bert):
    _, by_file = run(octavo, tiny_bert / "model.onnx", "--against", tiny_bert / "shaken.onnx")
    _, by_folder = run(octavo, tiny_bert, "--against", tiny_bert / "shaken.onnx")
    _, folder_against = run(octavo, tiny_bert / "shaken.onnx", "--against", tiny_bert)
    _, file_against = run(octavo, tiny_bert / "shaken.onnx", "--against", tiny_bert / "model.onnx")
    assert folder_against == file_against
    assert by_file == by_folder


def other_tokenizer(folder, target):
    """A copy of the folder whose tokenizer gives one word another id."""
    shutil.copytree(folder, target)
    tokenizer = json.loads((target / "tokenizer.json").read_text())
    vocab = tokenizer["model"]["vocab"]
    first, second = "##e", "##n"
    vocab[first], vocab[second] = vocab[second], vocab[first]
    (target / "tokenizer.json").write_text(json.dumps(tokenizer))
    return target


def test_other_token_ids_are_refused(octavo, tiny_bert, minilm, tmp_path):
    twisted = other_tokenizer(minilm, tmp_path / "twisted")
    octavo("import", minilm, "-o", tmp_path / "m")
    reference = GOLDEN / "reference/minilm.safetensors"
    done = octavo("verify", tmp_path / "m/model.onnx", "--reference", reference, "--tokenizer", twisted, check=False)
    assert done.returncode == 3
    # The first ##n of the probe texts, by its place in the reference.
    tensors = load_file(reference)
    tokenizer = json.loads((minilm / "tokenizer.json").read_text())["model"]["vocab"]
    swapped = {tokenizer["##e"], tokenizer["##n"]}
    text = next(i for i in range(6) if swapped & set(tensors["ids"][tensors["offsets"][i]:tensors["offsets"][i + 1]]))
    at = next(j for j, x in enumerate(tensors["ids"][tensors["offsets"][text]:]) if x in swapped)
    assert f"text {text + 1} " in done.stderr and f"differs first at token {at}:" in done.stderr, done.stderr
    # A reference model that has a tokenizer of its own must agree too.
    shutil.copy(tmp_path / "m/model.onnx", twisted)
    shutil.copy(tmp_path / "m/model.onnx.data", twisted)
    done = octavo("verify", tmp_path / "m", "--against", twisted / "model.onnx", check=False)
    assert done.returncode == 3 and "differs first at token" in done.stderr


def test_what_is_wrong_is_said(octavo, tiny_bert, tmp_path):
    model = tiny_bert / "model.onnx"
    assert octavo("verify", model, check=False).returncode == 2  # no reference at all
    (tmp_path / "empty.txt").write_text("\n")
    (tmp_path / "noise.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0" + b"[" * 16)
    cases = [
        (("--against", tmp_path / "none.onnx"), "none.onnx"),
        (("--reference", tmp_path / "none.safetensors"), "none.safetensors"),
        (("--reference", tmp_path / "noise.safetensors"), "noise.safetensors"),
        (("--reference", GOLDEN / "reference/smollm2.safetensors"), "pooling"),
        (("--against", model, "--texts", tmp_path / "empty.txt"), "empty.txt: has no text"),
        (("--against", model, "--texts", tmp_path / "none.txt"), "none.txt"),
        (("--against", model, "--tokenizer", tmp_path), "tokenizer.json"),
    ]
    for arguments, part in cases:
        done = octavo("verify", model, *arguments, check=False)
        assert done.returncode == 3 and part in done.stderr, (arguments, done.stderr)
        assert done.stdout == ""


def test_cut_texts_are_noted(octavo, tiny_bert, tmp_path):
    (tmp_path / "long.txt").write_text("a short one\n" + "word " * 2000 + "\n")
    done = octavo("verify", tiny_bert, "--against", tiny_bert / "model.onnx", "--texts", tmp_path / "long.txt")
    assert "note: text 2: cut from" in done.stderr and "text 1" not in done.stderr
    # Many are one line.
    (tmp_path / "long.txt").write_text("".join("word " * (100 + 100 * i) + "\n" for i in range(12)) + "a short one\n")
    done = octavo("verify", tiny_bert, "--against", tiny_bert / "model.onnx", "--texts", tmp_path / "long.txt")
    notes = [line for line in done.stderr.splitlines() if "cut" in line]
    assert len(notes) == 1 and re.search(r"note: 12 texts \(1, 2, .*, 8, \.\.\.\): cut, the longest from \d+ to \d+ tokens$", notes[0])


@pytest.mark.torch
@pytest.mark.parametrize("model", MODELS)
def test_goldens_are_what_transformers_says_today(model, request, tmp_path):
    again = tmp_path / "again.safetensors"
    subprocess.run([sys.executable, SOURCE / "tools/dump_reference.py", request.getfixturevalue(model), "-o", again],
                   check=True)
    made, kept = load_file(again), load_file(GOLDEN / f"reference/{model}.safetensors")
    for name in ("ids", "offsets"):
        np.testing.assert_array_equal(made[name], kept[name])
    np.testing.assert_allclose(made["norms"], kept["norms"], rtol=1e-5)
    assert ((made["embeddings"] * kept["embeddings"]).sum(axis=1) > 0.999999).all()
