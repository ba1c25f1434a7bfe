"""Models by their names on the hub: as the program gets them, from the hub on loopback that tests/oracle/test_hub.py uses.

That hub runs in this process: that it answers at all shows that a download leaves the interpreter free."""
import os
import pathlib
import pickle
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
import warnings

import numpy as np
import pytest

import octavo
from conftest import SOURCE
from octavo.sentence_transformers import SentenceTransformer

sys.path.insert(0, str(SOURCE / "tests" / "oracle"))
from hub_server import FakeHub, api_error, fault, sha256, silent  # noqa: E402
from terminal import shown_on_terminal  # noqa: E402

NAME = "org/tiny"
BIG = random.Random(1).randbytes((8 << 20) + 123_457)


def files_of(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture
def hub(qwen3, tiny, tmp_path, monkeypatch):
    """A running hub that the environment points to; the cache is tmp_path/hub, the working folder is empty."""
    with FakeHub() as running:
        running.add(NAME, {**files_of(qwen3), "README.md": "# tiny"})
        running.add("org/snapshot", files_of(tiny / "bert"))
        running.add("org/big", {"config.json": "{}", "tokenizer.json": "{}", "model.onnx": BIG})
        for name in set(os.environ) - set(running.environment(tmp_path)):
            monkeypatch.delenv(name)
        for name, value in running.environment(tmp_path).items():
            monkeypatch.setenv(name, value)
        empty = tmp_path / "here"
        empty.mkdir()
        monkeypatch.chdir(empty)
        yield running


def same(got, expected):
    return got.dtype == expected.dtype and got.shape == expected.shape and got.tobytes() == expected.tobytes()


def test_an_embedder_by_name(hub, qwen3, tmp_path, capfd):
    commit = hub.repositories[NAME]["main"].commit
    embedder = octavo.Embedder(NAME)
    local = octavo.Embedder(qwen3)
    assert same(embedder.encode(["a", "b"], prompt_name="query"), local.encode(["a", "b"], prompt_name="query"))
    assert embedder.model == NAME and embedder.folder == tmp_path / "hub" / "models--org--tiny" / "snapshots" / commit
    assert embedder.warnings == local.warnings and not hub.paths(like="README")
    seen = len(hub.seen)
    for again in (octavo.Embedder(NAME), octavo.Embedder(f"{NAME}@{commit}"), pickle.loads(pickle.dumps(embedder))):
        assert same(again.encode("a"), local.encode("a"))
    assert len(hub.seen) == seen, "what is cached needs no hub"
    other = hub.add(NAME, {**files_of(qwen3), "config_sentence_transformers.json": '{"prompts": {"q": "Q: "}}'}, revision="v1")
    ours = SentenceTransformer(NAME, revision="v1")
    assert ours.prompts == {"query": "", "document": "", "q": "Q: "} and ours.embedder.folder.name == other.commit
    said = capfd.readouterr()
    assert said.out == said.err == "", "a terminal sees how far it is, nobody else"
    # A folder of that name comes first.
    shutil.copytree(qwen3, NAME)
    assert octavo.Embedder(NAME).folder == pathlib.Path.cwd() / NAME


def test_a_model_file_by_name(hub, tiny, tmp_path):
    """It and its sidecars are got, the others are not."""
    octavo.import_model(tiny / "bert", tmp_path / "m", model_name="small.onnx")
    hub.add("org/files", {**files_of(tmp_path / "m"), "model.onnx": b"x"})
    embedder = octavo.Embedder("org/files", model_file="small.onnx")
    assert same(embedder.encode("a"), octavo.Embedder(tmp_path / "m", model_file="small.onnx").encode("a"))
    assert {p.name for p in embedder.folder.glob("*.onnx*")} == {"small.onnx", "small.onnx.data"}
    with pytest.raises(octavo.Error, match="other.onnx"):
        octavo.Embedder("org/files", model_file="other.onnx")


def test_what_the_program_does(hub, program, qwen3, tmp_path):
    """The same cache, the same requests, the same words."""
    octavo.Embedder(NAME)
    ours = [(s.method, re.sub(r"\?.*", "", s.path)) for s in hub.seen]
    hub.seen.clear()
    program("embed", NAME, "a", "--json", env=hub.environment(tmp_path / "other"))
    # Which of several connections is first is a matter of luck.
    assert sorted(ours) == sorted((s.method, re.sub(r"\?.*", "", s.path)) for s in hub.seen)

    def contents(folder):
        return {str(p.relative_to(folder)) for p in folder.rglob("*") if ".locks" not in p.parts}

    assert contents(tmp_path / "hub") == contents(tmp_path / "other" / "hub")
    for wrong in ("no/such", NAME + "@v9", "org/snapshot"):
        done = program("embed", wrong, "a", env=hub.environment(tmp_path), check=False)
        with pytest.raises(octavo.Error) as raised:
            octavo.Embedder(wrong)
        assert done.stderr == f"octavo: {raised.value}\n"


@pytest.mark.parametrize("name, action, environment, error, words", [
    ("no/such", None, {}, octavo.NotFoundError, "no/such: no such file or folder, so taken for a model on the hub: .*has no such model"),
    (NAME + "@v9", None, {}, octavo.NotFoundError, "no such revision"),
    ("org/snapshot", None, {}, octavo.UnsupportedError, "has no ONNX model.*octavo build org/snapshot"),
    (NAME, api_error(403, "GatedRepo"), {}, octavo.IoError, "is gated; accept its terms at http.*/org/tiny .*HF_TOKEN"),
    (NAME, api_error(401, "", "Invalid credentials in Authorization header"), {"HF_TOKEN": "hf_x"}, octavo.IoError, "HF_TOKEN is not valid"),
    (NAME, None, {"HF_HUB_OFFLINE": "1"}, octavo.NotFoundError, "is not in the cache .*HF_HUB_OFFLINE forbids"),
    (NAME, None, {"HF_ENDPOINT": "http://127.0.0.1:1"}, octavo.IoError, "http://127.0.0.1:1.*cannot be reached"),
    (NAME, None, {"HF_ENDPOINT": "ftp://127.0.0.1"}, octavo.InvalidInputError, "HF_ENDPOINT"),
    (NAME, None, {"HF_TOKEN": "a b"}, octavo.InvalidInputError, "HF_TOKEN: is no token"),
])
def test_errors(hub, monkeypatch, name, action, environment, error, words):
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    if action:
        hub.faults.append(fault("/resolve/", action, times=1000))
    with pytest.raises(error, match=words) as raised:
        octavo.Embedder(name)
    assert isinstance(raised.value, octavo.Error) and "hf_x" not in str(raised.value)


def test_tokens_and_offline(hub, monkeypatch):
    hub.token = "hf_secret"
    with pytest.raises(octavo.IoError, match="/token is not valid"):
        octavo.Embedder(NAME)
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    octavo.Embedder(NAME)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    seen = len(hub.seen)
    octavo.Embedder(NAME)
    assert len(hub.seen) == seen
    assert {s.headers.get("authorization") for s in hub.seen if s.path.startswith("/cdn/")} == {None}


def python(code, *arguments, **options):
    return subprocess.Popen([sys.executable, "-c", code, *map(str, arguments)], stdout=subprocess.PIPE, text=True, **options)


FULL = """
import sys, octavo
try:
    octavo.Embedder("org/big")
except OSError as error:
    print(type(error).__name__, error)
"""


def test_a_full_disk(hub, tmp_path):
    """A limit on the size of files stands for it."""
    limit = (1 << 20) + 99
    process = python(FULL, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
    said = process.communicate(timeout=120)[0]
    assert re.match("IoError org/big: .*model.onnx.* cannot be written.*HF_HUB_CACHE.*kept", said), said
    partial = tmp_path / "hub" / "models--org--big" / "blobs" / (sha256(BIG) + ".incomplete")
    assert partial.read_bytes() == BIG[:limit] and not (tmp_path / "hub" / "models--org--big" / "snapshots").exists()


INTERRUPTED = """
import octavo, os, sys, threading, time
ticks = []
def tick():
    while True:
        ticks.append(time.monotonic())
        time.sleep(0.01)
threading.Thread(target=tick, daemon=True).start()
print("go", flush=True)
try:
    octavo.Embedder("org/tiny")
except KeyboardInterrupt:
    longest = max(b - a for a, b in zip(ticks, ticks[1:]))
    print("interrupted", longest < 1, flush=True)
sys.stdin.readline()
print(octavo.Embedder("org/tiny").encode("a").shape, flush=True)
"""


@pytest.mark.parametrize("where", ["/revision/", "/resolve/.*onnx", "^/cdn/"])
def test_ctrl_c(hub, where):
    """While the hub is silent; then it goes on, in the same process."""
    hub.faults.append(fault(where, silent(60), times=1000))
    process = python(INTERRUPTED, stdin=subprocess.PIPE)
    assert process.stdout.readline() == "go\n"
    until = time.monotonic() + 60
    while not hub.paths(like=where) and time.monotonic() < until:
        time.sleep(0.02)
    time.sleep(1.5)  # longer than the interpreter may be kept from its other threads
    assert process.poll() is None
    begin = time.monotonic()
    process.send_signal(signal.SIGINT)
    assert process.stdout.readline() == "interrupted True\n"
    assert time.monotonic() - begin < 5
    hub.faults.clear()
    process.stdin.write("\n")
    process.stdin.flush()
    assert process.stdout.readline() == f"({octavo.Embedder(NAME).dim},)\n"
    assert process.wait(60) == 0


def test_two_threads_at_once(hub):
    hub.faults.append(fault("^/cdn/", lambda handler: (time.sleep(0.2), False)[1], times=100))
    opened = []
    threads = [threading.Thread(target=lambda: opened.append(octavo.Embedder(NAME))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(opened) == 3 and len({e.folder for e in opened}) == 1
    assert len(hub.paths(like="^/cdn/")) == len(set(hub.paths(like="^/cdn/"))), "each content once"


def test_models_are_made_by_name(hub, program, tiny, tmp_path):
    stages = []
    octavo.import_model("org/snapshot", tmp_path / "fp32", progress=lambda *step: stages.append(step))
    program("import", tiny / "bert", "-o", tmp_path / "local")
    assert files_of(tmp_path / "fp32") == files_of(tmp_path / "local")
    pulled = [(done, total) for stage, done, total in stages if stage == "pull"]
    assert pulled and pulled[-1] == (sum(map(len, files_of(tiny / "bert").values())),) * 2
    report = octavo.build("org/snapshot", tmp_path / "int8", vanilla=False, min_cos=-1)
    card = (tmp_path / "int8" / "README.md").read_text()
    assert report.passed and "octavo.build('org/snapshot', 'DIR', vanilla=False, min_cos=-1)" in card
    assert "From org/snapshot (" in card and str(tmp_path) not in card
    hub.add("org/int8", files_of(tmp_path / "int8"))
    assert octavo.verify("org/int8", against=tmp_path / "fp32" / "model.onnx").cos_min > 0.5
    for call in (lambda: octavo.import_model("no/such", tmp_path / "o"), lambda: octavo.build("no/such", tmp_path / "o"),
                 lambda: octavo.verify("no/such", against=tmp_path / "fp32" / "model.onnx")):
        with pytest.raises(octavo.NotFoundError, match="no/such: no such file or folder, .*has no such model"):
            call()
    assert not (tmp_path / "o").exists()


def test_what_progress_raises_ends_a_download(hub, tmp_path):
    hub.faults.append(fault("^/cdn/", silent(60), times=1000))

    def tired(stage, done, total):
        raise ZeroDivisionError(stage)

    begin = time.monotonic()
    with pytest.raises(ZeroDivisionError, match="pull"):
        octavo.import_model("org/snapshot", tmp_path / "o", progress=tired)
    assert time.monotonic() - begin < 5 and not (tmp_path / "o").exists()
    hub.faults.clear()
    octavo.import_model("org/snapshot", tmp_path / "o")


def test_notes_are_warnings(hub, tmp_path, monkeypatch):
    """Offline, a snapshot of which nobody knows whether it is whole is used, and that is said at the caller's line."""
    octavo.Embedder(NAME)
    octavo.import_model("org/snapshot", tmp_path / "first")
    for cache in (tmp_path / "hub").glob("models--*"):
        shutil.rmtree(cache / ".no_exist")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    for call in (lambda: octavo.Embedder(NAME), lambda: octavo.import_model("org/snapshot", tmp_path / "second")):
        with pytest.warns(octavo.ModelWarning, match="does not tell whether the repository has .*; used without") as said:
            call()
        assert said[0].filename == __file__


def test_a_terminal_sees_how_far_it_is(hub):
    hub.faults.append(fault("^/cdn/", lambda handler: (time.sleep(0.3), False)[1], times=100))
    process, shown = shown_on_terminal(lambda it: python("import octavo; octavo.Embedder('org/tiny')", stderr=it))
    process.communicate()
    assert process.returncode == 0 and re.search(rb"\r\x1b\[Kpull +\d+%", shown) and shown.endswith(b"\r\x1b[K"), shown[-300:]


def test_without_libcurl(hub, tmp_path):
    """Other libraries under its names stand for a system without it."""
    somewhere = tmp_path / "libraries"
    somewhere.mkdir()
    maps = {line.split()[-1] for line in open("/proc/self/maps") if "/libm.so" in line}
    for name in ("libcurl.so.4", "libcurl-gnutls.so.4"):
        shutil.copy(maps.copy().pop(), somewhere / name)
    code = """
import octavo
try:
    octavo.Embedder("org/tiny")
except octavo.NotFoundError as error:
    print(error)
"""
    said = python(code, env={**os.environ, "LD_LIBRARY_PATH": str(somewhere)}).communicate()[0]
    assert re.match("org/tiny: no such file or folder, so taken for a model on the hub: .*libcurl.so.4 .*apt-get install libcurl4", said), said
    assert hub.seen == []
    # What is cached needs none.
    octavo.Embedder(NAME)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isfinite(octavo.Embedder(NAME).encode("a")).all()
    assert python(code, env={**os.environ, "LD_LIBRARY_PATH": str(somewhere)}).communicate()[0] == ""
