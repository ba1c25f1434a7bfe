"""Fixtures of the oracle tests. Environment (set by ctest): OCTAVO_BIN, the program under test;
OCTAVO_MODELS, the folder of scripts/fetch_models.sh; OCTAVO_ORT_OLD_PYTHON, an interpreter with the
oldest supported onnxruntime; OCTAVO_RUNTIMES_PYTHON, one with OpenVINO and fastembed;
OCTAVO_CLIENTS_PYTHON, one with clients of the server. What is not there
skips its tests, unless OCTAVO_REQUIRE_ORACLES is set (scripts/test.sh does): then they fail, PyTorch's
only when it is "torch" (scripts/test.sh --oracles).

    def test_names(octavo, tiny, tmp_path):
        octavo("import", tiny / "bert", "-o", tmp_path)             # asserts exit 0
        bad = octavo("import", tmp_path, "-o", tmp_path, check=False)
        assert bad.returncode == 3 and "config.json" in bad.stderr
"""
import importlib.util
import json
import os
import pathlib
import re
import subprocess
import sys
import time

import pytest

SOURCE = pathlib.Path(__file__).resolve().parents[2]


def pytest_configure(config):
    config.addinivalue_line("markers", "torch: needs PyTorch and transformers (scripts/test.sh --oracles)")


def _absent(reason):
    """Skips, or fails where every oracle was asked for: a test that did not run proves nothing."""
    if os.environ.get("OCTAVO_REQUIRE_ORACLES"):
        pytest.fail(f"OCTAVO_REQUIRE_ORACLES is set, but {reason}", pytrace=False)
    pytest.skip(reason)


def pytest_collection_modifyitems(items):
    if importlib.util.find_spec("torch") is None:
        if os.environ.get("OCTAVO_REQUIRE_ORACLES") == "torch":
            raise pytest.UsageError("OCTAVO_REQUIRE_ORACLES is torch, but this Python has no PyTorch")
        skip = pytest.mark.skip(reason="needs PyTorch: scripts/test.sh --oracles")
        for item in items:
            if "torch" in item.keywords:
                item.add_marker(skip)


# AddressSanitizer makes smoothing a 135M-parameter model take ten minutes where two are usual.
PATIENCE = 4 if "OCTAVO_SANITIZED" in os.environ else 1


def _run(command, check, timeout, **options):
    command = [str(c) for c in command]
    timeout *= PATIENCE
    done = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL if "input" not in options else None,
                          timeout=timeout, text=options.pop("text", True), **options)
    if check and done.returncode != 0:
        pytest.fail(f"{' '.join(command)}\nexit {done.returncode}\n{done.stdout}\n{done.stderr}", pytrace=False)
    return done


def highest_memory(command, field):
    """The largest value in bytes of a field of /proc/PID/status while the program runs: VmHWM is its resident set, mapped
    pages of files included; RssAnon is what is not the page cache's, as mapped weights are, and cannot go at any time."""
    process = subprocess.Popen([str(c) for c in command], stdout=subprocess.DEVNULL)
    peak = 0
    while process.poll() is None:
        try:
            status = open(f"/proc/{process.pid}/status").read()
        except OSError:
            break
        # Before exec the child is a copy of this interpreter.
        if "octavo" in re.search(r"Name:\s+(.*)", status)[1]:
            peak = max(peak, int((re.search(rf"{field}:\s+(\d+)", status) or [0, 0])[1]) * 1024)
        time.sleep(0.002)
    assert process.wait() == 0
    return peak


@pytest.fixture(scope="session")
def octavo():
    """octavo(*arguments, check=True, timeout=600, **subprocess options) -> CompletedProcess."""
    program = os.environ.get("OCTAVO_BIN")
    if not program or not pathlib.Path(program).is_file():
        pytest.fail(f"OCTAVO_BIN={program!r} is no program; run these tests through ctest", pytrace=False)

    def call(*arguments, check=True, timeout=600, **options):
        return _run((program, *arguments), check, timeout, **options)

    return call


@pytest.fixture(scope="session")
def calibration(tmp_path_factory):
    """Options for `smooth` and `build` of a real model: none, or under a sanitizer, where all built-in calibration texts
    take half an hour and the code is the same after the first few, every sixth text of the wide probe."""
    if "OCTAVO_SANITIZED" not in os.environ:
        return []
    sys.path.insert(0, str(SOURCE / "tools"))
    from dump_reference import built_in_texts

    file = tmp_path_factory.mktemp("calibration") / "texts.jsonl"
    file.write_text("".join(json.dumps({"text": text}) + "\n" for text in built_in_texts("wide")[::6]))
    return ["--calibration", file]


def _interpreter(variable, what):
    python = os.environ.get(variable, "")
    if not pathlib.Path(python).is_file():
        _absent(f"no {what} here: scripts/setup.sh makes it")

    def call(code, *arguments, check=True, timeout=600, **options):
        return _run((python, "-c", code, *arguments), check, timeout, **options)

    return call


@pytest.fixture(scope="session")
def old_python():
    """old_python(code, *arguments) runs Python code where onnxruntime is 1.17.3."""
    return _interpreter("OCTAVO_ORT_OLD_PYTHON", "onnxruntime 1.17.3")


@pytest.fixture(scope="session")
def runtimes_python():
    """runtimes_python(code, *arguments) runs Python code where OpenVINO and fastembed are."""
    return _interpreter("OCTAVO_RUNTIMES_PYTHON", "OpenVINO and fastembed")


@pytest.fixture(scope="session")
def clients_python():
    """clients_python(code, *arguments) runs Python code where clients of the server are."""
    return _interpreter("OCTAVO_CLIENTS_PYTHON", "openai, ollama and other clients")


def _model(*parts):
    folder = os.environ.get("OCTAVO_MODELS")
    path = pathlib.Path(folder or "", *parts)
    if not folder or not path.exists():
        _absent("no real models here: scripts/fetch_models.sh gets them")
    return path


@pytest.fixture(scope="session")
def minilm():
    """The Hugging Face snapshot of all-MiniLM-L6-v2."""
    return _model("minilm")


@pytest.fixture(scope="session")
def smollm2():
    """The GGUF file of SmolLM2-135M-Instruct."""
    return _model("smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf")


@pytest.fixture(scope="session")
def tiny():
    """tests/golden/tiny: random models of a few kilobytes, one folder an architecture."""
    return SOURCE / "tests" / "golden" / "tiny"
