"""octavo.sentence_transformers: the bits of octavo embed without torch, and answers like those of the real
SentenceTransformer with the same weights."""
import json
import os
import pickle
import shutil
import sys

import numpy as np
import pytest

import octavo
from conftest import SOURCE
from octavo.sentence_transformers import SentenceTransformer

TEXTS = ["find me", "or me", "cats and dogs", "\u00fcber \u4f60\u597d", ""]
QUERY = "Instruct: find it\nQuery:"


def same(got, expected):
    return got.dtype == expected.dtype and got.shape == expected.shape and got.tobytes() == expected.tobytes()


@pytest.fixture(scope="module")
def ours(qwen3):
    return SentenceTransformer(qwen3, threads=1)


def copy_of(model, folder, settings, pooling=None):
    shutil.copytree(model, folder)
    (folder / "config_sentence_transformers.json").write_text(json.dumps(settings))
    if pooling:
        file = folder / "1_Pooling" / "config.json"
        file.write_text(json.dumps({**json.loads(file.read_text()), **pooling}))
    return folder


def test_the_bits_of_the_program(ours, qwen3, embed):
    plain, queries = embed(qwen3, TEXTS), embed(qwen3, TEXTS, "--prompt-name", "query")
    assert same(ours.encode(TEXTS), plain) and not same(plain, queries)
    assert same(ours.encode_query(TEXTS), queries) and same(ours.encode(inputs=TEXTS, prompt_name="query"), queries)
    assert same(ours.encode(TEXTS, None, QUERY), queries) and same(ours.encode(TEXTS, prompt=QUERY), queries)
    assert same(ours.encode_document(TEXTS), plain) and same(ours.encode_document(TEXTS, "query"), queries)
    assert same(ours.encode_query(TEXTS, prompt=""), plain) and same(ours.encode_query(TEXTS, None, ""), plain)
    assert same(ours.encode(TEXTS, prompt="Say: "), embed(qwen3, ["Say: " + text for text in TEXTS]))
    assert same(ours.encode(TEXTS[0]), plain[0]) and same(ours.encode(np.array(TEXTS)), plain) and same(ours.encode(iter(TEXTS)), plain)
    assert same(ours.encode(TEXTS, batch_size=1, show_progress_bar=True, task="query", device="cpu"), plain)
    assert same(ours.encode(TEXTS, truncate_dim=8, normalize_embeddings=True), embed(qwen3, TEXTS, "--dimensions", 8))
    assert same(ours.encode(TEXTS, truncate_dim=8), np.ascontiguousarray(plain[:, :8]))
    assert same(ours.encode(TEXTS, truncate_dim=9999), plain)
    assert ours.encode([]).shape == (0, plain.shape[1])
    assert same(pickle.loads(pickle.dumps(ours)).encode_query(TEXTS), queries)
    assert "torch" not in sys.modules and ours.device == "cpu" and ours.to("cpu").eval() is ours


def test_prompts_of_the_constructor(qwen3, embed):
    ours = SentenceTransformer(octavo.Embedder(qwen3), prompts={"clue": "Clue: ", "document": "Doc: "}, default_prompt_name="clue")
    assert ours.prompts == {"query": QUERY, "document": "Doc: ", "clue": "Clue: "}
    clues = embed(qwen3, ["Clue: " + text for text in TEXTS])
    assert same(ours.encode(TEXTS), clues) and same(ours.encode(TEXTS, prompt_name="clue"), clues)
    assert same(ours.encode_document(TEXTS), embed(qwen3, ["Doc: " + text for text in TEXTS]))
    assert same(ours.encode(TEXTS, prompt=""), embed(qwen3, TEXTS))
    with pytest.warns(UserWarning, match="prompt is used"):
        assert same(ours.encode(TEXTS, prompt_name="query", prompt="Clue: "), clues)
    with pytest.raises(octavo.NotFoundError, match="'none'; there are query, document, clue"):
        ours.encode(TEXTS, prompt_name="none")
    with pytest.raises(octavo.NotFoundError, match="'none'"):
        SentenceTransformer(qwen3, default_prompt_name="none")


def test_a_default_prompt_of_the_model(qwen3, tmp_path, embed):
    """It is octavo embed's, too; any other prompt takes its place and is not put before it."""
    model = copy_of(qwen3, tmp_path / "m", {"prompts": {"query": "Q: ", "bare": ""}, "default_prompt_name": "query"})
    ours = SentenceTransformer(model)
    questions = embed(model, TEXTS)
    assert same(questions, embed(qwen3, ["Q: " + text for text in TEXTS]))
    assert same(ours.encode(TEXTS), questions) and same(ours.encode_query(TEXTS), questions)
    assert same(ours.encode(TEXTS, prompt=""), embed(qwen3, TEXTS)) and same(ours.encode_document(TEXTS), embed(qwen3, TEXTS))
    assert same(ours.encode(TEXTS, prompt="Say: "), embed(qwen3, ["Say: " + text for text in TEXTS]))
    more = SentenceTransformer(model, prompts={"clue": "Clue: "})
    assert same(more.encode(TEXTS, "clue"), embed(qwen3, ["Clue: " + text for text in TEXTS])) and same(more.encode(TEXTS), questions)
    assert same(SentenceTransformer(model, prompts={"query": "Ask: "}).encode(TEXTS), embed(qwen3, ["Ask: " + text for text in TEXTS]))


def test_prompts_that_are_left_out_of_the_mean(model, tmp_path):
    folder = copy_of(model, tmp_path / "m", {"prompts": {"query": "Q: "}}, {"include_prompt": False})
    ours = SentenceTransformer(folder)
    assert same(ours.encode(TEXTS), octavo.Embedder(model).encode(TEXTS))
    for wrong in ({"prompt": "Say: "}, {"prompt_name": "query"}):
        with pytest.raises(octavo.UnsupportedError, match="include_prompt false"):
            ours.encode(TEXTS, **wrong)


def test_a_model_in_the_hubs_cache(qwen3, tmp_path, monkeypatch):
    commit = "0123456789abcdef" * 2 + "01234567"
    place = tmp_path / "home" / "hub" / "models--me--tiny"
    shutil.copytree(qwen3, place / "snapshots" / commit)
    (place / "refs").mkdir()
    (place / "refs" / "v1").write_text(commit + "\n")
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.chdir(tmp_path)
    for file in ("added_tokens.json", "merges.txt", "vocab.json", "vocab.txt", "sentence_bert_config.json"):
        (place / ".no_exist" / commit).mkdir(parents=True, exist_ok=True)
        (place / ".no_exist" / commit / file).touch()
    for revision in ("v1", commit):
        ours = SentenceTransformer("me/tiny", revision=revision)
        assert ours.prompts["query"] == QUERY and ours.embedder.model == f"me/tiny@{revision}"
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "home" / "hub"))
    monkeypatch.setenv("HF_HOME", "/nowhere")
    assert SentenceTransformer("me/tiny@v1").prompts["query"] == QUERY
    with pytest.raises(octavo.NotFoundError, match="me/tiny@main: is not in the cache"):
        SentenceTransformer("me/tiny")


def test_precisions(ours):
    vectors = ours.encode(TEXTS)
    for precision in ("int8", "binary", "ubinary"):
        assert same(ours.encode(TEXTS, precision=precision), ours.embedder.encode(TEXTS, dtype=precision))
    assert same(ours.encode(TEXTS, precision="ubinary", truncate_dim=16), np.packbits(vectors[:, :16] > 0, axis=1))
    assert same(ours.encode(TEXTS, precision=None), vectors)


def test_lengths_and_widths(ours, embed, qwen3):
    with ours.truncate_embeddings(12):
        assert ours.encode(TEXTS).shape == (5, 12) and ours.get_embedding_dimension() == 12
        assert ours.encode(TEXTS, truncate_dim=4).shape == (5, 4)
    assert ours.get_sentence_embedding_dimension() == ours.embedder.dim and ours.get_max_seq_length() == ours.embedder.max_length
    short = SentenceTransformer(ours.embedder, truncate_dim=10)
    short.max_seq_length = 3
    with pytest.warns(octavo.TruncationWarning):
        cut = short.encode(TEXTS)
    assert short.max_seq_length == 3 and same(cut, np.ascontiguousarray(embed(qwen3, TEXTS, "--max-length", 3)[:, :10]))
    with pytest.raises(octavo.InvalidInputError, match="10000000"):
        short.max_seq_length = 10_000_000
    assert short.max_seq_length == 3


@pytest.mark.parametrize("call, kind, words", [
    (lambda m: m.encode(TEXTS, output_value="token_embeddings"), octavo.UnsupportedError, "output_value is 'token_embeddings'"),
    (lambda m: m.encode(TEXTS, output_value=None), octavo.UnsupportedError, "output_value is None"),
    (lambda m: m.encode(TEXTS, precision="uint8"), octavo.UnsupportedError, "'uint8', which needs ranges"),
    (lambda m: m.encode(TEXTS, precision="int4"), ValueError, "'int4'; it can be"),
    (lambda m: m.encode(TEXTS, device="cuda:0"), octavo.UnsupportedError, "device is 'cuda:0'"),
    (lambda m: m.encode(TEXTS, device=["cpu", "cuda"]), octavo.UnsupportedError, "device is 'cuda'"),
    (lambda m: m.encode(TEXTS, pool={}), octavo.UnsupportedError, "a pool of processes"),
    (lambda m: m.encode(TEXTS, batch_size=0), ValueError, "batch_size is 0"),
    (lambda m: m.encode(TEXTS, truncate_dim=0), ValueError, "truncate_dim is 0"),
    (lambda m: m.encode(["a", 7], prompt="Say: "), TypeError, "text 2 is no str but a int"),
    (lambda m: m.encode(), TypeError, "the texts are given once"),
    (lambda m: m.encode(TEXTS, inputs=TEXTS), TypeError, "the texts are given once"),
    (lambda m: m.encode_query(TEXTS, colour="red"), TypeError, "colour"),
    (lambda m: m.to("cuda"), octavo.UnsupportedError, "device is 'cuda'"),
    (lambda m: m.tokenize(TEXTS), octavo.UnsupportedError, "octavo serve"),
    (lambda m: m.start_multi_process_pool(), octavo.UnsupportedError, "call encode without one"),
    (lambda m: m.encode(TEXTS, convert_to_tensor=True), ImportError, "torch"),
    (lambda m: m.encode(TEXTS, convert_to_numpy=False), ImportError, "torch"),
    (lambda m: SentenceTransformer(m.embedder, revision="main"), ValueError, "revision: the embedder is open already"),
    (lambda m: SentenceTransformer(m.embedder.model, similarity_fn_name="hamming"), ValueError, "'hamming'; it can be cosine"),
    (lambda m: SentenceTransformer(m.embedder.model, trust_remote_code=True), TypeError, "trust_remote_code"),
])
def test_what_it_cannot_do(ours, call, kind, words):
    with pytest.raises(kind, match=words):
        call(ours)


def test_similarities(ours, qwen3, tmp_path):
    draw = np.random.default_rng(3)
    a, b = draw.normal(size=(4, 7)).astype(np.float32), draw.normal(size=(3, 7)).astype(np.float32)
    formula = {
        "cosine": lambda x, y: float(x @ y / np.sqrt((x @ x) * (y @ y))),
        "dot": lambda x, y: float(x @ y),
        "euclidean": lambda x, y: -float(np.sqrt(((x - y) ** 2).sum())),
        "manhattan": lambda x, y: -float(np.abs(x - y).sum()),
    }
    assert ours.similarity_fn_name == "cosine"
    for name, of in formula.items():
        model = SentenceTransformer(copy_of(qwen3, tmp_path / name, {"similarity_fn_name": name}))
        assert model.similarity_fn_name == name
        expected = [[of(x, y) for y in b.astype(np.float64)] for x in a.astype(np.float64)]
        got = model.similarity(a, b)
        assert got.dtype == np.float32 and np.allclose(got, expected, atol=1e-5)
        assert np.allclose(model.similarity_pairwise(a[:3], list(b)), np.diag(expected), atol=1e-5)
        assert model.similarity(a[0], b).shape == (1, 3) and model.similarity(np.zeros((0, 7)), b).shape == (0, 3)
    assert ours.similarity(np.zeros((1, 7)), b).tolist() == [[0, 0, 0]]


# What the real one is compared in: each expression once with it as m and once with ours.
CALLS = """
m.encode("one text")
m.encode(texts)
m.encode(texts[:1])
m.encode(tuple(texts))
m.encode(np.array(texts))
m.encode([])
m.encode(texts, convert_to_tensor=True)
m.encode("one text", convert_to_tensor=True)
m.encode([], convert_to_tensor=True)
m.encode(texts, convert_to_numpy=False)
m.encode("one text", convert_to_numpy=False)
m.encode(texts, batch_size=2, normalize_embeddings=True, convert_to_numpy=True)
m.encode(texts, truncate_dim=100)
m.encode(texts, truncate_dim=100, normalize_embeddings=True, convert_to_tensor=True)
m.encode(texts, precision="int8")
m.encode("one text", precision="ubinary")
m.encode(texts, precision="binary")
m.encode(texts, precision="ubinary", convert_to_tensor=True)
m.encode(texts, precision="binary", truncate_dim=64)
m.encode(texts, "task")
m.encode(texts, prompt_name="task")
m.encode(texts, None, "say: ")
m.encode(texts, prompt="say: ")
m.encode(texts, prompt="")
m.encode_query(texts)
m.encode_query("one text", convert_to_tensor=True)
m.encode_query(texts, prompt_name="task", truncate_dim=32)
m.encode_document(texts)
m.encode_document(texts, None, "say: ")
m.similarity(m.encode_query(texts), m.encode_document(texts))
m.similarity(m.encode(texts, convert_to_tensor=True), m.encode(texts[:3]))
m.similarity_pairwise(m.encode(texts), m.encode(texts[::-1], convert_to_tensor=True))
m.similarity(m.encode("one text"), m.encode(texts))
np.array([m.max_seq_length, m.get_sentence_embedding_dimension()])
sorted(m.prompts.items())
[m.similarity_fn_name, m.default_prompt_name, str(m.device), m.truncate_dim]
setattr(m, "max_seq_length", 8) or m.encode(texts)
setattr(m, "similarity_fn_name", "manhattan") or m.similarity(m.encode(texts), m.encode(texts))
setattr(m, "similarity_fn_name", "dot") or m.similarity_pairwise(m.encode(texts), m.encode(texts[::-1]))
setattr(m, "similarity_fn_name", "euclidean") or m.similarity(m.encode(texts), m.encode(texts))
m.encode(texts, prompt_name="none")
m.encode(texts, precision="int4")
m.encode(texts, colour="red")
m.to("cpu").encode(texts)
"""
CODE = """
import inspect, json, sys, warnings
warnings.simplefilter("ignore")
import numpy as np, torch
from octavo.sentence_transformers import SentenceTransformer as Ours
from sentence_transformers import SentenceTransformer as Theirs
ours, theirs, texts, calls = json.loads(sys.stdin.read())
def plain(made):
    if isinstance(made, torch.Tensor):
        return ["tensor", str(made.dtype), list(made.shape), made.tolist()]
    if isinstance(made, np.ndarray):
        return ["array", str(made.dtype), list(made.shape), made.tolist()]
    if isinstance(made, list) and made and isinstance(made[0], torch.Tensor):
        return ["list of tensors", str(made[0].dtype), [len(made), *made[0].shape], [t.tolist() for t in made]]
    return ["plain", "", [], made]
def answers(m):
    out = []
    for call in calls:
        try:
            out.append(plain(eval(call, {"m": m, "np": np, "texts": texts})))
        except Exception as error:
            out.append(["error", [c.__name__ for c in type(error).__mro__], [], str(error)])
    return out
def signature(f):
    return [[p.name, p.default] for p in inspect.signature(f).parameters.values() if p.kind == p.POSITIONAL_OR_KEYWORD][2:]
print(json.dumps([answers(Ours(ours)), answers(Theirs(theirs, device="cpu")), signature(Ours.encode), signature(Theirs.encode)]))
"""


def compared(mteb_python, ours, theirs, texts, calls):
    """[our answers, theirs, our arguments of encode, theirs]"""
    # Offline; one thread of torch: others that spin would keep other tests from the cores.
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = mteb_python(CODE, input=json.dumps([str(ours), str(theirs), texts, calls]), env=environment)
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def answers(mteb_python, beside_the_real_one):
    ours, theirs = beside_the_real_one("ours", {"query": "question: ", "passage": "passage: ", "task": "task: "})
    texts = (SOURCE / "examples" / "notes.txt").read_text().splitlines()[:8]
    calls = CALLS.strip().splitlines()
    got, expected, *signatures = compared(mteb_python, ours, theirs, texts, calls)
    return dict(zip(calls, zip(got, expected))), signatures


def cosines(a, b):
    a, b = np.atleast_2d(np.array(a, np.float64)), np.atleast_2d(np.array(b, np.float64))
    return (a * b).sum(-1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1)


@pytest.mark.parametrize("call", CALLS.strip().splitlines())
def test_beside_the_real_one(answers, call):
    (kind, dtype, shape, got), (their_kind, their_dtype, their_shape, expected) = answers[0][call]
    if their_kind == "error":
        assert kind == "error" and "ValueError" in their_dtype and {"ValueError", "NotFoundError", "TypeError"} & set(dtype), got
        return
    if "m.similarity(" in call or "m.similarity_pairwise(" in call:  # theirs is always a tensor; ours where one goes in
        assert kind == ("tensor" if "tensor" in call else "array")
        assert shape == their_shape and np.abs(np.array(got) - np.array(expected)).max() < 1e-4
        return
    assert kind == their_kind, got
    if "encode([]" in call:  # theirs has lost its width
        assert shape == [0, 384] and their_shape == [0]
        return
    assert (shape, dtype) == (their_shape, their_dtype)
    if kind == "plain" or call.startswith("np.array"):
        assert got == expected
    elif "binary" in call:
        # A number beside zero may fall on the other side.
        differing = np.unpackbits((np.array(got) ^ np.array(expected)).astype(np.uint8)).mean()
        assert differing < 0.001
    elif "int8" in call:  # a scale of their own, theirs ranges of all
        assert np.abs(np.array(got)).max(axis=-1).tolist() == [127] * len(got)
    else:
        assert cosines(got, expected).min() > 0.99999
        assert np.allclose(np.linalg.norm(got, axis=-1), np.linalg.norm(expected, axis=-1), atol=1e-5)


def test_a_default_prompt_beside_the_real_one(mteb_python, beside_the_real_one):
    """A prompt replaces the default one there, too."""
    prompts = {"query": "question: ", "task": "task: "}
    ours, theirs = beside_the_real_one("defaulted", prompts, default_prompt_name="query")
    calls = ["m.encode(texts)", 'm.encode(texts, prompt="say: ")', 'm.encode(texts, prompt="")', 'm.encode(texts, "task")',
             "m.encode_query(texts)", "m.encode_document(texts)"]
    texts = (SOURCE / "examples" / "notes.txt").read_text().splitlines()[:4]
    got, expected = compared(mteb_python, ours, theirs, texts, calls)[:2]
    for call, (kind, *_, vectors), (their_kind, *_, their_vectors) in zip(calls, got, expected):
        assert kind == their_kind == "array" and cosines(vectors, their_vectors).min() > 0.99999, call
    assert cosines(got[0][3], got[1][3]).max() < 0.999


def test_the_arguments_of_the_real_one(answers):
    ours, theirs = answers[1]
    assert ours == theirs
