"""octavo pull against a hub on loopback that breaks in every way, and the cache shared with the Python hub client."""
import json
import os
import pathlib
import random
import re
import resource
import shutil
import signal
import subprocess
import time

import pytest

from hub_server import FakeHub, Fault, api_error, cut_after, endless, fault, git_sha1, sha256, silent, status
from terminal import shown_on_terminal

PIECE = 8 << 20
BIG = random.Random(1).randbytes(2 * PIECE + 123_457)
NAME = "org/tiny"
ABOUT = ["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "config.json",
         "merges.txt", "vocab.json", "vocab.txt", "modules.json", "1_Pooling/config.json",
         "config_sentence_transformers.json", "sentence_bert_config.json"]


@pytest.fixture(scope="module")
def files(tiny):
    root = tiny / "bert"
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


@pytest.fixture
def hub(files):
    with FakeHub() as running:
        running.add(NAME, {**files, "README.md": "# tiny", "pytorch_model.bin": b"pickle", "onnx/x.txt": "x"})
        running.add("org/big", {"config.json": "{}", "tokenizer.json": "{}", "model.safetensors": BIG})
        yield running


@pytest.fixture
def pull(octavo, hub, tmp_path):
    """pull(name, ...) -> its JSON, or with check=False the process; the cache is tmp_path/hub."""

    def call(*arguments, check=True, **environment):
        done = octavo("pull", *arguments, "--json", check=check, env=hub.environment(tmp_path, **environment))
        if not check:
            return done
        assert done.stderr == ""
        return json.loads(done.stdout)

    return call


def cache_of(tmp_path, name):
    return tmp_path / "hub" / ("models--" + name.replace("/", "--"))


def contents(folder):
    """Every file and link of a cache but locks."""
    return {str(p.relative_to(folder)): os.readlink(p) if p.is_symlink() else p.read_bytes()
            for p in folder.rglob("*") if (p.is_file() or p.is_symlink()) and ".locks" not in p.parts}


def refused(done, *says):
    assert done.returncode == 3, (done.returncode, done.stdout, done.stderr)
    assert done.stdout == "" and done.stderr.count("\n") == 1, done.stderr
    for text in says:
        assert text in done.stderr, done.stderr


def nothing_appeared(tmp_path, name="org/big"):
    cache = cache_of(tmp_path, name)
    assert not (cache / "snapshots").exists() and not (cache / "refs").exists()
    assert not (cache / "blobs" / sha256(BIG)).exists()


# --- the cache ------------------------------------------------------------------------------------

def test_the_standard_layout(hub, pull, files, tmp_path):
    repository = hub.repositories[NAME]["main"]
    got = pull(NAME)
    cache = cache_of(tmp_path, NAME)
    snapshot = cache / "snapshots" / repository.commit
    assert got["folder"] == got["source"] == str(snapshot) and got["commit"] == repository.commit
    # What is needed and no more.
    assert sorted(f["name"] for f in got["files"]) == sorted(files)
    assert got["downloaded_bytes"] == sum(map(len, files.values()))
    expected = {}
    for name, content in files.items():
        etag = sha256(content) if name == "model.safetensors" else git_sha1(content)
        expected[f"blobs/{etag}"] = content
        expected[f"snapshots/{repository.commit}/{name}"] = "../" * (2 + name.count("/")) + f"blobs/{etag}"
    expected["refs/main"] = repository.commit.encode()
    for name in set(ABOUT) - set(files):
        expected[f".no_exist/{repository.commit}/{name}"] = b""
    assert contents(cache) == expected
    # Again: the hub is asked, nothing is got.
    before = len(hub.seen)
    again = pull(NAME)
    assert again["downloaded_bytes"] == 0 and not any(f["downloaded"] for f in again["files"])
    assert [s.path.split("?")[0] for s in hub.seen[before:]] == [
        f"/api/models/{NAME}/revision/main", f"/api/models/{NAME}/tree/{repository.commit}"]
    assert contents(cache) == expected


def test_revisions(hub, pull, files, tmp_path):
    other = hub.add(NAME, {**files, "config.json": files["config.json"] + b"\n"}, revision="refs/pr/1")
    pull(NAME)
    got = pull(NAME + "@refs/pr/1")
    assert got["commit"] == other.commit and [f["name"] for f in got["files"] if f["downloaded"]] == ["config.json"]
    assert (cache_of(tmp_path, NAME) / "refs/refs/pr/1").read_text() == other.commit
    assert any("revision/refs%2Fpr%2F1" in p for p in hub.paths())
    # A commit is itself: no ref, no question what it is.
    before = len(hub.seen)
    assert pull(f"{NAME}@{other.commit}")["commit"] == other.commit
    assert len(hub.seen) == before + 1
    assert sorted(p.name for p in (cache_of(tmp_path, NAME) / "refs").iterdir()) == ["main", "refs"]
    # The branch moves: the old snapshot stays.
    moved = hub.add(NAME, {**files, "config.json": files["config.json"] + b"\n\n"})
    assert pull(NAME)["commit"] == moved.commit
    assert len(list((cache_of(tmp_path, NAME) / "snapshots").iterdir())) == 3


def client(python, hub, cache, code, offline):
    """Runs code with the real client, and gives the JSON that it prints; `repo`, `hf` are there."""
    head = f"import json, huggingface_hub as hf\nrepo = {NAME!r}\n"
    more = {"HF_HUB_OFFLINE": "1"} if offline else {}
    return json.loads(python(head + code, env=hub.environment(cache, **more)).stdout.splitlines()[-1])


@pytest.fixture(params=["clients_python", "runtimes_python"])
def python(request):
    """Two versions of huggingface_hub: the newest, and the one that other packages still ask for."""
    return request.getfixturevalue(request.param)


def test_the_python_client_reads_the_cache(hub, pull, python, files, tmp_path):
    got = pull(NAME)
    seen = len(hub.seen)
    out = client(python, hub, tmp_path, f"""
names = {sorted(files)!r}
out = {{"snapshot": hf.snapshot_download(repo)}}
out["same"] = all(open(hf.hf_hub_download(repo, n), "rb").read() == open(out["snapshot"] + "/" + n, "rb").read()
                  for n in names)
out["absent"] = hf.try_to_load_from_cache(repo, "vocab.txt") is hf._CACHED_NO_EXIST
info = hf.scan_cache_dir()
out["warnings"] = [str(w) for w in info.warnings]
out["files"] = sorted(f.file_name for r in info.repos for v in r.revisions for f in v.files)
out["refs"] = [list(v.refs) for r in info.repos for v in r.revisions]
print(json.dumps(out))
""", offline=True)
    assert out["snapshot"] == got["folder"] and out["same"] and out["absent"] and not out["warnings"]
    assert out["files"] == sorted(p.rsplit("/")[-1] for p in files) and out["refs"] == [["main"]]
    assert len(hub.seen) == seen
    # Online it finds all of it there, too.
    client(python, hub, tmp_path, f"print(json.dumps(hf.snapshot_download(repo, allow_patterns={sorted(files)!r})))",
           offline=False)
    assert not [s for s in hub.seen[seen:] if "/cdn/" in s.path or ("/resolve/" in s.path and s.method == "GET")]


def test_pull_uses_what_the_python_client_got(octavo, hub, pull, python, files, tmp_path):
    folder = client(python, hub, tmp_path, "print(json.dumps(hf.snapshot_download(repo)))", offline=False)
    before = len(hub.seen)
    got = pull(NAME)
    assert got["folder"] == folder and got["downloaded_bytes"] == 0
    assert not [s for s in hub.seen[before:] if re.search("/resolve/|/cdn/", s.path)]
    octavo("import", NAME, "-o", tmp_path / "fp32", env=hub.environment(tmp_path, HF_HUB_OFFLINE="1"))


def test_pull_completes_what_the_python_client_began(octavo, hub, pull, python, files, tmp_path):
    client(python, hub, tmp_path, 'print(json.dumps(hf.hf_hub_download(repo, "model.safetensors")))', offline=False)
    # Nobody knows whether there is a pooling: asked for, not guessed.
    environment = hub.environment(tmp_path)
    octavo("import", NAME, "-o", tmp_path / "fp32", env=environment)
    assert (tmp_path / "fp32" / "1_Pooling" / "config.json").read_bytes() == files["1_Pooling/config.json"]
    got = pull(NAME)
    assert got["downloaded_bytes"] == 0


# --- names where a folder is taken --------------------------------------------------------------

def test_commands_take_names(octavo, hub, tiny, tmp_path, files):
    environment = hub.environment(tmp_path)
    octavo("import", NAME, "-o", tmp_path / "fp32", env=environment)
    octavo("import", tiny / "bert", "-o", tmp_path / "local")
    for file in (tmp_path / "local").rglob("*"):
        if file.is_file():
            assert (tmp_path / "fp32" / file.relative_to(tmp_path / "local")).read_bytes() == file.read_bytes(), file
    octavo("build", NAME, "-o", tmp_path / "int8", "--min-cos", "0", "--no-vanilla", env=environment)
    card = (tmp_path / "int8" / "README.md").read_text()
    assert f"octavo build {NAME} " in card and f"From {NAME} (" in card and str(tmp_path) not in card

    # What build wrote, published: embed and the others take it by name.
    root = tmp_path / "int8"
    hub.add("org/tiny-int8", {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()})
    expected = octavo("embed", root, "some words", "--json").stdout
    assert octavo("embed", "org/tiny-int8", "some words", "--json", env=environment).stdout == expected
    seen = len(hub.seen)
    assert octavo("embed", "org/tiny-int8", "some words", "--json", env=environment).stdout == expected
    octavo("inspect", "org/tiny-int8", "--json", env=environment)
    octavo("bench", "org/tiny-int8", "--lengths", "4", "--no-batches", "--seconds", "0.01", env=environment)
    octavo("verify", "org/tiny-int8", "--against", tmp_path / "fp32" / "model.onnx", env=environment)
    assert len(hub.seen) == seen, "what is cached needs no hub"

    # A folder of that name comes first.
    folder = tmp_path / "here" / "org" / "tiny-int8"
    shutil.copytree(root, folder)
    (folder / "model.int8.onnx").unlink()
    done = octavo("embed", "org/tiny-int8", "x", env=environment, cwd=tmp_path / "here", check=False)
    assert done.returncode == 3 and "org/tiny-int8: no model.int8.onnx" in done.stderr


def test_serve_takes_names(octavo, hub, tmp_path, tiny):
    from serving import Server
    octavo("import", tiny / "bert", "-o", tmp_path / "fp32")
    root = tmp_path / "fp32"
    hub.add("org/served", {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()})
    with Server("org/served", "other=org/served@main", environment=hub.environment(tmp_path)) as server:
        models = json.loads(server.get("/v1/models")[2])
        assert [m["id"] for m in models["data"]] == ["served", "other"]


def test_wrong_kinds_say_what_to_do(octavo, hub, tmp_path):
    environment = hub.environment(tmp_path)
    done = octavo("embed", NAME, "x", env=environment, check=False)
    refused(done, "has no ONNX model", f"octavo build {NAME}")
    hub.add("org/pickle", {"config.json": "{}", "pytorch_model.bin": b"x"})
    refused(octavo("import", "org/pickle", "-o", tmp_path / "o", env=environment, check=False), "pickle")
    refused(octavo("import", "no/such", "-o", tmp_path / "o", env=environment, check=False),
            "no such file or folder", "has no such model")
    before = len(hub.seen)
    for path in ("models/model.gguf", "./org/tiny", "folder"):
        octavo("import", path, "-o", tmp_path / "o", env=environment, check=False)
    assert len(hub.seen) == before, "these are paths"


# --- which files ----------------------------------------------------------------------------------

def test_gguf_and_shards(hub, pull):
    hub.add("org/one-gguf", {"a.Q8_0.gguf": b"GGUF1", "README.md": "x"})
    got = pull("org/one-gguf")
    assert got["source"].endswith("/a.Q8_0.gguf") and len(got["files"]) == 1
    hub.add("org/ggufs", {"a.Q8_0.gguf": b"GGUF1", "a.Q4_1.gguf": b"GGUF2"})
    refused(pull("org/ggufs", check=False), "--include", "a.Q4_1.gguf, a.Q8_0.gguf")
    assert pull("org/ggufs", "--include", "*Q4_1.gguf")["source"].endswith("/a.Q4_1.gguf")
    index = json.dumps({"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}})
    shards = {"model-00001-of-00002.safetensors": b"one", "model-00002-of-00002.safetensors": b"two",
              "other.safetensors": b"three", "model.safetensors.index.json": index, "config.json": "{}"}
    hub.add("org/shards", shards)
    assert sorted(f["name"] for f in pull("org/shards")["files"]) == sorted(set(shards) - {"other.safetensors"})
    assert pull("org/shards")["downloaded_bytes"] == 0
    hub.add("org/lost", {k: v for k, v in shards.items() if "00002" not in k or "index" in k})
    refused(pull("org/lost", check=False), "model.safetensors.index.json", "does not have")
    refused(pull(NAME, "--include", "*.tflite", check=False), "*.tflite", "model.safetensors")
    hub.page_size = 3
    assert pull("org/shards@main")["files"]
    assert hub.paths(like="cursor=3")


# --- faults ---------------------------------------------------------------------------------------

def test_a_cut_connection_goes_on(hub, pull, tmp_path):
    hub.faults += [fault("^/cdn/", cut_after(n, BIG)) for n in (1000, 30_000, 0, 20_000)]
    got = pull("org/big")
    assert (pathlib.Path(got["source"]) / "model.safetensors").read_bytes() == BIG
    starts = [int(re.match(r"bytes=(\d+)-", s.headers["range"])[1]) for s in hub.seen if s.path.startswith("/cdn/")]
    assert len(starts) == 3 + 4 and any(s % PIECE for s in starts), starts
    assert {s for s in starts if s % PIECE == 0} == {0, PIECE, 2 * PIECE}


def test_the_next_pull_goes_on(hub, pull, tmp_path):
    """Every connection is cut, again and again: it gives up, keeps what it has, and needs the rest only."""
    first = lambda s: s.path.startswith("/cdn/") and s.headers["range"].startswith("bytes=0-")
    # Some of a later piece comes too; a file that is read from its beginning cannot keep that.
    hub.faults.append(Fault(first, cut_after(1 << 20, BIG), 1))
    hub.faults.append(fault(r"^/cdn/", cut_after(1000, BIG), times=1))
    hub.faults.append(fault(r"^/cdn/", cut_after(0, BIG), times=1000))
    refused(pull("org/big", check=False), "broke off", "kept")
    nothing_appeared(tmp_path)
    partial = cache_of(tmp_path, "org/big") / "blobs" / (sha256(BIG) + ".incomplete")
    kept = partial.read_bytes()
    assert len(kept) >= 1 << 20 and BIG.startswith(kept)
    # As older Python clients leave it: a beginning of any length.
    partial.write_bytes(BIG[:PIECE + 17])
    hub.faults.clear()
    before = len(hub.seen)
    pull("org/big")
    asked = [s.headers["range"] for s in hub.seen[before:] if s.path.startswith("/cdn/")]
    assert sorted(asked) == sorted([f"bytes={PIECE + 17}-{2 * PIECE + 16}", f"bytes={2 * PIECE + 17}-{len(BIG) - 1}"])
    assert not partial.exists()


def test_killed_and_interrupted_pulls_keep_a_beginning(hub, tmp_path):
    partial = cache_of(tmp_path, "org/big") / "blobs" / (sha256(BIG) + ".incomplete")
    later = lambda s: s.path.startswith("/cdn/") and not s.headers["range"].startswith("bytes=0-")
    hub.faults.append(Fault(later, silent(60), 1000))
    for number in (signal.SIGKILL, signal.SIGTERM):
        process = subprocess.Popen([os.environ["OCTAVO_BIN"], "pull", "org/big"], env=hub.environment(tmp_path),
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.time() + 60
        while not (partial.exists() and partial.stat().st_size > 0) and time.time() < deadline:
            time.sleep(0.02)
        process.send_signal(number)
        assert process.wait(60) == -number
        kept = partial.read_bytes()
        assert kept and BIG.startswith(kept)
        nothing_appeared(tmp_path)


def test_a_wrong_hash_never_appears(hub, pull, tmp_path):
    wrong = bytes([BIG[0] ^ 1]) + BIG[1:]
    hub.blobs[sha256(BIG)] = wrong
    refused(pull("org/big", check=False), "model.safetensors", sha256(wrong), sha256(BIG), "pull again")
    nothing_appeared(tmp_path)
    assert not (cache_of(tmp_path, "org/big") / "blobs" / (sha256(BIG) + ".incomplete")).exists()
    hub.blobs[sha256(BIG)] = BIG
    shutil.rmtree(tmp_path / "hub")
    # A small file: its hash is that of a Git blob.
    hub.faults.append(fault("/resolve/.*/config.json", status(200, body=b"[]"), method="GET"))
    refused(pull("org/big", check=False), "config.json", "Git blob", git_sha1(b"{}"))
    cache = cache_of(tmp_path, "org/big")
    assert not (cache / "blobs" / git_sha1(b"{}")).exists() and not (cache / "snapshots").exists()
    pull("org/big")


def test_a_beginning_that_is_wrong_is_got_again(hub, pull, tmp_path):
    blobs = cache_of(tmp_path, "org/big") / "blobs"
    blobs.mkdir(parents=True)
    (blobs / (sha256(BIG) + ".incomplete")).write_bytes(b"x" * (PIECE + 5))
    got = pull("org/big")
    assert (pathlib.Path(got["source"]) / "model.safetensors").read_bytes() == BIG
    # All of it, or more than all.
    for damaged in (b"x" * len(BIG), b"x" * (len(BIG) + 1)):
        shutil.rmtree(cache_of(tmp_path, "org/big"))
        blobs.mkdir(parents=True)
        (blobs / (sha256(BIG) + ".incomplete")).write_bytes(damaged)
        pull("org/big")
        assert (blobs / sha256(BIG)).read_bytes() == BIG


def test_a_damaged_blob_is_replaced(hub, pull, tmp_path):
    pull("org/big")
    blob = cache_of(tmp_path, "org/big") / "blobs" / sha256(BIG)
    blob.write_bytes(BIG[:1000])
    assert pull("org/big")["downloaded_bytes"] == len(BIG)
    assert blob.read_bytes() == BIG


def test_a_wrong_size(hub, pull, tmp_path):
    def lie(by, entries=hub.tree):
        def tree(repository):
            out = entries(repository)
            for entry in out:
                if "lfs" in entry:
                    entry["size"] += by
                    entry["lfs"]["size"] += by
            return out
        return tree

    hub.tree = lie(+1)
    refused(pull("org/big", check=False), "model.safetensors", "bytes", "in the hub's list")
    nothing_appeared(tmp_path)
    # Without X-Linked-Size only the bytes themselves tell.
    plain = lambda handler: handler.reply(302, b"", {
        "X-Linked-Etag": f'"{sha256(BIG)}"', "Location": f"{hub.store}/cdn/{sha256(BIG)}?sig=s1"})
    hub.faults.append(fault("/resolve/.*safetensors", plain, times=100, method="HEAD"))
    refused(pull("org/big", check=False), "model.safetensors", str(len(BIG) + 1))
    nothing_appeared(tmp_path)
    hub.tree = lie(-1, hub.repositories["org/big"]["main"].__class__.tree)
    refused(pull("org/big", check=False), "model.safetensors")
    nothing_appeared(tmp_path)


def test_endless_bodies_are_left(hub, pull, tmp_path):
    hub.faults.append(fault("^/cdn/", endless, times=100))
    hub.ranges = False
    refused(pull("org/big", check=False), "sends more than", "was left")
    assert sum(p.stat().st_size for p in (cache_of(tmp_path, "org/big") / "blobs").glob("*safe*")) <= len(BIG)
    nothing_appeared(tmp_path)
    hub.faults[:] = [fault("^/api/", endless, times=100)]
    refused(pull("org/big", check=False), "answers with more than")


def test_servers_without_ranges(hub, pull, tmp_path):
    hub.ranges = False
    got = pull("org/big")
    assert (pathlib.Path(got["source"]) / "model.safetensors").read_bytes() == BIG
    # Nor do they hinder going on: from the first byte, skipping what is there.
    shutil.rmtree(cache_of(tmp_path, "org/big"))
    whole = lambda s: s.path.startswith("/cdn/") and "range" not in s.headers
    hub.faults += [Fault(whole, cut_after(n, BIG), 1) for n in (5 << 20, 1000, 11 << 20)]
    got = pull("org/big")
    assert (pathlib.Path(got["source"]) / "model.safetensors").read_bytes() == BIG


def test_429_and_5xx_pass(hub, pull):
    hub.faults.append(fault("/revision/", status(429, {"Retry-After": "2"})))
    hub.faults += [fault("/tree/", status(number)) for number in (500, 502, 503)]
    hub.faults.append(fault("/resolve/", status(504), times=2))
    hub.faults.append(fault("^/cdn/", status(429, {"Retry-After": "0"})))
    begin = time.monotonic()
    assert pull("org/big")["downloaded_bytes"] > len(BIG)
    assert time.monotonic() - begin > 2 + 0.5 + 1 + 2


def test_they_are_not_waited_for_without_end(hub, pull, tmp_path):
    hub.faults.append(fault("/revision/", status(503), times=1000))
    refused(pull("org/big", check=False), "HTTP 503", "try again later")
    assert len(hub.paths(like="/revision/")) == 5
    hub.faults[:] = [fault("/revision/", status(429, {"Retry-After": "86400"}), times=1000)]
    begin = time.monotonic()
    refused(pull("org/big", check=False), "too many requests", "86400 s", "token")
    assert time.monotonic() - begin < 100
    hub.faults[:] = [fault("^/cdn/", status(500), times=1000)]
    refused(pull("org/big", check=False), "HTTP 500")
    nothing_appeared(tmp_path)
    # One file that cannot be had ends the others' waiting, too.
    hub.faults[:] = [fault("/resolve/", api_error(404, "EntryNotFound"), times=1),
                     fault("/resolve/", status(503, {"Retry-After": "250"}), times=1000)]
    begin = time.monotonic()
    assert pull("org/big", check=False).returncode == 3
    assert time.monotonic() - begin < 200


def test_silence_is_a_broken_connection(hub, pull):
    hub.faults.append(fault("^/cdn/", silent(600), times=1))
    hub.faults.append(fault("/revision/", silent(600), times=1))
    begin = time.monotonic()
    pull("org/big", HF_HUB_DOWNLOAD_TIMEOUT="3")
    assert time.monotonic() - begin < 300


def test_signed_addresses_expire(hub, pull):
    def expire(handler):
        hub.signature = "s2"
        return False

    hub.faults.append(fault("^/cdn/", expire, times=1))
    assert pull("org/big")["downloaded_bytes"] > len(BIG)
    assert "sig=s1" in hub.paths(like="^/cdn/")[0] and "sig=s2" in hub.paths(like="^/cdn/")[-1]


# --- who may what ---------------------------------------------------------------------------------

def test_the_token_stays_with_the_hub(hub, pull, tmp_path):
    hub.token = "hf_secret"
    pull("org/big", HF_TOKEN="hf_secret")
    on_hub = [s for s in hub.seen if s.host == "127.0.0.1"]
    elsewhere = [s for s in hub.seen if s.host == "127.0.0.2"]
    assert on_hub and all(s.headers.get("authorization") == "Bearer hf_secret" for s in on_hub)
    assert elsewhere and not any("secret" in str(s.headers) for s in elsewhere)
    # The token file is as good.
    (tmp_path / "token").write_text("hf_secret\n")
    assert pull(NAME)["downloaded_bytes"] > 0
    # Documents are the hub's own: a redirect of these to another host is not followed at all.
    away = status(302, {"Location": hub.store + "/api/models/org/big/revision/main"})
    hub.faults.append(fault("/revision/", away, times=100))
    count = len([s for s in hub.seen if s.host == "127.0.0.2"])
    refused(pull("org/big", check=False), "HTTP 302", "HF_ENDPOINT")
    assert len([s for s in hub.seen if s.host == "127.0.0.2"]) == count
    hub.faults[:] = [fault("/revision/", status(307, {"Location": "/api/models/org/big/revision/main"}), times=100)]
    refused(pull("org/big", check=False), "HTTP 307")
    hub.faults[:] = [fault("/revision/", status(307, {"Location": "/api/models/org/big/revision/main"}), times=1)]
    pull("org/big")


def test_access(hub, pull):
    cases = [
        (api_error(401, "GatedRepo"), {}, "is gated; accept its terms at", "no token is set"),
        (api_error(403, "GatedRepo"), {"HF_TOKEN": "hf_x"}, "is gated; accept its terms at", "that of HF_TOKEN"),
        (api_error(401, "RepoNotFound", "Repository not found"), {}, "has no such model, or it is private", "HF_TOKEN"),
        (api_error(401, "", "Invalid credentials in Authorization header"), {"HF_TOKEN": "hf_x"},
         "the token of HF_TOKEN", "is not valid"),
        (api_error(403, "", "Forbidden"), {"HF_TOKEN": "hf_x"}, "HTTP 403", "access is refused"),
        (status(200, body=b"<html>a portal</html>"), {}, "/revision/main"),
        (status(200, body=b'{"sha": "../../x"}'), {}, "tells no commit", "HF_ENDPOINT"),
    ]
    for action, environment, *says in cases:
        hub.faults[:] = [fault("/revision/", action)]
        done = pull("org/big", check=False, **environment)
        refused(done, *says)
        assert "hf_x" not in done.stderr
    # Terms are asked about where the files are.
    hub.faults[:] = [fault("/resolve/", api_error(403, "GatedRepo"), times=100)]
    refused(pull("org/big", check=False), f"is gated; accept its terms at {hub.endpoint}/org/big")
    hub.faults.clear()
    refused(pull("no/such", check=False), "no/such", "has no such model")
    refused(pull("org/big@v9", check=False), "no such revision", "v9")


def test_names_on_the_command_line(octavo, hub, tmp_path):
    for bad in ("big", "../big", "a/b/c", "org/..", "org/big@../x", ""):
        done = octavo("pull", bad, env=hub.environment(tmp_path), check=False)
        assert done.returncode == 2 and "name of a model" in done.stderr or "no revision" in done.stderr, done.stderr
    assert hub.seen == []


@pytest.mark.parametrize("name", ["../evil", "/tmp/octavo-evil", "a/../../evil", "..\\evil", "a/./b", "a\nb", "./evil"])
def test_hostile_file_names(hub, pull, tmp_path, name):
    entry = {"type": "file", "oid": git_sha1(b"evil"), "size": 4, "path": name}
    hub.tree = lambda repository: [entry, *repository.tree()]
    refused(pull("org/big", check=False), "leads out of the folder")
    assert not [p for p in (tmp_path / "hub").rglob("*") if p.is_file()] if (tmp_path / "hub").exists() else True
    assert not pathlib.Path("/tmp/octavo-evil").exists()


def test_hostile_etags_and_commits(hub, pull, tmp_path):
    for headers in ({"ETag": '"../../../evil"'}, {"ETag": '".."'}, {"ETag": '""'}, {},
                    {"ETag": f'"{git_sha1(b"{}")}"', "X-Repo-Commit": "0" * 40}):
        hub.faults[:] = [fault("/resolve/.*config.json", status(200, headers, b"{}"), times=10, method="HEAD")]
        refused(pull("org/big", check=False), "config.json", "HF_ENDPOINT")
        nothing_appeared(tmp_path)
    hub.faults[:] = [fault("/resolve/.*safetensors", status(200, {"ETag": '"%s"' % ("0" * 64)}), times=10, method="HEAD")]
    refused(pull("org/big", check=False), "SHA-256", sha256(BIG))


# --- network and disk -----------------------------------------------------------------------------

def test_offline(octavo, hub, pull, tmp_path):
    done = pull(NAME, check=False, HF_HUB_OFFLINE="1")
    refused(done, NAME, str(tmp_path / "hub"), "HF_HUB_OFFLINE")
    assert hub.seen == []
    pulled = pull(NAME)
    seen = len(hub.seen)
    got = pull(NAME, HF_HUB_OFFLINE="1")
    assert got["downloaded_bytes"] == 0 and len(got["files"]) == len(pulled["files"])
    octavo("import", NAME, "-o", tmp_path / "fp32", env=hub.environment(tmp_path, HF_HUB_OFFLINE="1"))
    assert len(hub.seen) == seen


def test_unreachable(octavo, hub, pull, tmp_path):
    refused(pull(NAME, check=False, HF_ENDPOINT="http://127.0.0.1:1"), "http://127.0.0.1:1", "cannot be reached",
            "HTTPS_PROXY")
    refused(pull(NAME, check=False, HF_ENDPOINT="ftp://127.0.0.1"), "HF_ENDPOINT")
    pull(NAME)
    # What is cached needs nobody.
    octavo("import", NAME, "-o", tmp_path / "fp32", env=hub.environment(tmp_path, HF_ENDPOINT="http://127.0.0.1:1"))


def test_tls_is_verified(files, tmp_path, octavo):
    key = tmp_path / "key.pem"
    made = subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=x",
                           "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", tmp_path / "cert.pem"],
                          capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    both = tmp_path / "both.pem"
    both.write_text(key.read_text() + (tmp_path / "cert.pem").read_text())
    with FakeHub(certificate=both) as hub:
        hub.add(NAME, files, lfs=set())
        refused(octavo("pull", NAME, env=hub.environment(tmp_path), check=False), "certificate", "SSL_CERT_FILE")
        assert hub.seen == []
        octavo("pull", NAME, env=hub.environment(tmp_path, SSL_CERT_FILE=str(tmp_path / "cert.pem")))
        # From https nothing leads back to http.
        hub.faults.append(fault("/resolve/", status(302, {"Location": hub.store + "/cdn/x", "ETag": '"a"'}), times=100))
        shutil.rmtree(tmp_path / "hub")
        refused(octavo("pull", NAME, env=hub.environment(tmp_path, SSL_CERT_FILE=str(tmp_path / "cert.pem")),
                       check=False), "https to http")
        # The name counts, too: another address of the same server.
        wrong = hub.endpoint.replace("127.0.0.1", "localhost")
        refused(octavo("pull", NAME, env=hub.environment(tmp_path, SSL_CERT_FILE=str(tmp_path / "cert.pem"),
                                                         HF_ENDPOINT=wrong), check=False), "localhost")


def test_proxies(hub, pull):
    """The hub's own server stands for a proxy: what it is asked for are whole addresses."""
    pull(NAME, HF_ENDPOINT="http://hub.invalid", http_proxy=hub.endpoint)
    assert hub.paths(like="^http://hub.invalid/api/models/org/tiny/revision/main")


def test_a_full_disk(hub, tmp_path):
    """A limit on the size of files stands for it: write() gives EFBIG where that gives ENOSPC."""
    done = subprocess.run([os.environ["OCTAVO_BIN"], "pull", "org/big"], env=hub.environment(tmp_path),
                          capture_output=True, text=True, restore_signals=False,
                          preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (PIECE + 99, PIECE + 99)))
    refused(done, "model.safetensors", "cannot be written", "HF_HUB_CACHE", "kept")
    nothing_appeared(tmp_path)
    partial = cache_of(tmp_path, "org/big") / "blobs" / (sha256(BIG) + ".incomplete")
    assert partial.read_bytes() == BIG[:PIECE + 99]
    # Known before the first byte.
    hub.tree = lambda repository: [{**e, **({"size": 1 << 49, "lfs": {**e["lfs"], "size": 1 << 49}} if "lfs" in e else {})}
                                   for e in repository.tree()]
    plain = lambda handler: handler.reply(302, b"", {
        "X-Linked-Etag": f'"{sha256(BIG)}"', "Location": f"{hub.store}/cdn/{sha256(BIG)}?sig=s1"})
    hub.faults.append(fault("/resolve/.*safetensors", plain, times=100, method="HEAD"))
    before = len(hub.seen)
    done = subprocess.run([os.environ["OCTAVO_BIN"], "pull", "org/big"], env=hub.environment(tmp_path),
                          capture_output=True, text=True)
    refused(done, "org/big needs", "are free", "HF_HUB_CACHE")
    assert not [s for s in hub.seen[before:] if s.path.startswith("/cdn/")]


def test_a_cache_that_cannot_be_written(hub, octavo, tmp_path):
    (tmp_path / "hub").write_text("no folder")
    refused(octavo("pull", NAME, env=hub.environment(tmp_path), check=False), str(tmp_path / "hub"), "HF_HUB_CACHE")


def test_two_pulls_at_once(hub, tmp_path):
    slow = lambda handler: (time.sleep(0.3), False)[1]
    hub.faults.append(fault("^/cdn/", slow, times=100))
    both = [subprocess.Popen([os.environ["OCTAVO_BIN"], "pull", "org/big", "--json"], env=hub.environment(tmp_path),
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    done = [p.communicate(timeout=120) for p in both]
    assert [p.returncode for p in both] == [0, 0, 0], done
    assert sorted(json.loads(out)["downloaded_bytes"] > 0 for out, _ in done) == [False, False, True]
    assert len(hub.paths(like="^/cdn/")) == 3, "each piece once"
    assert (cache_of(tmp_path, "org/big") / "blobs" / sha256(BIG)).read_bytes() == BIG


def test_pulls_beside_the_python_client(hub, clients_python, tmp_path):
    """Both at once: whoever is second finds the blob there."""
    slow = lambda handler: (time.sleep(0.3), False)[1]
    hub.faults.append(fault("^/cdn/", slow, times=100))
    process = subprocess.Popen([os.environ["OCTAVO_BIN"], "pull", "org/big"], env=hub.environment(tmp_path),
                               stdout=subprocess.DEVNULL)
    clients_python('import huggingface_hub as hf; hf.snapshot_download("org/big")', env=hub.environment(tmp_path))
    assert process.wait(120) == 0
    assert (cache_of(tmp_path, "org/big") / "blobs" / sha256(BIG)).read_bytes() == BIG
    assert not list((tmp_path / "hub").rglob("*.incomplete"))


def test_progress_is_for_terminals(hub, tmp_path):
    process, shown = shown_on_terminal(lambda it: subprocess.Popen(
        [os.environ["OCTAVO_BIN"], "pull", "org/big"], env=hub.environment(tmp_path), stdout=subprocess.PIPE, stderr=it, text=True))
    printed, _ = process.communicate(timeout=120)
    assert process.returncode == 0 and "model.safetensors" in printed
    assert re.search(rb"pull \[#+\.*\] .* of 16\.9 MB, .*/s", shown), shown[-300:]
