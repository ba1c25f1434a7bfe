"""octavo build: the folder it leaves, what its card claims, and what happens when it is interrupted."""
import hashlib
import json
import os
import re
import resource
import shlex
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import onnx
import onnxruntime
import pytest

DAY = {"SOURCE_DATE_EPOCH": "1795478400"}  # 2026-11-24
MODELS = ["model.int8.onnx", "model.int8.vanilla.onnx"]
QUANTIZE = ["--per-channel", "--op-types", "MatMul", "--weight-type", "qint8", "--external-data"]


@pytest.fixture(scope="module")
def build(octavo):
    """build(source, folder, *flags): in the folder's parent."""

    def call(source, folder, *flags, check=True, day=DAY):
        folder.parent.mkdir(parents=True, exist_ok=True)
        return octavo("build", source, "-o", folder.name, *flags, check=check, cwd=folder.parent,
                      env={**os.environ, **day})

    return call


@pytest.fixture(scope="module")
def built(build, tiny, tmp_path_factory):
    """Nobody may change this folder: copy it."""
    folder = tmp_path_factory.mktemp("built") / "out"
    build(tiny / "bert", folder, "--min-cos", "0.5")
    return folder


def content(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def report_of(folder):
    return json.loads((folder / "report.json").read_text())


def test_the_folder_is_complete(built, tiny):
    files = set(content(built))
    copied = {str(p.relative_to(tiny / "bert")) for p in (tiny / "bert").rglob("*.json")}
    assert copied <= files
    made = files - copied
    assert made >= {*MODELS, "report.json", "report.html", "README.md"}
    assert made <= {*MODELS, *(f"{m}.data" for m in MODELS), "report.json", "report.html", "README.md"}
    for model in MODELS:
        onnxruntime.InferenceSession(built / model)


def test_the_card_tells_the_truth(built):
    card, report = (built / "README.md").read_text(), report_of(built)
    rows = re.findall(r"^\| `([^`]+)` \| ([\d,]+) \| `([0-9a-f]{64})` \|$", card, re.M)
    assert {r[0] for r in rows} == set(content(built)) - {"README.md", "report.json", "report.html"}
    for name, size, sha256 in rows:
        data = (built / name).read_bytes()
        assert int(size.replace(",", "")) == len(data), name
        assert sha256 == hashlib.sha256(data).hexdigest(), name
    numbers = report["quality"]["variants"]
    for label, key in (("`model.int8.onnx` (SmoothQuant)", "smoothed"), ("`model.int8.vanilla.onnx`", "vanilla")):
        row = re.search(rf"^\| {re.escape(label)} \|(.*)\|$", card, re.M)[1].split("|")
        assert [float(x) for x in row] == pytest.approx(
            [numbers[key][k] for k in ("cos_min", "cos_p1", "cos_p5", "cos_p50", "cos_mean")], abs=6e-6)
        cosines = np.array(numbers[key]["cosines"])
        assert numbers[key]["cos_min"] == cosines.min() and numbers[key]["worst"] == cosines.argmin()
        for q in (1, 5, 50):
            assert numbers[key][f"cos_p{q}"] == pytest.approx(np.percentile(cosines, q), abs=1e-6)
    assert "Klimawandel" in card and "- 2026-11-24, octavo " in card
    assert ".octavo-build" not in card and ".octavo-build" not in (built / "report.json").read_text()


def test_the_cards_python_runs(built, octavo):
    code = re.search(r"```python\n(.*?)```", (built / "README.md").read_text(), re.S)[1]
    texts = ["The quick brown fox.", "Der Klimawandel", "one two three four five six seven"]
    code += f"\nimport json\nprint(json.dumps([embed(t).tolist() for t in {texts!r}]))"
    theirs = json.loads(subprocess.run([sys.executable, "-c", code], cwd=built, check=True, capture_output=True,
                                       text=True).stdout)
    lines = octavo("embed", built, *texts, "--json", "--exact-onnx").stdout.splitlines()
    ours = [json.loads(line)["embedding"] for line in lines]
    assert (np.array(ours) * np.array(theirs)).sum(axis=1) == pytest.approx(1, abs=1e-3)


def follow_the_card(octavo, folder, source, work, calibration=None):
    """Runs what the card of `folder` gives step by step, and holds the models that come out to the folder's."""
    card = (folder / "README.md").read_text()
    steps = card.split("The same step by step:\n\n```sh\n")[1].split("```")[0]
    for line in steps.splitlines():
        command = shlex.split(line)
        assert command[0] == "octavo", line
        assert ("FILE" in command) == (calibration is not None and command[1] in ("smooth", "quantize") and (
            command[1] == "smooth" or "--compensate" in command)), line
        octavo(*({"SOURCE": source, "FILE": calibration}.get(word, word) for word in command[1:]), cwd=work)
    for file in [*MODELS, *(f"{m}.data" for m in MODELS)]:
        assert (folder / file).exists() == (work / file).exists(), file
        if (folder / file).exists():
            assert (folder / file).read_bytes() == (work / file).read_bytes(), file
    return steps


def test_step_by_step_gives_the_same_bytes(built, octavo, tiny, tmp_path):
    assert "vanilla" in follow_the_card(octavo, built, tiny / "bert", tmp_path)
    for model, key in zip(MODELS, ("smoothed", "vanilla")):
        done = octavo("verify", tmp_path / model, "--tokenizer", tmp_path / "fp32", "--against",
                      tmp_path / "fp32/model.onnx", "--json")
        assert json.loads(done.stdout)["cos_min"] == pytest.approx(
            report_of(built)["quality"]["variants"][key]["cos_min"], abs=1e-6)


def test_the_accurate_profile(built, build, octavo, tiny, tmp_path):
    folder = tmp_path / "out"
    build(tiny / "bert", folder, "--min-cos", "0.5", "--profile", "accurate")
    settings, protection = report_of(folder)["settings"], report_of(folder)["protection"]
    assert {k: settings[k] for k in ("profile", "alpha", "activations", "table", "rounding", "max_extra_macs")} == {
        "profile": "accurate", "alpha": 0.5, "activations": "per-token", "table": "int8", "rounding": "compensated",
        "max_extra_macs": 0.15}
    assert sum(s["share"] for s in protection["sites"]) == pytest.approx(1, abs=1e-4)
    assert protection["extra_macs"] == pytest.approx(
        sum(s["share"] for s in protection["sites"] if s["bits"] == 16), abs=1e-4)
    assert protection["extra_macs"] <= 0.15
    variants = report_of(folder)["quality"]["variants"]
    assert variants["smoothed"]["cos_min"] > 0.999
    card = (folder / "README.md").read_text()
    assert "a scale for every token" in card and "--profile accurate" in card and "the embedding table in INT8" in card
    assert "--max-extra-macs 0.15" in follow_the_card(octavo, folder, tiny / "bert", tmp_path)
    assert (folder / MODELS[1]).read_bytes() == (built / MODELS[1]).read_bytes()  # vanilla is that of the other profile


def test_the_closest_profile(build, octavo, tiny, tmp_path):
    folder = tmp_path / "out"
    build(tiny / "qwen3", folder, "--min-cos", "0.99", "--profile", "closest")
    report = report_of(folder)
    assert {k: report["settings"][k] for k in ("profile", "alpha", "activations", "table", "rounding", "max_extra_macs", "rotate")} == {
        "profile": "closest", "alpha": None, "activations": "per-token-16", "table": "int8", "rounding": "compensated",
        "max_extra_macs": None, "rotate": True}
    assert report["quantization"]["extra_macs"] == 1 and all(s["bits"] == 16 and s["alpha"] is None for s in report["smoothing"]["sites"])
    card = (folder / "README.md").read_text()
    assert "the factors that the rounding of the weights wants" in card and "16 bits, with a scale for every token" in card
    steps = follow_the_card(octavo, folder, tiny / "qwen3", tmp_path)
    assert "--factors per-token-16 --rotate" in steps and "--activations per-token-16" in steps and "--alpha" not in steps
    assert "There is no alpha" in (folder / "report.html").read_text()


@pytest.mark.parametrize("flags", [["--alpha", "0.5"], ["--alpha", "auto"], ["--protect", "layers"], ["--target-cos", "0.99"],
                                   ["--max-extra-macs", "0"], ["--search-log", "log"], ["--evaluations", "20"]])
def test_in_the_closest_profile_there_is_nothing_to_choose(build, tiny, tmp_path, flags):
    done = build(tiny / "bert", tmp_path / "out", "--profile", "closest", *flags, check=False)
    assert done.returncode == 2 and f"{flags[0]}: --profile closest has 16 bits everywhere" in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("flags", [["--protect", "layer"], ["--target-cos", "0.99"], ["--max-extra-macs", "5%"],
                                   ["--protect-log", "log"]])
def test_the_compat_profile_has_no_16_bits(build, tiny, tmp_path, flags):
    done = build(tiny / "bert", tmp_path / "out", *flags, check=False)
    assert done.returncode == 2 and f"{flags[0]}: 16-bit activations go with a scale for every token" in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_protect_that_matches_nothing_is_warned_of(build, tiny, tmp_path):
    done = build(tiny / "bert", tmp_path / "out", "--profile", "accurate", "--max-extra-macs", "0", "--protect", "nosuchnode")
    assert 'warning: protect "nosuchnode" matches no MatMul' in done.stderr


def test_compensation_reads_all_texts_where_none_is_to_judge(octavo, tiny, tmp_path):
    """Of two calibrations that differ in every second text, those that a search judges by."""
    octavo("import", tiny / "bert", "-o", tmp_path)
    weights = {}
    for name in ("one", "other"):
        lines = [f"text number {i} of all" if i % 2 == 0 else f"{name} {i} times {i}" for i in range(24)]
        (tmp_path / f"{name}.txt").write_text("\n".join(lines) + "\n")
        for search in ([], ["--max-extra-macs", "50%"]):
            octavo("quantize", tmp_path / "model.onnx", tmp_path / "q.onnx", "--per-channel", "--activations", "per-token", "--compensate",
                   "--calibration", tmp_path / f"{name}.txt", *search)
            weights[name, bool(search)] = {i.name: i.SerializeToString() for i in onnx.load(tmp_path / "q.onnx").graph.initializer
                                           if i.name.endswith("_quantized")}
    assert weights["one", True] == weights["other", True] and len(weights["one", True]) > 5
    assert weights["one", False] != weights["other", False]


@pytest.mark.parametrize("options", [["--max-extra-macs", "0"], ["--target-cos", "0.9999"], ["--protect", "it's|down_proj"],
                                     ["--alpha", "0.4", "--no-rotate"]])
def test_the_card_of_an_own_calibration(build, octavo, tiny, tmp_path, options):
    """Compensated rounding and the choice of 16 bits read these texts as well: with the built-in ones the bytes would differ."""
    texts = [f"a text of number {i} in a file of {i * i} others" for i in range(12)] + ["short", "one two three four"] * 4
    (tmp_path / "my texts.txt").write_text("\n".join(texts) + "\n")
    folder = tmp_path / "out"
    build(tiny / "qwen3", folder, "--min-cos", "-1", "--profile", "accurate", "--no-vanilla", "--calibration", tmp_path / "my texts.txt", *options)
    steps = follow_the_card(octavo, folder, tiny / "qwen3", tmp_path, tmp_path / "my texts.txt")
    assert "vanilla" not in steps and "The vanilla variant" not in (folder / "README.md").read_text()
    assert ("--rotate" in steps) == ("--no-rotate" not in options) and ("--max-extra-macs" in steps) == (options[0] != "--max-extra-macs" and
                                                                                                         options[0] != "--target-cos")


@pytest.mark.parametrize("name, profile", [("bert", ["--profile", "accurate", "--max-extra-macs", "0"]), ("bert", []),
                                           ("qwen3", ["--profile", "accurate", "--max-extra-macs", "0"])])
def test_a_size_is_kept_to_the_byte_or_refused(build, tiny, tmp_path, name, profile):
    """A limit of what a form takes gives that form, a byte less the next smaller one; below the smallest it is an error."""
    beside = ["model.int8.vanilla.onnx", "model.int8.vanilla.onnx.data", "report.json", "report.html", "README.md"]

    def size_of(folder):
        return sum(len(data) for name, data in content(folder).items() if name not in beside)

    def made(limit, check=True):
        folder = tmp_path / str(limit)
        return build(tiny / name, folder, "--min-cos", "0.5", "--no-vanilla", *profile, "--max-size", str(limit), check=check), folder

    _, folder = made(10_000_000)
    forms = report_of(folder)["size_choice"]["forms"]
    assert [form["table"] for form in forms] == ["float32", "float16", "int8"]
    for i, form in enumerate(forms):
        _, folder = made(form["bytes"])
        choice = report_of(folder)["size_choice"]
        assert choice["chosen"] == i and choice["forms"] == forms
        assert size_of(folder) == form["bytes"] == choice["limit"]
        assert report_of(folder)["settings"]["table"] == form["table"]
    for smaller, form in zip(forms[1:], forms):
        _, folder = made(form["bytes"] - 1)
        assert size_of(folder) == smaller["bytes"]
    refused, folder = made(forms[-1]["bytes"] - 1, check=False)
    assert refused.returncode == 3 and "cannot be reached" in refused.stderr and not (folder / "README.md").exists()
    assert f"{forms[-1]['bytes']:,} with the embedding table in int8" in refused.stderr


def test_one_calibration_text_is_enough(build, tiny, tmp_path):
    """What would be judged by a text of its own is then judged by the only one, and that is said."""
    (tmp_path / "one.txt").write_text("The only text that there is.\n")
    done = build(tiny / "qwen3", tmp_path / "out", "--min-cos", "0.5", "--profile", "accurate", "--calibration", tmp_path / "one.txt")
    report = report_of(tmp_path / "out")
    assert report["settings"]["calibration"]["texts"] == 1 and report["protection"]["texts"] == 1
    assert "octavo: warning: calibrated on 1 text; a hundred or more" in done.stderr
    for text in (done.stderr, (tmp_path / "out/README.md").read_text(), json.dumps(report["quality"]["notes"])):
        assert "the only calibration text" in text
    (tmp_path / "two.txt").write_text("One text.\nAnother one.\n")
    done = build(tiny / "qwen3", tmp_path / "two", "--min-cos", "0.5", "--profile", "accurate", "--calibration", tmp_path / "two.txt")
    assert report_of(tmp_path / "two")["protection"]["texts"] == 1 and "the only calibration text" not in done.stderr


def test_the_searches_go_on_from_their_logs(build, octavo, tiny, tmp_path):
    flags = ["--min-cos", "0.5", "--profile", "accurate", "--alpha", "auto", "--evaluations", "12", "--no-vanilla",
             "--search-log", tmp_path / "alpha.jsonl", "--protect-log", tmp_path / "protect.jsonl"]
    build(tiny / "bert", tmp_path / "a", *flags)
    assert "--alpha auto --evaluations 12" in follow_the_card(octavo, tmp_path / "a", tiny / "bert", tmp_path)
    report, logs = report_of(tmp_path / "a"), [(tmp_path / f"{n}.jsonl").read_text() for n in ("alpha", "protect")]
    assert report["settings"]["alpha"] == "auto" and len(report["alpha_search"]["trials"]) <= 12
    assert len(logs[0].splitlines()) == 1 + len(report["alpha_search"]["trials"])
    for name, log in zip(("alpha", "protect"), logs):
        (tmp_path / f"{name}.jsonl").write_text(log[:len(log) // 2])
    build(tiny / "bert", tmp_path / "b", *flags)
    assert content(tmp_path / "a") == content(tmp_path / "b")
    assert [(tmp_path / f"{n}.jsonl").read_text() for n in ("alpha", "protect")] == logs


def test_again_gives_the_same_bytes_and_touches_nothing(built, build, tiny, tmp_path):
    folder = tmp_path / "out"
    shutil.copytree(built, folder)
    before = {p: p.stat() for p in folder.rglob("*")}
    # Another day, in a folder that has a history: nothing changed, so there is no new entry.
    build(tiny / "bert", folder, "--min-cos", "0.5", day={"SOURCE_DATE_EPOCH": "1893456000"})
    assert content(folder) == content(built)
    assert {p for p in folder.rglob("*")} == set(before)
    for path, stat in before.items():
        if path.is_file():
            assert path.stat().st_mtime_ns == stat.st_mtime_ns, path
    # From nothing, elsewhere, on the same day.
    build(tiny / "bert", tmp_path / "elsewhere/out", "--min-cos", "0.5")
    assert content(tmp_path / "elsewhere/out") == content(built)


def test_another_spelling_gives_the_same_bytes(built, octavo, tiny, tmp_path):
    """Other folders, order, digits and printing, defaults written out: the same command, so the same card."""
    def spelled(*arguments, **options):
        octavo("build", *arguments, env={**os.environ, **DAY}, **options)

    spelled("-o", tmp_path / "a", "--json", "--min-cos", "0.50", tiny / "bert", "--alpha", "0.80", "--probe", "small")
    spelled(".", "--min-cos=.5", "--output", tmp_path / "b/../b", cwd=tiny / "bert")
    for folder in (tmp_path / "a", tmp_path / "b"):
        assert content(folder) == content(built)
    assert report_of(built)["command"] == "octavo build bert --min-cos 0.5 -o DIR"


def test_the_card_names_no_folders(octavo, tiny, tmp_path):
    (tmp_path / "my texts.txt").write_text("some words\nand some more of them\n")
    octavo("build", tiny / "bert", "-o", tmp_path / "out", "--min-cos", "0", "--no-vanilla", "--why", "as asked",
           "--texts", tmp_path / "my texts.txt", "--calibration", tmp_path / "my texts.txt")
    assert report_of(tmp_path / "out")["command"] == (
        "octavo build bert --texts 'my texts.txt' --calibration 'my texts.txt' --no-vanilla --min-cos 0 -o DIR")
    for name in ("README.md", "report.json"):
        text = (tmp_path / "out" / name).read_text()
        assert str(tmp_path) not in text and str(tiny) not in text, name


def test_a_change_is_an_entry_with_its_reason(built, build, tiny, tmp_path):
    folder = tmp_path / "out"
    shutil.copytree(built, folder)
    build(tiny / "bert", folder, "--min-cos", "0.5", "--alpha", "0.5", "--why", "less is *more*", "--no-vanilla",
          day={"SOURCE_DATE_EPOCH": "1798070400"})
    history = report_of(folder)["history"]
    assert [h["date"] for h in history] == ["2026-11-24", "2026-12-24"]
    assert history[0] == report_of(built)["history"][0]
    assert history[1]["why"] == "less is *more*" and "alpha 0.8 -> 0.5" in history[1]["changes"]
    assert "changed model.int8.onnx" in " ".join(history[1]["changes"])
    assert r"- 2026-12-24, octavo" in (folder / "README.md").read_text()
    assert r"less is \*more\*" in (folder / "README.md").read_text()
    # The vanilla model of the first build would be a lie beside this card.
    assert not list(folder.glob("*vanilla*")) and "vanilla.onnx` |" not in (folder / "README.md").read_text()


def test_failing_the_gate_is_said_everywhere(build, tiny, tmp_path):
    done = build(tiny / "llama", tmp_path / "out", "--min-cos", "1", check=False)
    assert done.returncode == 1 and "FAILED" in done.stdout
    assert "**FAILED: do not use `model.int8.onnx`.**" in (tmp_path / "out/README.md").read_text()
    assert report_of(tmp_path / "out")["quality"]["passed"] is False


def test_own_texts_and_calibration(build, tiny, tmp_path):
    (tmp_path / "probe.jsonl").write_text('{"text": "first | text"}\n{"text": "second"}\n')
    (tmp_path / "calibration.txt").write_text("some words\nand some more of them\n")
    done = build(tiny / "bert", tmp_path / "out", "--min-cos", "0.5", "--texts", tmp_path / "probe.jsonl",
                 "--calibration", tmp_path / "calibration.txt", "--json")
    report = json.loads(done.stdout)
    assert report == report_of(tmp_path / "out")
    assert [t["text"] for t in report["quality"]["texts"]] == ["first | text", "second"]
    used = report["settings"]["calibration"]
    assert used["texts"] == 2 and used["name"] == "calibration.txt"
    assert used["sha256"] == hashlib.sha256((tmp_path / "calibration.txt").read_bytes()).hexdigest()
    assert used["sha256"] in (tmp_path / "out/README.md").read_text()


def test_what_is_not_ours_is_not_overwritten(build, tiny, tmp_path):
    for name, text in (("README.md", "# my notes"), ("report.json", '{"mine": 1}'), ("report.html", "<p>mine</p>")):
        folder = tmp_path / name / "out"
        folder.mkdir(parents=True)
        (folder / name).write_text(text)
        done = build(tiny / "bert", folder, check=False)
        assert done.returncode == 3 and name in done.stderr and "choose another output folder" in done.stderr
        assert content(folder) == {name: text.encode()}


def test_another_models_settings_do_not_stay(built, build, octavo, tiny, tmp_path):
    """A folder of another model, whose pooling would be taken for this one's."""
    names = ["1_Pooling/config.json", "modules.json"]
    bert = tmp_path / "bert"
    shutil.copytree(tiny / "bert", bert)
    (bert / "1_Pooling").mkdir(exist_ok=True)
    (bert / names[0]).write_text('{"pooling_mode_cls_token": true}')
    (bert / names[1]).write_text('[{"type": "sentence_transformers.models.Pooling", "path": "1_Pooling"}]')
    build(bert, tmp_path / "out", "--min-cos", "0.5")
    assert all((tmp_path / "out" / n).exists() for n in names)
    # Somebody's own model reads these files as well: no build changes or removes them.
    mine = tmp_path / "mine"
    shutil.copytree(tmp_path / "out", mine)
    shutil.copy(mine / "model.int8.onnx", mine / "mine.onnx")
    plain = tmp_path / "plain"
    shutil.copytree(tiny / "bert", plain)
    shutil.rmtree(plain / "1_Pooling", ignore_errors=True)
    (plain / "modules.json").unlink(missing_ok=True)
    before = content(mine)
    done = build(plain, mine, "--min-cos", "0.5", check=False)
    assert done.returncode == 3 and "would be removed, which would change what mine.onnx" in done.stderr
    assert content(mine) == before
    build(bert, mine, "--min-cos", "0.5")
    other = tmp_path / "other"
    shutil.copytree(bert, other)
    (other / names[0]).write_text('{"pooling_mode_mean_tokens": true}')
    done = build(other, mine, "--min-cos", "0.5", check=False)
    assert done.returncode == 3 and f"mine/{names[0]}: differs" in done.stderr and content(mine) == before
    build(plain, tmp_path / "out", "--min-cos", "0.5")
    assert not (tmp_path / "out/1_Pooling").exists() and not (tmp_path / "out/modules.json").exists()
    assert {"removed " + n for n in names} <= set(report_of(tmp_path / "out")["history"][-1]["changes"])
    # What no build made is not removed, and not believed either: build and import say so.
    for command in ("build", "import"):
        folder = tmp_path / command
        folder.mkdir()
        (folder / "modules.json").write_text("[]")
        done = octavo(command, plain, "-o", folder, check=False)
        assert done.returncode == 3 and "modules.json; remove them" in done.stderr
        assert content(folder) == {"modules.json": b"[]"}
    octavo("import", bert, "-o", tmp_path / "again")
    octavo("import", bert, "-o", tmp_path / "again")


@pytest.mark.parametrize("option", ["--search-log", "--protect-log"])
def test_a_log_is_not_written_over_what_is_none(build, tiny, tmp_path, option):
    flags = ["--profile", "accurate", "--alpha", "auto", "--evaluations", "7"]
    for content_of, kept in (("notes\n", False), ('{"text": "a calibration text"}\n', False), ('{"format":"octavo-se', True), ("", True)):
        (tmp_path / "log").write_text(content_of)
        done = build(tiny / "bert", tmp_path / "out", *flags, option, "log", "--min-cos", "0.5", check=False)
        assert done.returncode == (0 if kept else 3)
        assert kept or "log: is no log of a search, and would be overwritten" in done.stderr and (tmp_path / "log").read_text() == content_of
    os.mkfifo(tmp_path / "pipe")
    done = build(tiny / "bert", tmp_path / "new", *flags, option, "pipe", check=False)
    assert done.returncode == 3 and "pipe: is no log of a search" in done.stderr
    done = build(tiny / "bert", tmp_path / "new", *flags, option, "nowhere/log", check=False)
    assert done.returncode == 3 and "nowhere/log: there is no folder nowhere" in done.stderr and not (tmp_path / "new").exists()
    done = build(tiny / "bert", tmp_path / "new", *flags, "--search-log", "both", "--protect-log", "both", check=False)
    assert done.returncode == 3 and "both: one file cannot be the log of both searches" in done.stderr


def test_the_gate_is_shown_as_it_was_given(build, tiny, tmp_path):
    done = build(tiny / "bert", tmp_path / "out", "--min-cos", "0.999999", "--no-vanilla", check=False)
    assert done.returncode == 1 and "the gate is 0.999999;" in done.stdout
    assert "below the gate of 0.999999." in (tmp_path / "out/README.md").read_text()
    assert ">0.999999</data>" in (tmp_path / "out/report.html").read_text()


def test_an_error_names_the_folder_that_was_asked_for(build, tiny, tmp_path):
    """Not the one inside that is gone by then."""
    shutil.copytree(tiny / "bert", tmp_path / "bert")
    (tmp_path / "bert/tokenizer.json").write_text('{"model": 7}')
    done = build(tmp_path / "bert", tmp_path / "out", check=False)
    assert done.returncode == 3 and "octavo: out/tokenizer.json: " in done.stderr and ".octavo-build" not in done.stderr


def test_inputs_are_looked_at_first(build, tiny, tmp_path):
    for flag in ("--reference", "--calibration", "--texts"):
        done = build(tiny / "bert", tmp_path / "new/out", flag, "nope", check=False)
        assert done.returncode == 3
        assert done.stderr.count("nope") == 1 and "cannot be opened" in done.stderr, done.stderr
        assert not (tmp_path / "new/out").exists()
    build(tiny / "bert", tmp_path / "new/out", "--min-cos", "0.5")
    build(tmp_path / "new/out", tmp_path / "new/second", check=False)
    assert not (tmp_path / "new/second").exists()


def test_nothing_is_left_of_a_failure(build, tiny, tmp_path):
    snapshot = tmp_path / "snapshot"
    shutil.copytree(tiny / "bert", snapshot)
    (snapshot / "tokenizer.json").write_text("{}")
    done = build(snapshot, tmp_path / "out", check=False)
    assert done.returncode == 3 and "tokenizer.json" in done.stderr
    assert content(tmp_path / "out") == {}
    assert build(tmp_path / "nowhere", tmp_path / "none", check=False).returncode == 3
    assert not (tmp_path / "none").exists()


def test_a_write_that_fails_loses_nothing(built, tiny, tmp_path):
    """A limit on the size of files stands for the full disk: write() gives EFBIG where that gives ENOSPC."""
    folder = tmp_path / "out"
    shutil.copytree(built, folder)
    for limit in (1, 1000, 20_000, 60_000):
        done = subprocess.run([os.environ["OCTAVO_BIN"], "build", tiny / "bert", "-o", folder, "--alpha", "0.5"],
                              capture_output=True, text=True, restore_signals=False,
                              preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
        assert done.returncode == 3 and "cannot be written" in done.stderr, (limit, done.stderr)
        assert content(folder) == content(built), limit


def test_a_killed_build_loses_nothing(minilm, build, built, tmp_path):
    folder = tmp_path / "out"
    shutil.copytree(built, folder)
    build(minilm, tmp_path / "whole")
    old, new = content(built), content(tmp_path / "whole")
    program = os.environ["OCTAVO_BIN"]
    for delay in (0.05, 0.3, 1.0, 2.5):
        process = subprocess.Popen([program, "build", minilm, "-o", folder], stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        time.sleep(delay)
        if process.poll() is not None:
            break  # a machine so fast that nothing was interrupted
        process.send_signal(signal.SIGKILL)
        process.wait()
        seen = {k: v for k, v in content(folder).items() if not k.startswith(".octavo-build.")}
        # Publishing renames file by file: killed there, some are new already. None is half or gone.
        assert seen.keys() >= old.keys() & new.keys() and seen.keys() <= old.keys() | new.keys(), delay
        changing = {"report.json", "report.html", "README.md"}  # with the history: neither's
        assert all(data in (old.get(name), new.get(name)) for name, data in seen.items() if name not in changing), delay
        json.loads(seen["report.json"])
    build(minilm, folder, "--no-vanilla")
    assert not list(folder.glob(".octavo-build.*"))
    assert report_of(folder)["source"]["name"] == "minilm"
