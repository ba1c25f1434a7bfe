"""Results that do not arrive are no success: every command with standard output on a full disk."""
import os
import re
import shutil
import subprocess

import pytest

pytestmark = pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")


@pytest.fixture(scope="module")
def commands(octavo, tiny, tmp_path_factory):
    """Every command, each of its output forms, with arguments that make it succeed."""
    folder = tmp_path_factory.mktemp("stdout")
    octavo("import", tiny / "bert", "-o", folder / "fp32")
    (folder / "texts.txt").write_text("some words\nand some more of them\n")
    (folder / "set.jsonl").write_text(
        '{"format": "octavo-retrieval-1", "name": "two"}\n'
        '{"document": "a", "language": "x", "text": "one two"}\n'
        '{"document": "b", "language": "x", "text": "three four"}\n'
        '{"query": "q", "language": "x", "kind": "same", "text": "one", "relevant": ["a"]}\n')
    model = folder / "fp32" / "model.onnx"
    octavo("quantize", model, folder / "fp32" / "model.int8.onnx")
    few = ["--calibration", folder / "texts.txt"]
    # What is cached can be pulled without a hub.
    commit = "c" * 40
    cached = folder / "hub" / "models--org--tiny"
    shutil.copytree(tiny / "bert", cached / "snapshots" / commit)
    (cached / "refs").mkdir()
    (cached / "refs" / "main").write_text(commit)
    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.setenv("HF_HUB_CACHE", str(folder / "hub"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    yield {
        "build": ["build", tiny / "bert", "-o", folder / "built", "--min-cos", "0", "--no-vanilla", *few],
        "import": ["import", tiny / "bert", "-o", folder / "again"],
        "smooth": ["smooth", "--fp32", model, "--output", folder / "smoothed.onnx", *few],
        "quantize": ["quantize", model, folder / "int8.onnx"],
        "verify": ["verify", folder / "fp32", "--against", model],
        "evaluate": ["evaluate", folder / "fp32", "--set", folder / "set.jsonl", "--resamples", "10"],
        "embed": ["embed", folder / "fp32", "a text", "--format", "table"],
        "inspect": ["inspect", model],
        "bench": ["bench", folder / "fp32", "--lengths", "4", "--no-batches", "--seconds", "0.01"],
        "pull": ["pull", "org/tiny"],
    }
    monkeypatch.undo()


def on_a_full_disk(arguments):
    with open("/dev/full", "w") as full:
        done = subprocess.run([os.environ["OCTAVO_BIN"], *map(str, arguments)], stdout=full, stderr=subprocess.PIPE,
                              stdin=subprocess.DEVNULL, text=True, timeout=600)
    assert done.returncode == 3, (arguments, done.returncode, done.stderr)
    assert done.stderr.endswith("octavo: standard output: No space left on device\n"), (arguments, done.stderr)
    assert done.stderr.count("No space left") == 1, done.stderr


def test_no_command_loses_results(octavo, commands):
    listed = re.findall(r"^  (\w+)  ", octavo("--help").stdout.split("Subcommands:")[1].split("\n\n")[0], re.M)
    # serve gives its results to clients, not to stdout.
    assert set(listed) == {*commands, "serve"}, "a new command needs a line above"
    for arguments in commands.values():
        on_a_full_disk(arguments)
        form = [a for a in arguments if a not in ("--format", "table")]
        on_a_full_disk([*form, "--json"])


def test_neither_do_help_and_version(commands):
    on_a_full_disk(["--version"])
    on_a_full_disk(["--help"])
    for command in commands:
        on_a_full_disk([command, "--help"])


def test_a_failed_gate_whose_report_is_lost_is_a_failure(commands):
    on_a_full_disk([*commands["verify"], "--min-cos", "1"])
