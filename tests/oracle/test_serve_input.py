"""octavo serve and what a request may say: everything that is wrong, through every interface, gets an error in its form, and the
server goes on; vectors that must not leave it, and those that look odd but are right."""
import concurrent.futures
import json
import shutil

import numpy as np
import onnx
import onnx.numpy_helper
import pytest

from serving import Server, model

TEXTS_LIMIT = 32


@pytest.fixture(scope="module")
def server(model):
    with Server(model, "--max-texts", TEXTS_LIMIT) as running:
        yield running
        # One process took all of it.
        assert running.get("/health")[0] == 200
        assert running.stop() == 0


# A request's JSON around its texts.
PATHS = {
    "/v1/embeddings": '{"input": %s}', "/embed": '{"inputs": %s}', "/": '{"inputs": %s}', "/embed_all": '{"inputs": %s}',
    "/similarity": '{"inputs": {"source_sentence": "a", "sentences": %s}}', "/tokenize": '{"inputs": %s}', "/decode": '{"ids": %s}',
    "/api/embed": '{"input": %s}', "/api/embeddings": '{"prompt": %s}',
}


def is_error(path, status, answer):
    """Whether this is an error that blames the client, in the form of the path."""
    if path.startswith("/v1/"):
        error = answer["error"]
        form = set(answer) == {"error"} and set(error) == {"message", "type", "param", "code"} and error["message"]
    elif path.startswith("/api/"):
        form = set(answer) == {"error"} and isinstance(answer["error"], str) and answer["error"]
    else:
        form = set(answer) == {"error", "error_type"} and answer["error"] and answer["error_type"] in ("Validation", "Empty")
    return 400 <= status < 500 and bool(form)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("body", [
    b"", b" ", b"null", b"[]", b"7", b'"a"', b"true", b"{}", b"{", b"}", b"{]", b'{"a"}', b'{"a":}', b"{'a': 1}", b"{} {}", b"\x00",
    b"\xff\xfe{\x00}\x00", b"\xef\xbb\xbf{", b'{"input": "a", "input": "a"}', b'{"inputs": "a", "inputs": "a"}', b"nan", b"[" * 200000,
    b'{"a":' * 200000, b'{"nobody knows": 1}',
], ids=lambda body: repr(body[:24]))
def test_bodies_that_are_no_request(server, path, body):
    status, answer = server.post(path, body)
    assert is_error(path, status, answer), (status, answer)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("value", [
    b"null", b"7", b"-7", b"true", b"{}", b"[]", b"[null]", b"[true]", b"[{}]", b"[1.5]", b"[-1]", b"[99999999]", b"[2147483648]",
    b"[18446744073709551616]", b"[1e400]", b"1e400", b"-1e400", b"NaN", b"Infinity", b"[[[1]]]", b'[["a"]]', b'[1, "a"]', b'["a", 1]',
    b'{"a": 1, "a": 1}', b'"\\ud800"', b'["\\udc00 a"]', b'"\\ud800\\ud800"', b'"a\\u0000b"', b'["a", "\\u0000"]', b'"\xff"', b'"\xc0\x80"',
    b'"\xed\xa0\x80"', b'"\xf4\x90\x80\x80"', b'"a', b'"\n"', b'"\\x41"', b"[" * 63 + b"]" * 63, b"[" * 100000 + b"]" * 100000, b"01",
    b"[1,]", b"'a'",
], ids=lambda value: repr(value[:24]))
def test_values_that_are_no_texts(server, path, value):
    status, answer = server.post(path, PATHS[path].encode().replace(b"%s", value))
    assert is_error(path, status, answer), (status, answer)


@pytest.mark.parametrize("path", [p for p in PATHS if p not in ("/tokenize", "/decode")])
def test_empty_texts(server, path):
    values = ['""', '[""]', '["a", ""]'] if path != "/api/embeddings" else ['""']
    for value in values:
        status, answer = server.post(path, PATHS[path].replace("%s", value))
        assert is_error(path, status, answer) and (path == "/similarity" or status == 400), (status, answer)


@pytest.mark.parametrize("path", [p for p in PATHS if p != "/api/embeddings"])
def test_one_text_too_many(server, path):
    one = [1] if path == "/decode" else "a"
    for count in (TEXTS_LIMIT, TEXTS_LIMIT + 1):
        # The sentence that the others are compared with is a text, too.
        body = PATHS[path].replace("%s", json.dumps([one] * (count - (path == "/similarity"))))
        status, answer = server.post(path, body)
        assert (status == 200) if count == TEXTS_LIMIT else (status == 413 and is_error(path, status, answer)), answer


@pytest.mark.parametrize("path", ["/v1/embeddings", "/similarity", "/api/embeddings"])
def test_two_megabytes_of_one_text(server, path):
    text = json.dumps("cats and dogs " * 150000)
    status, answer = server.post(path, PATHS[path].replace("%s", f"[{text}]" if path == "/similarity" else text))
    assert is_error(path, status, answer) and "tokens" in json.dumps(answer)


def changed(model, folder, change):
    """The model with other weights: change(name, array) -> array."""
    shutil.copytree(model, folder)
    proto = onnx.load(folder / "model.onnx")
    for tensor in proto.graph.initializer:
        array = onnx.numpy_helper.to_array(tensor)
        made = change(tensor.name, array)
        if made is not array:
            tensor.CopyFrom(onnx.numpy_helper.from_array(made, tensor.name))
    onnx.save(proto, folder / "model.onnx")
    return folder


BAD, GOOD = "the fox", ["quick brown dog", "words and numbers"]


@pytest.fixture(scope="module")
def overflowing(model, tmp_path_factory):
    """One word's embedding is finite and overflows in whatever is computed from it."""
    vocabulary = json.loads((model / "tokenizer.json").read_text())["model"]["vocab"]

    def change(name, array):
        if not name.endswith("word_embeddings.weight"):
            return array
        array = array.copy()
        array[vocabulary["fox"]] = 3e38
        return array

    return changed(model, tmp_path_factory.mktemp("models") / "overflowing", change)


def test_a_number_that_is_not_finite_does_not_leave(octavo, model, overflowing, tmp_path):
    bad = octavo("embed", overflowing, BAD, check=False)
    assert bad.returncode == 3 and "finite" in bad.stderr
    with Server(overflowing) as server, Server(model) as healthy:
        for path, status in (("/v1/embeddings", 500), ("/embed", 424), ("/embed_all", 424), ("/api/embed", 500)):
            texts = json.dumps([GOOD[0], BAD, GOOD[1]])
            failed = server.metric("octavo_failed_texts_total")
            got, answer = server.post(path, PATHS[path].replace("%s", texts))
            assert got == status and "finite" in json.dumps(answer), answer
            assert server.metric("octavo_failed_texts_total") == failed + 1
            # Its neighbours in the same batch of another request are as they always were.
            fine = PATHS[path].replace("%s", json.dumps(GOOD))
            with concurrent.futures.ThreadPoolExecutor(8) as pool:
                asked = [pool.submit(server.post, path, fine if i % 2 else PATHS[path].replace("%s", texts)) for i in range(40)]
            expected = vectors(path, healthy.post(path, fine)[1])
            for i, one in enumerate(asked):
                got, answer = one.result()
                assert (got == 200 and vectors(path, answer) == expected) if i % 2 else got == status
        got, answer = server.post("/similarity", {"inputs": {"source_sentence": GOOD[0], "sentences": [BAD]}})
        assert got == 424 and answer["error_type"] == "Backend"
        assert server.stop() == 0 and healthy.stop() == 0


def vectors(path, answer):
    """What is in an answer of that path."""
    return [d["embedding"] for d in answer["data"]] if path.startswith("/v1/") else answer["embeddings"] if "/api/" in path else answer


def test_vectors_have_length_one(server):
    texts = GOOD + ["a", "sentence embedding " * 20]
    for dimensions in (None, 1, 5, 35):
        for path in ("/v1/embeddings", "/embed", "/api/embed"):
            document = {"inputs" if path == "/embed" else "input": texts}
            if path == "/embed":
                document["normalize"] = True
            if dimensions:
                document["dimensions"] = dimensions
            status, answer = server.post(path, document)
            assert status == 200, answer
            lengths = np.linalg.norm(np.float32(vectors(path, answer)).astype(np.float64), axis=1)
            assert np.abs(lengths - 1).max() < 1e-6


def test_a_zero_vector_stays_zero(model, tmp_path):
    """The last normalisation has weight and bias 0: there is no direction to give."""
    def change(name, array):
        return np.zeros_like(array) if ".1.output.LayerNorm." in name else array

    with Server(changed(model, tmp_path / "zero", change)) as server:
        for document in ({"inputs": GOOD, "normalize": True}, {"inputs": GOOD, "normalize": True, "dimensions": 3}):
            status, answer = server.post("/embed", document)
            assert status == 200 and not np.any(answer) and len(answer) == 2, answer
        status, answer = server.post("/similarity", {"inputs": {"source_sentence": GOOD[0], "sentences": GOOD}})
        assert (status, answer) == (200, [0, 0])
        assert server.stop() == 0
