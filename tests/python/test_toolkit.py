"""octavo.build and its steps: the files of the program, bit for bit; progress, and ends in the middle."""
import json
import os
import signal
import subprocess
import sys
import time

import pytest

import octavo

DAY = {"SOURCE_DATE_EPOCH": "1767225600"}  # 2026-01-01


def files_in(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.mark.parametrize("kind, options, flags", [
    ("bert", {}, []),
    ("qwen3", {"profile": "accurate", "vanilla": False, "max_extra_macs": 0}, []),
])
def test_build_makes_the_files_of_the_program(program, tiny, tmp_path, kind, options, flags):
    stages = []
    report = octavo.build(tiny / kind, tmp_path / "py", min_cos=-1, date="2026-01-01",
                          progress=lambda stage, done, total: stages.append((stage, done, total)), **options)
    flags = ["--min-cos", -1] + (["--profile", "accurate", "--no-vanilla", "--max-extra-macs", 0] if options else [])
    program("build", tiny / kind, "-o", tmp_path / "cli", *flags, env={**os.environ, **DAY})
    made, expected = files_in(tmp_path / "py"), files_in(tmp_path / "cli")
    assert made.keys() == expected.keys()
    differing = {name for name in made if made[name] != expected[name]}
    # These show how they were called.
    assert differing <= {"report.json", "report.html", "README.md"}
    ours, theirs = json.loads(made["report.json"]), json.loads(expected["report.json"])
    assert "octavo.build(" in json.dumps(ours) and f"octavo build {kind}" in json.dumps(theirs)
    told = ours["quality"]["variants"]["smoothed"]
    assert report.passed and [told[name] for name in ("cos_min", "cos_p5", "cos_mean")] == pytest.approx(
        [report.smoothed.cos_min, report.smoothed.cos_p5, report.smoothed.cos_mean], abs=1e-6)
    assert (report.vanilla is None) == bool(options)
    assert {f.name: f.size for f in report.files}["model.int8.onnx"] == len(made["model.int8.onnx"])
    assert report.importing.parameters > 0 and report.smoothing.sites and report.quantization.quantized
    assert {"calibrate", "quantize"} <= {stage for stage, _, _ in stages}
    assert all(done <= total for _, done, total in stages)


def test_a_build_without_options_is_the_programs(program, tiny, tmp_path):
    if not octavo.build(tiny / "bert", tmp_path / "py", date="2026-01-01").passed:
        pytest.fail("the tiny model does not pass the default gate; compare with another one")
    program("build", tiny / "bert", "-o", tmp_path / "cli", env={**os.environ, **DAY})
    assert files_in(tmp_path / "py") == files_in(tmp_path / "cli")


def test_the_steps(program, tiny, tmp_path):
    report = octavo.import_model(tiny / "bert", tmp_path / "fp32")
    program("import", tiny / "bert", "-o", tmp_path / "cli")
    assert files_in(tmp_path / "fp32") == files_in(tmp_path / "cli")
    assert report.architecture == "BertForMaskedLM" and "model.onnx" in report.files

    fp32 = tmp_path / "fp32" / "model.onnx"
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"  # a model names its sidecar, so: the same names
    ours.mkdir()
    theirs.mkdir()
    smoothed = octavo.smooth(fp32, ours / "s.onnx", alpha=0.7)
    told = json.loads(program("smooth", "--fp32", fp32, "--output", theirs / "s.onnx", "--tokenizer", tmp_path / "fp32",
                              "--alpha", 0.7, "--json").stdout)
    assert [(s.input, s.folded_into, s.scale_max) for s in smoothed.sites] == [
        (s["input"], s["folded_into"], s["scale_max"]) for s in told["sites"]]
    assert smoothed.search is None and smoothed.calibration_texts == told["calibration"]["texts"]

    quantized = octavo.quantize(ours / "s.onnx", ours / "q.onnx", per_channel=True, table="int8", activations="per-token",
                                protect=["layer.0"], exclude=["layer.1/output"], external_data=True)
    told = json.loads(program("quantize", theirs / "s.onnx", theirs / "q.onnx", "--per-channel", "--table", "int8",
                              "--activations", "per-token", "--protect", "layer.0", "--exclude", "layer.1/output",
                              "--external-data", "--json").stdout)
    assert files_in(ours) == files_in(theirs) and len(files_in(ours)) == 4
    assert [(q.node, q.activations, q.bytes_after) for q in quantized.quantized] == [
        (q["node"], q["activations"], q["bytes_after"]) for q in told["quantized"]]
    assert [(k.node, k.reason) for k in quantized.kept] == [(k["node"], k["reason"]) for k in told["kept"]]
    assert quantized.table.type == told["table"]["type"] == "int8" and quantized.warnings == told["warnings"]

    texts = ["one two", "a longer text of some words", "drei"]
    (tmp_path / "texts.txt").write_text("\n".join(texts) + "\n")
    verified = octavo.verify(ours / "q.onnx", against=fp32, tokenizer=tmp_path / "fp32", texts=texts, min_cos=0.5)
    told = json.loads(program("verify", ours / "q.onnx", "--against", fp32, "--tokenizer", tmp_path / "fp32",
                              "--texts", tmp_path / "texts.txt", "--min-cos", 0.5, "--json").stdout)
    assert [(t.text, t.ids, t.cosine, t.norm) for t in verified.texts] == [
        (t["text"], t["ids"], t["cosine"], t["norm"]) for t in told["texts"]]
    assert verified.passed and verified.cos_p5 == told["cos_p5"] and verified.worst == told["worst"]
    assert not octavo.verify(ours / "q.onnx", against=fp32, tokenizer=tmp_path / "fp32", min_cos=1).passed


class Enough(Exception):
    pass


@pytest.mark.parametrize("at", [1, 5, 60, 300])
def test_what_the_callback_raises_ends_the_work(tiny, tmp_path, at):
    calls = 0

    def stop(stage, done, total):
        nonlocal calls
        calls += 1
        if calls == at:
            raise Enough(stage)

    with pytest.raises(Enough):
        octavo.build(tiny / "bert", tmp_path / "built", min_cos=-1, progress=stop)
    assert files_in(tmp_path) == {} and calls < at + 16  # texts that were at work on other threads
    assert octavo.build(tiny / "bert", tmp_path / "built", min_cos=-1).files


def test_a_tiny_calibration_is_warned_of(tiny, tmp_path):
    texts = tmp_path / "texts.txt"
    texts.write_text("one text\nand another\n")
    with pytest.warns(octavo.CalibrationWarning, match="calibrated on 2 texts; a hundred or more"):
        octavo.build(tiny / "bert", tmp_path / "built", calibration=texts, min_cos=-1)
    octavo.import_model(tiny / "bert", tmp_path / "fp32")
    with pytest.warns(octavo.CalibrationWarning, match="calibrated on 2 texts"):
        octavo.smooth(tmp_path / "fp32/model.onnx", tmp_path / "s.onnx", calibration=texts)
    for how in ({"compensate": True}, {"max_extra_macs": 0.2}):
        with pytest.warns(octavo.CalibrationWarning, match="calibrated on 2 texts"):
            report = octavo.quantize(tmp_path / "fp32/model.onnx", tmp_path / "q.onnx", per_channel=True, activations="per-token",
                                     calibration=texts, **how)
        assert report.compensation_texts == (2 if "compensate" in how else 0)
        assert report.protection is None or (report.protection.texts, report.protection.calibration_texts) == (1, 2)


def test_ctrl_c_leaves_nothing(tiny, tmp_path):
    texts = tmp_path / "texts.txt"
    texts.write_text("".join(f"text number {i} of very many\n" for i in range(200000)))
    code = """
import sys, octavo
def say(stage, done, total):
    if stage == "calibrate" and done == 100:
        print("go", flush=True)
try:
    octavo.build(sys.argv[1], sys.argv[2], calibration=sys.argv[3], progress=say)
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""
    process = subprocess.Popen([sys.executable, "-c", code, str(tiny / "bert"), str(tmp_path / "built"), str(texts)],
                               stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "go\n"
    begin = time.monotonic()
    process.send_signal(signal.SIGINT)
    assert process.stdout.read() == "interrupted\n"
    assert process.wait(60) == 0 and time.monotonic() - begin < 20
    assert files_in(tmp_path).keys() == {"texts.txt"}


@pytest.mark.parametrize("use, error, message", [
    (lambda s, o: octavo.import_model(o / "none", o), octavo.NotFoundError, "none"),
    (lambda s, o: octavo.build(s, o / "b", profile="fast"), octavo.InvalidInputError, 'profile is "fast"; it can be'),
    (lambda s, o: octavo.build(s, o / "b", alpha=2), octavo.InvalidInputError, "alpha is 2"),
    (lambda s, o: octavo.build(s, o / "b", alpha="x"), octavo.InvalidInputError, 'alpha is "x"'),
    (lambda s, o: octavo.build(s, o / "b", min_cos=float("nan")), octavo.InvalidInputError, "min_cos is nan"),
    (lambda s, o: octavo.build(s, o / "b", texts="one"), TypeError, "texts is a str"),
    (lambda s, o: octavo.build(s, o / "file" / "b"), octavo.IoError, "file"),
    (lambda s, o: octavo.smooth(s / "x.onnx", o / "b.onnx", evaluations=1, alpha="auto"), octavo.InvalidInputError,
     "evaluations is 1"),
    (lambda s, o: octavo.quantize(s / "x.onnx", o / "b.onnx"), octavo.NotFoundError, "x.onnx"),
    (lambda s, o: octavo.quantize(s / "x.onnx", o / "b.onnx", table="int4"), octavo.InvalidInputError,
     "float32, int8, bfloat16, float16"),
    (lambda s, o: octavo.quantize(s / "x.onnx", o / "b.onnx", max_extra_macs=15), octavo.InvalidInputError,
     "max_extra_macs is 15"),
    (lambda s, o: octavo.verify(s), octavo.InvalidInputError, "one of against and reference"),
    (lambda s, o: octavo.verify(s, against=s, threads=0), octavo.InvalidInputError, "threads is 0"),
])
def test_errors(tiny, tmp_path, use, error, message):
    (tmp_path / "file").write_text("")
    with pytest.raises(error) as raised:
        use(tiny / "bert", tmp_path)
    assert message in str(raised.value)
    assert files_in(tmp_path) == {"file": b""}


def test_an_architecture_that_is_not_there(tiny, tmp_path):
    for file in (tiny / "bert").iterdir():
        if file.is_file():
            (tmp_path / file.name).write_bytes(file.read_bytes())
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"architectures": ["GPT2Model"], "model_type": "gpt2"}))
    with pytest.raises(octavo.UnsupportedError, match="GPT2Model"):
        octavo.build(tmp_path, tmp_path / "built")
