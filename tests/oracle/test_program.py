"""What every command has in common: version, help, exit codes, what errors say."""
import os
import re
import resource

import pytest


def test_version(octavo):
    assert re.fullmatch(r"octavo \d+\.\d+\.\d+\n", octavo("--version").stdout)


def test_usage_errors_exit_2(octavo):
    for arguments in ([], ["no-such-command"], ["--no-such-flag"]):
        done = octavo(*arguments, check=False)
        assert done.returncode == 2, arguments
        assert done.stderr, arguments


def test_usage_errors_say_what_is_wrong(octavo):
    """One line with the command, the value and what would be right; then where the help is."""
    for arguments, message in (
        ([], "octavo: needs a command; the commands are build, import,"),
        (["frobnicate"], "octavo: frobnicate: no such command; the commands are build, import,"),
        (["--no-such-flag"], "octavo: --no-such-flag: no such option; the commands are"),
        (["build", "m", "--outptu", "o"], "octavo build: --outptu: no such option"),
        (["smooth", "--in", "m", "-o", "o"], "octavo smooth: --in: no such option"),
        (["build", "m"], "octavo build: --output is required"),
        (["build", "--", "m"], "octavo build: --output is required"),
        (["build", "m", "-o", "o", "--outptu", "x"], "octavo build: --outptu: no such option"),
        (["inspect", "m", "n"], "octavo inspect: n: one argument too many"),
        (["embed", "m", "x", "--max-length", "0"],
         'octavo embed: --max-length: "0" is not a whole number from 1 to 16777216'),
        (["embed", "m", "x", "--dimensions", "abc"], '--dimensions: "abc" is not a whole number from 1 to'),
        (["embed", "m", "x", "--dimensions", "12x"], '--dimensions: "12x" is not a whole number from 1 to'),
        (["embed", "m", "x", "--max-batch-tokens", str(2**64 - 1)], "is not a whole number from 1 to 16777216"),
        (["embed", "m", "x", "--no-cache{false}"], "octavo embed: "),
        (["quantize", "a", "b", "--weight-type", "int4"], '--weight-type: "int4" is not one of qint8, quint8'),
        (["quantize", "a", "b", "--activations", "int4"], '"int4" is not one of per-tensor, per-token, per-token-16'),
        (["build", "a", "-o", "b", "--alpha", "1.5"], '--alpha: "1.5" is neither a number from 0 to 1 nor auto'),
        (["verify", "a", "--against", "b", "--min-cos", "nan"], '--min-cos: "nan" is not a number from -1 to 1'),
        (["verify", "a", "--against", "b", "--probe", "huge"], '--probe: no probe named "huge"; there are: small, wide'),
        (["quantize", "a", "b", "--exclude", "a("], 'exclude: "a(" is not a regular expression (ECMAScript): '),
        (["build", "a", "-o", "b", "--profile", "accurate", "--protect", "["], 'protect: "[" is not a regular expression'),
        (["bench", "m", "--seconds", "0"], '--seconds: "0" is not a number from 0.001 to 3600'),
        (["bench", "m", "--lengths", "8,0"], '--lengths: "0" is not a whole number'),
    ):
        done = octavo(*arguments, check=False)
        assert done.returncode == 2 and message in done.stderr, (arguments, done.stderr)
        assert done.stderr.count("\n") == 2 and max(map(len, done.stderr.splitlines())) < 160, done.stderr
        assert done.stderr.startswith("octavo") and done.stderr.endswith("--help for more information.\n")


def test_options_without_effect_are_wrong(octavo, tmp_path):
    """Taken in silence they would let a user believe in what never was; nothing is read before."""
    for arguments, message in (
        (["build", "a", "-o", "b", "--no-rotate"], "--no-rotate: --profile compat rotates nothing"),
        (["build", "a", "-o", "b", "--search-log", "l"], "--search-log: is for --alpha auto"),
        (["smooth", "--fp32", "a", "-o", "b", "--evaluations", "20", "--alpha", "0.5"], "--evaluations: is for --alpha auto"),
        (["smooth", "--fp32", "a", "-o", "b", "--activations", "per-token"], "--activations: is for --alpha auto"),
        (["quantize", "a", "b", "--clip"], "clip chooses scales of 8-bit channels: it needs per-channel"),
        (["quantize", "a", "b", "--compensate"], "compensated rounding keeps the scales of 8-bit channels: it needs per-channel"),
        (["quantize", "a", "b", "--compensate", "--per-channel", "--clip"], "compensated rounding keeps the scales"),
        (["quantize", "a", "b", "--protect", "x"], "protect gives some nodes 16-bit activations"),
        (["quantize", "a", "b", "--max-extra-macs", "15%"], "target-cos and max-extra-macs give some nodes"),
        (["quantize", "a", "b", "--protect-log", "l"], "--protect-log: is for --target-cos and --max-extra-macs"),
        (["quantize", "a", "b", "--max-extra-macs", "0", "--protect-log", "l"], "--protect-log: cannot go with --max-extra-macs 0"),
        (["build", "a", "-o", "b", "--profile", "accurate", "--max-extra-macs", "0", "--target-cos", "0.999"],
         "--target-cos: cannot go with --max-extra-macs 0"),
        (["smooth", "--fp32", "a", "-o", "b", "--factors", "per-token-16", "--evaluations", "12"],
         "--factors: per-token-16 goes without --evaluations"),
        (["quantize", "a", "b", "--tokenizer", "t"], "--tokenizer: is for --target-cos, --max-extra-macs and --compensate"),
        (["quantize", "a", "b", "--calibration", "t"], "nothing else reads texts"),
    ):
        done = octavo(*arguments, check=False, cwd=tmp_path)
        assert done.returncode == 2 and message in done.stderr, (arguments, done.stderr)
        assert done.stderr.count("\n") == 2 and max(map(len, done.stderr.splitlines())) < 160, done.stderr


def test_lists_by_commas(octavo, tiny, tmp_path):
    """Commas reach the library, whose message names the op; and a list leaves the positionals alone."""
    octavo("import", tiny / "bert", "-o", tmp_path)
    model = tmp_path / "model.onnx"
    done = octavo("quantize", model, tmp_path / "o.onnx", "--op-types", "MatMul,Gemm", check=False)
    assert done.returncode == 2 and "Gemm" in done.stderr and "MatMul" in done.stderr, done.stderr
    octavo("quantize", "--op-types", "MatMul", model, tmp_path / "o.onnx")
    assert (tmp_path / "o.onnx").exists()


def test_threads_have_one_rule(octavo, tmp_path):
    """0 to 1024 in every command; 0 is all that there are."""
    commands = {
        "embed": ["m", "x"], "bench": ["m"], "verify": ["m", "--against", "x"], "evaluate": ["m", "--set", "x"],
    }
    for command, arguments in commands.items():
        for threads in ("1025", "100000", "-1", "many", "1.5"):
            done = octavo(command, *arguments, "--threads", threads, check=False)
            message = f'octavo {command}: --threads: "{threads}" is not a whole number from 0 to 1024'
            assert done.returncode == 2 and message in done.stderr, (command, done.stderr)
        for threads in ("0", "1024"):  # taken: the next thing that is missing is the model
            done = octavo(command, *arguments, "--threads", threads, check=False, cwd=tmp_path)
            assert done.returncode == 3, (command, done.stderr)


@pytest.mark.skipif("OCTAVO_SANITIZED" in os.environ, reason="a sanitizer needs more address space than the limit")
def test_threads_that_the_system_refuses_are_reported(octavo, tiny, tmp_path):
    """Room for a few stacks of 256 MB only."""
    def limit():
        resource.setrlimit(resource.RLIMIT_STACK, (256 << 20, 256 << 20))
        resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))

    octavo("import", tiny / "bert", "-o", tmp_path)
    for arguments in (["embed", tmp_path, "a text"], ["verify", tmp_path, "--against", tmp_path / "model.onnx"]):
        done = octavo(*arguments, "--threads", "100", preexec_fn=limit)
        said = re.search(r"asked for 100 threads, got (\d+): the system refused more", done.stderr)
        assert said and 1 <= int(said[1]) < 100, done.stderr
        assert "threads, got" not in octavo(*arguments, "--threads", "3").stderr


def test_errors_point_at_what_is_wrong(octavo, tiny, tmp_path):
    """A path that is not there, or of the wrong kind, is said before what lies beside it is looked for."""
    octavo("import", tiny / "bert", "-o", tmp_path / "imp")
    (tmp_path / "imp/model.gguf").write_bytes(b"GGUF")
    for folder, name in (("only-int8", "model.int8.onnx"), ("only-onnx", "model.onnx")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / name).write_bytes((tmp_path / "imp/model.onnx").read_bytes())
        (tmp_path / folder / "config.json").write_bytes((tmp_path / "imp/config.json").read_bytes())
    for command in (["embed", "nope", "x"], ["bench", "nope"], ["inspect", "nope"], ["evaluate", "nope", "--set", "x"],
                    ["serve", "nope"], ["import", "nope", "-o", "out"], ["build", "nope", "-o", "out"], ["verify", "nope", "--against", "x"]):
        done = octavo(*command, check=False, cwd=tmp_path)
        assert done.returncode == 3, command
        assert done.stderr == "octavo: nope: no such file or folder; a model on the hub is called org/name\n", done.stderr
    assert not (tmp_path / "out").exists()
    for arguments, message in (
        (["verify", "nope", "--against", "imp/model.onnx"], "octavo: nope: no such file or folder"),
        (["verify", "imp", "--against", "nope"], "octavo: nope: no such file or folder"),
        (["verify", "imp", "--reference", "nope"], "octavo: nope: no such file or folder"),
        (["verify", "imp", "--against", "only-int8"], "only-int8: has neither model.onnx nor onnx/model.onnx"),
        (["embed", "imp/model.onnx", "x"], "octavo: imp/model.onnx: is a file; give the folder it is in"),
        (["bench", "imp/model.onnx"], "octavo: imp/model.onnx: is a file; give the folder it is in"),
        (["embed", "imp/model.gguf", "x"], "octavo: imp/model.gguf: is a GGUF file; octavo build imp/model.gguf -o DIR makes"),
        (["build", "only-onnx", "-o", "out"], "only-onnx: has no weights to import, but an ONNX model; octavo smooth and octavo quantize take"),
        (["quantize", "imp", "out.onnx"], "imp: is a folder; give the file in it"),
    ):
        done = octavo(*arguments, check=False, cwd=tmp_path)
        assert done.returncode == 3 and message in done.stderr, (arguments, done.stderr)
        assert done.stderr.count("\n") == 1, done.stderr
    for arguments in (["embed", "imp", "x"], ["embed", "imp", "x", "--exact-onnx"], ["bench", "imp"]):
        done = octavo(*arguments, check=False, cwd=tmp_path, env={**os.environ, "OCTAVO_CPU": "foo"})
        assert done.returncode == 3 and 'OCTAVO_CPU is "foo"' in done.stderr and " ref" in done.stderr, done.stderr


def test_help_shows_what_a_person_types(octavo):
    text = octavo("embed", "--help").stdout
    assert "  --no-cache  " in text
    assert "OCTAVO_CACHE" in octavo("--help").stdout and "XDG_CACHE_HOME" in octavo("--help").stdout


def test_help_is_a_manual(octavo):
    """Of the program and of every command: what it does, its options, examples, exit codes, 80 columns."""
    overview = octavo("--help").stdout
    commands = re.findall(r"^  (\w+)  ", overview.split("Subcommands:")[1].split("\n\n")[0], re.M)
    assert {"import", "embed", "inspect", "verify"} <= set(commands)
    for command in ([], *([c] for c in commands)):
        text = octavo(*command, "--help").stdout
        assert "Exit codes: 0" in text and "Usage: octavo" in text, command
        assert not command or "Examples:\n  octavo " + command[0] in text, command
        assert max(map(len, text.splitlines())) <= 80, max(text.splitlines(), key=len)
        assert text[0].isupper() and "\n\n\n" not in text, command
