"""octavo.Embedder: the bits of octavo embed, from any thread, interruptible, in any amount."""
import inspect
import json
import multiprocessing
import os
import pickle
import random
import re
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

WORDS = ["alpha", "beta", "gamma", "delta", "one", "two", "\u00fcber", "\u4f60\u597d", "\U0001f600"]


def some_texts(count, seed=1):
    draw = random.Random(seed)
    return [" ".join(draw.choices(WORDS, k=draw.randint(0, 9))) for _ in range(count)]


@pytest.fixture(scope="module")
def embedder(model):
    return octavo.Embedder(model)


def same(got, expected):
    return got.dtype == expected.dtype and got.shape == expected.shape and got.tobytes() == expected.tobytes()


# Both ways through the extension: at once, and in batches between which Ctrl-C is looked for.
@pytest.mark.parametrize("count", [1, 5, 64, 65, 3000])
@pytest.mark.parametrize("given, flags", [
    ({}, []),
    ({"normalize": False}, ["--no-normalize"]),
    ({"dimensions": 8}, ["--dimensions", 8]),
    ({"max_length": 5}, ["--max-length", 5]),
    ({"batch_tokens": 16}, []),
])
@pytest.mark.filterwarnings("ignore::octavo.TruncationWarning")
def test_the_bits_of_the_program(embedder, model, embed, count, given, flags):
    texts = some_texts(count)
    assert same(embedder.encode(texts, **given), embed(model, texts, *flags))


def test_prompts(qwen3, embed):
    embedder = octavo.Embedder(qwen3, model_file="model.onnx", threads=1)
    texts = some_texts(20)
    assert embedder.prompt_names == ["document", "query"]
    assert same(embedder.encode(texts, prompt_name="query"), embed(qwen3, texts, "--prompt-name", "query"))
    assert not same(embedder.encode(texts, prompt_name="query"), embedder.encode(texts))


def test_what_the_files_say(qwen3, model, tmp_path):
    embedder = octavo.Embedder(qwen3)
    assert embedder.prompts == {"query": "Instruct: find it\nQuery:", "document": ""} and embedder.default_prompt_name is None
    assert embedder.folder == qwen3 and embedder.similarity_fn_name is None
    bare = octavo.Embedder(model)
    assert bare.prompts == {} and bare.prompt_names == [] and bare.folder == model
    folder = tmp_path / "said"
    shutil.copytree(model, folder)
    settings = folder / "config_sentence_transformers.json"
    settings.write_text(json.dumps({"prompts": {"q": "\u00fc: ", "none": None}, "default_prompt_name": "q", "similarity_fn_name": "dot"}))
    said = octavo.Embedder(folder)
    assert (said.prompts, said.default_prompt_name, said.similarity_fn_name) == ({"q": "\u00fc: "}, "q", "dot")
    for wrong, words in (("[]", "is not an object"), ('{"prompts": {"q": 3}}', 'prompt "q" is not a string'), ("{", "syntax error")):
        settings.write_text(wrong)
        with pytest.raises(octavo.InvalidInputError, match=f"config_sentence_transformers.json: .*{words}"):
            octavo.Embedder(folder)


def test_a_literal_prompt(qwen3, embed, tmp_path):
    """It takes the place of every prompt of the model, also of the default one."""
    folder = tmp_path / "defaulted"
    shutil.copytree(qwen3, folder)
    (folder / "config_sentence_transformers.json").write_text(
        json.dumps({"prompts": {"query": "Q: ", "bare": ""}, "default_prompt_name": "query"}))
    plain, defaulted = octavo.Embedder(qwen3), octavo.Embedder(folder)
    for texts in (some_texts(20), some_texts(70)):  # at once and in batches
        said = embed(qwen3, ["Say: " + text for text in texts])
        assert same(defaulted.encode(texts), embed(qwen3, ["Q: " + text for text in texts]))
        for one in (plain, defaulted):
            assert same(one.encode(texts, prompt="Say: "), said) and same(one.encode(texts, prompt=""), plain.encode(texts))
            assert same(np.concatenate(list(one.encode_stream(texts, rows=50, prompt="Say: "))), said)
    for wrong, error, message in ((3, TypeError, "prompt is no str but a int"),
                                  ("\ud83d", octavo.InvalidInputError, "prompt has half of a surrogate pair")):
        with pytest.raises(error, match=message):
            plain.encode(["a"], prompt=wrong)
    with pytest.raises(octavo.InvalidInputError, match='a prompt, and the prompt name "query": give one of both'):
        plain.encode(["a"], prompt="Say: ", prompt_name="query")


def test_node_by_node(model, embed):
    embedder = octavo.Embedder(model, exact_onnx=True, batch_tokens=64, cache=False)
    assert embedder.explain() == "runs node by node, as asked"
    texts = some_texts(200)
    assert same(embedder.encode(texts), embed(model, texts, "--exact-onnx"))


def test_shapes(embedder):
    assert embedder.dim == 36 and embedder.max_length > 8
    vectors = embedder.encode(iter(["a", "b"]))
    assert vectors.shape == (2, 36) and vectors.dtype == np.float32
    one = embedder.encode("a")
    assert one.shape == (36,) and same(one, vectors[0])
    assert embedder.encode([]).shape == (0, 36)
    assert embedder.encode([], dimensions=4, dtype="ubinary").shape == (0, 1)
    assert embedder.encode(np.array(["a", "b"])).tobytes() == vectors.tobytes()
    assert repr(embedder).endswith("dim=36, max_length=%d)" % embedder.max_length)


@pytest.mark.parametrize("count", [3, 300])
def test_the_array_is_the_memory_that_was_computed_in(embedder, count):
    vectors = embedder.encode(some_texts(count))
    assert not vectors.flags.owndata and vectors.flags.c_contiguous and vectors.flags.writeable
    base = vectors
    while isinstance(base, (np.ndarray, memoryview)):
        base = base.base if isinstance(base, np.ndarray) else base.obj
    assert type(base).__name__ == "nb_ndarray"  # nanobind's, which holds C++'s
    vectors += 1  # and it is the caller's


def test_fewer_bits(embedder):
    texts = some_texts(100)
    vectors = embedder.encode(texts)
    assert same(embedder.encode(texts, dtype="float16"), vectors.astype(np.float16))
    narrow = embedder.encode(texts, dtype="int8")
    assert narrow.dtype == np.int8 and np.abs(narrow).max(axis=1).tolist() == [127] * len(texts)
    cosines = (narrow * vectors).sum(1) / np.linalg.norm(narrow, axis=1) / np.linalg.norm(vectors, axis=1)
    assert cosines.min() > 0.9995
    assert same(embedder.encode(texts[7], dtype="int8"), narrow[7])
    # As sentence-transformers' quantize_embeddings spells them.
    bits = np.packbits(vectors[:, :32] > 0).reshape(len(texts), -1)
    raw = embedder.encode(texts, dimensions=32, dtype="ubinary")
    assert same(raw, bits)
    assert same(embedder.encode(texts, dimensions=32, dtype="binary"), (bits - 128).astype(np.int8))
    assert embedder.encode(texts, dtype="ubinary").shape == (100, 5)  # 36 bits
    # The same of vectors that are there already.
    for dtype in ("float32", "float16", "int8", "binary", "ubinary"):
        assert same(octavo.as_dtype(vectors, dtype), embedder.encode(texts, dtype=dtype))
        assert same(octavo.as_dtype(vectors[7], dtype), embedder.encode(texts[7], dtype=dtype))
    for wrong, dtype, said in ((vectors[None], "int8", "shape (1, 100, 36)"), (narrow, "binary", "vectors are int8"), (vectors, "int4", "can be")):
        with pytest.raises(octavo.InvalidInputError, match=re.escape(said)):
            octavo.as_dtype(wrong, dtype)


def test_many_threads(embedder):
    texts = some_texts(400)
    expected = embedder.encode(texts)
    failures = []

    def work(seed):
        order = random.Random(seed).sample(range(len(texts)), len(texts))
        for at in range(0, len(order), 100):
            part = order[at:at + 100]
            if not same(embedder.encode([texts[i] for i in part]), expected[part]):
                failures.append(seed)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


@pytest.mark.parametrize("texts", [["word " * 3000], ["alpha beta gamma"] * 20000])
@pytest.mark.filterwarnings("ignore::octavo.TruncationWarning")
def test_other_threads_run_meanwhile(embedder, texts):
    """Without the GIL: a thread that sleeps a millisecond at a time gets through all along."""
    ticks, done = [], threading.Event()

    def tick():
        while not done.is_set():
            ticks.append(time.monotonic())
            time.sleep(0.001)

    thread = threading.Thread(target=tick)
    thread.start()
    begin = time.monotonic()
    while time.monotonic() - begin < 0.3:
        embedder.encode(texts)
    end = time.monotonic()
    done.set()
    thread.join()
    inside = [t for t in ticks if begin <= t <= end]
    assert len(inside) > 30 and max(b - a for a, b in zip(inside, inside[1:])) < 0.5 * (end - begin)


INTERRUPTED = """
import sys, octavo
embedder = octavo.Embedder(sys.argv[1])
def forever():
    while True:
        yield "alpha beta gamma delta"
try:
    if sys.argv[2] == "encode":
        print("go", flush=True)
        embedder.encode(["alpha beta gamma delta"] * 2_000_000)
    else:
        for n, vectors in enumerate(embedder.encode_stream(forever())):
            if n == 2:
                print("go", flush=True)
except KeyboardInterrupt:
    print("interrupted", embedder.encode(["and on"]).shape, flush=True)
"""


@pytest.mark.parametrize("how", ["encode", "stream"])
def test_ctrl_c(model, how):
    process = subprocess.Popen([sys.executable, "-c", INTERRUPTED, str(model), how], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "go\n"
    time.sleep(1.5)  # 2 million texts are strings by then
    assert process.poll() is None, "it was done before it could be interrupted"
    begin = time.monotonic()
    process.send_signal(signal.SIGINT)
    assert process.stdout.read() == "interrupted (1, 36)\n"
    assert process.wait(60) == 0 and time.monotonic() - begin < 10


def test_streams(embedder):
    texts = some_texts(1000)
    arrays = list(embedder.encode_stream(iter(texts), rows=300))
    assert [len(a) for a in arrays] == [300, 300, 300, 100]
    assert same(np.concatenate(arrays), embedder.encode(texts))
    assert list(embedder.encode_stream([])) == []
    options = {"normalize": False, "dimensions": 8, "dtype": "int8"}
    assert same(next(embedder.encode_stream(texts, rows=7, **options)), embedder.encode(texts[:7], **options))


def test_a_stream_reads_no_further_than_it_must(embedder):
    seen, threads = [], set()

    def texts():
        for i in range(10**9):
            seen.append(i)
            threads.add(threading.get_ident())
            yield f"text {i}"

    stream = embedder.encode_stream(texts(), rows=10)
    for n in range(1, 20):
        next(stream)
        assert len(seen) <= 10 * (n + 1)
    stream.close()
    assert threads == {threading.get_ident()}
    assert not any(t.name.startswith("octavo-stream") for t in threading.enumerate())


def test_a_stream_ends_with_what_its_texts_raise(embedder):
    def texts():
        yield from ["a"] * 25
        raise ZeroDivisionError

    stream = embedder.encode_stream(texts(), rows=10)
    assert len(next(stream)) == 10
    with pytest.raises(ZeroDivisionError):
        list(stream)
    stream = embedder.encode_stream(["a"] * 15 + [None] + ["a"] * 100, rows=10)
    assert len(next(stream)) == 10
    with pytest.raises(TypeError, match="texts 11 to 20 of the stream: text 6 is no str but a NoneType"):
        next(stream)
    for given, error in (({"rows": 0}, octavo.InvalidInputError), ({"dtype": "int4"}, octavo.InvalidInputError)):
        with pytest.raises(error):
            embedder.encode_stream(["a"], **given)
    with pytest.raises(TypeError, match="is a str"):
        embedder.encode_stream("a")


def test_cut_texts_are_said(embedder):
    with pytest.warns(octavo.TruncationWarning, match=r"2 of 3 .* cut: text 1 \(52 tokens, 8 used\), text 3 ") as said:
        embedder.encode(["one " * 50, "a", "two " * 30], max_length=8)
    assert said[0].filename == __file__
    with pytest.warns(octavo.TruncationWarning, match=r"1 of 5 .*: text 7 \(") as said:
        list(embedder.encode_stream(["a"] * 6 + ["one " * 50] + ["a"] * 3, rows=5, max_length=8))
    assert said[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        embedder.encode(["a"])


def test_guesses_are_said(program, tiny, tmp_path):
    program("import", tiny / "llama", "-o", tmp_path)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        embedder = octavo.Embedder(tmp_path)
    assert "pooling guessed: last token" in embedder.warnings[0] and said[0].filename == __file__
    assert [(w.category, str(w.message)) for w in said] == [(octavo.ModelWarning, text) for text in embedder.warnings]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pickle.loads(pickle.dumps(embedder))  # who opened the first one knows


def test_progress(embedder, capsys):
    embedder.encode(some_texts(20000), show_progress=True)
    drawn = capsys.readouterr().err
    assert re.match(r"\r\x1b\[Kembed +\d+%", drawn) and drawn.endswith("\r\x1b[K")
    list(embedder.encode_stream(some_texts(3000), rows=1000, show_progress=True))
    assert re.match(r"\r\x1b\[Kembed 1,000 texts", capsys.readouterr().err)
    embedder.encode(some_texts(20000))
    assert capsys.readouterr().err == ""


def _encode(pair):
    embedder, texts = pair
    return embedder.encode(texts)


def test_pickle(model, embedder, monkeypatch):
    texts = some_texts(10)
    monkeypatch.chdir(model.parent)
    relative = octavo.Embedder(model.name, threads=1, batch_tokens=256)
    monkeypatch.chdir("/")
    again = pickle.loads(pickle.dumps(relative))
    assert repr(again) == repr(relative) and same(again.encode(texts), embedder.encode(texts))
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        for got in pool.map(_encode, [(embedder, texts), (relative, texts)]):
            assert same(got, embedder.encode(texts))


def test_fork(embedder):
    expected = embedder.encode(some_texts(100))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forking beside threads, from 3.12 on
        child = os.fork()
    if child == 0:
        os._exit(0 if same(embedder.encode(some_texts(100)), expected) else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_a_class_for_every_code():
    """Those of octavo/result.h, and the library's error reaches the class of its code."""
    header = (SOURCE / "include" / "octavo" / "result.h").read_text()
    codes = re.findall(r"^  (\w+)", re.search(r"enum class Code[^{]*\{(.*?)\}", header, re.S)[1], re.M)
    classes = [value for value in vars(octavo).values() if inspect.isclass(value) and issubclass(value, octavo.Error)]
    names = {re.sub(r"(?<=.)([A-Z])", r"_\1", c.__name__.removesuffix("Error")).lower() for c in classes} - {""}
    assert len(codes) == 6 and names == set(codes)


@pytest.mark.parametrize("use, error, message", [
    (lambda e, m: octavo.Embedder(m / "none"), octavo.NotFoundError, "none: no such file or folder; a model on the hub is called org/name"),
    (lambda e, m: octavo.Embedder(m, model_file="x.onnx"), octavo.NotFoundError, "x.onnx"),
    (lambda e, m: octavo.Embedder(m, batch_tokens=2**24 + 1), octavo.InvalidInputError, "at most 16777216"),
    (lambda e, m: octavo.Embedder(m, threads=0), octavo.InvalidInputError, "threads is 0"),
    (lambda e, m: e.encode(["a"], prompt_name="passage"), octavo.NotFoundError, 'no prompt named "passage"'),
    (lambda e, m: e.encode(["a"], dimensions=37), octavo.InvalidInputError, "the model has 36"),
    (lambda e, m: e.encode(["a"] * 100, dimensions=37), octavo.InvalidInputError, "the model has 36"),
    (lambda e, m: e.encode([], dimensions=37), octavo.InvalidInputError, "the model has 36"),
    (lambda e, m: e.encode(["a"], dimensions=-1), octavo.InvalidInputError, "dimensions is -1"),
    (lambda e, m: e.encode(["a"], batch_tokens=2**24 + 1), octavo.InvalidInputError, "at most 16777216"),
    (lambda e, m: e.encode(["a"], max_length=1), octavo.InvalidInputError, "2 special tokens"),
    (lambda e, m: e.encode(["a"] * 100, max_length=1), octavo.InvalidInputError, "2 special tokens"),
    (lambda e, m: e.encode(["a"], dtype="int4"), octavo.InvalidInputError, "it can be float32, float16"),
    (lambda e, m: e.encode(["a", "b\ud83d"]), octavo.InvalidInputError, "text 2 has half of a surrogate pair"),
    (lambda e, m: e.encode(["a", 3.5]), TypeError, "text 2 is no str but a float"),
    (lambda e, m: e.encode([b"a"]), TypeError, "text 1 is no str but a bytes"),
    (lambda e, m: e.encode(None), TypeError, "not iterable"),
])
def test_errors(embedder, model, use, error, message):
    with pytest.raises(error, match=re.escape(message)) as raised:
        use(embedder, model)
    assert issubclass(error, octavo.Error) or raised.type is TypeError
    assert same(embedder.encode(["a"] * 70), embedder.encode(["a"] * 70))  # and goes on


def test_errors_are_pythons_too(model):
    for error, base in ((octavo.InvalidInputError, ValueError), (octavo.NotFoundError, LookupError),
                        (octavo.IoError, OSError), (octavo.OutOfMemoryError, MemoryError)):
        assert issubclass(error, base)
    again = pickle.loads(pickle.dumps(octavo.IoError("disk full")))
    assert type(again) is octavo.IoError and str(again) == "disk full"


def test_names_on_the_hub(model, tmp_path, monkeypatch):
    """What lies in the cache of the Python hub client is found by its name, offline; test_hub.py has the rest."""
    commit = "0123456789" * 4
    repository = tmp_path / "hub" / "models--org--tiny"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(commit)
    (repository / "snapshots").mkdir()
    os.symlink(model, repository / "snapshots" / commit)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.chdir(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", octavo.ModelWarning)
        embedder = octavo.Embedder("org/tiny")
        again = pickle.loads(pickle.dumps(embedder))
    for one in (embedder, again):
        assert same(one.encode(["a"]), octavo.Embedder(model).encode(["a"]))
    with pytest.raises(octavo.NotFoundError, match="org/none: no such file or folder, .* is not in the cache .*HF_HUB_OFFLINE"):
        octavo.Embedder("org/none")


def test_the_version(program):
    assert program("--version").stdout == f"octavo {octavo.__version__}\n"
    assert all(hasattr(octavo, name) for name in octavo.__all__)
