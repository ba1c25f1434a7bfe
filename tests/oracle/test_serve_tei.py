"""octavo serve in text-embeddings-inference's words: the bits of octavo embed, tokens as the package `tokenizers` gives
them, hidden states as onnxruntime does."""
import concurrent.futures
import json

import numpy as np
import onnxruntime
import pytest
import tokenizers

from serving import Server, model, offline, same

TEXTS = ["a", "cats and dogs", "how do I reset my password?", "\u00fcber \u4f60\u597d", "one  two\nthree "]
LONG = " ".join(f"w{i % 10}" for i in range(200))
LIMIT = 64  # tokens, of the tiny model


@pytest.fixture(scope="module")
def server(model, tmp_path_factory):
    prompted = tmp_path_factory.mktemp("models") / "prompted"
    prompted.mkdir()
    for file in model.iterdir():
        if file.name != "config_sentence_transformers.json":
            (prompted / file.name).symlink_to(file)
    (prompted / "config_sentence_transformers.json").write_text(
        json.dumps({"prompts": {"query": "find: ", "document": ""}, "default_prompt_name": None}))
    with Server(model, f"asks={prompted}", "--max-texts", 50, "--max-body-bytes", 20_000_000) as running:
        yield running


@pytest.fixture(scope="module")
def oracle(model):
    made = tokenizers.Tokenizer.from_file(str(model / "tokenizer.json"))
    made.no_padding()
    made.no_truncation()
    return made


def ask(server, path, document):
    status, answer = server.post(path, document)
    assert status == 200, answer
    return answer


def test_embed_gives_the_bits_of_embed(server, offline):
    assert same(ask(server, "/embed", {"inputs": TEXTS}), offline(TEXTS))
    assert same(ask(server, "/", {"inputs": TEXTS}), offline(TEXTS))
    assert same(ask(server, "/embed", {"inputs": "a"}), offline(["a"]))
    assert same(ask(server, "/embed", {"inputs": TEXTS, "normalize": False}), offline(TEXTS, "--no-normalize"))
    assert same(ask(server, "/embed", {"inputs": TEXTS, "dimensions": 5}), offline(TEXTS, "--dimensions", 5))
    assert same(ask(server, "/embed", {"inputs": ["find: a"]}),
                np.float32(ask(server, "/embed", {"inputs": ["a"], "model": "asks", "prompt_name": "query"})))


def test_token_ids_give_the_vectors_of_their_texts(server, offline, oracle):
    ids = [oracle.encode(t).ids for t in TEXTS]
    assert same(ask(server, "/embed", {"inputs": ids}), offline(TEXTS))
    assert same(ask(server, "/embed", {"inputs": ids[1]}), offline(TEXTS[1:2]))
    assert same(ask(server, "/embed", {"inputs": [ids[0], TEXTS[1]]}), offline(TEXTS[:2]))


def test_a_long_text_is_an_error_or_is_cut_at_the_end_asked_for(server, offline, oracle):
    status, answer = server.post("/embed", {"inputs": ["a", LONG]})
    assert status == 413 and answer["error_type"] == "Validation"
    assert "text 2" in answer["error"] and "limit" in answer["error"]
    assert same(ask(server, "/embed", {"inputs": LONG, "truncate": True}), offline([LONG]))
    status, headers, body = server.request("POST", "/embed", json.dumps({"inputs": LONG, "truncate": True}))
    assert status == 200 and headers["Octavo-Truncated"] == "1"
    vectors = []
    for direction in ("Right", "Left", "left"):
        oracle.enable_truncation(LIMIT, direction=direction.lower())
        ids = oracle.encode(LONG).ids
        oracle.no_truncation()
        assert len(ids) == LIMIT
        cut = {"inputs": LONG, "truncate": True, "truncation_direction": direction}
        vectors.append(ask(server, "/embed", cut))
        assert same(vectors[-1], np.float32(ask(server, "/embed", {"inputs": [ids]})))
    assert vectors[0] != vectors[1] and vectors[1] == vectors[2]


def test_embed_all_gives_every_token(server, model, oracle):
    rows = ask(server, "/embed_all", {"inputs": TEXTS})
    session = onnxruntime.InferenceSession(model / "model.onnx")
    for text, got in zip(TEXTS, rows, strict=True):
        ids = np.array([oracle.encode(text).ids])
        feeds = {"input_ids": ids, "attention_mask": ids * 0 + 1, "token_type_ids": ids * 0}
        expected = session.run(["last_hidden_state"], feeds)[0][0]
        assert np.asarray(got).shape == expected.shape
        np.testing.assert_allclose(got, expected, atol=2e-6)
    cut = ask(server, "/embed_all", {"inputs": LONG, "truncate": True})
    assert np.asarray(cut).shape == (1, LIMIT, expected.shape[1])
    ids = oracle.encode(TEXTS[1]).ids
    assert ask(server, "/embed_all", {"inputs": [ids]}) == ask(server, "/embed_all", {"inputs": TEXTS[1]})


def test_similarity(server, offline):
    got = ask(server, "/similarity", {"inputs": {"source_sentence": TEXTS[0], "sentences": TEXTS}})
    vectors = offline(TEXTS).astype(np.float64)
    np.testing.assert_allclose(got, vectors @ vectors[0], atol=1e-6)
    assert abs(got[0] - 1) < 1e-6
    long = {"inputs": {"source_sentence": LONG, "sentences": [LONG]}}
    assert server.post("/similarity", long)[0] == 413
    (one,) = ask(server, "/similarity", {**long, "parameters": {"truncate": True}})
    assert abs(one - 1) < 1e-6


@pytest.mark.parametrize("special", [True, False])
def test_tokenize_is_what_tokenizers_gives(server, oracle, special):
    got = ask(server, "/tokenize", {"inputs": [*TEXTS, "", LONG], "add_special_tokens": special})
    for text, tokens in zip([*TEXTS, "", LONG], got, strict=True):
        expected = oracle.encode(text, add_special_tokens=special)
        assert [t["id"] for t in tokens] == expected.ids
        assert [t["special"] for t in tokens] == [bool(m) for m in expected.special_tokens_mask]
        for token, name, (start, stop) in zip(tokens, expected.tokens, expected.offsets, strict=True):
            if token["special"]:
                assert token["text"] == name and token["start"] is None and token["stop"] is None
            else:  # bytes here, characters there
                assert (token["start"], token["stop"]) == tuple(len(text[:n].encode()) for n in (start, stop))
                assert token["text"] == text[start:stop]


def test_tokenize_shows_the_prompt(server, oracle):
    (tokens,) = ask(server, "/tokenize", {"inputs": "a b", "prompt_name": "query", "model": "asks"})
    assert [t["id"] for t in tokens] == oracle.encode("find: a b").ids
    (tokens,) = ask(server, "/tokenize", {"inputs": "a b", "model": "asks"})
    assert [t["id"] for t in tokens] == oracle.encode("a b").ids


def test_decode(server, oracle):
    ids = [oracle.encode(t).ids for t in TEXTS]
    assert ask(server, "/decode", {"ids": ids}) == [oracle.decode(i) for i in ids]
    assert ask(server, "/decode", {"ids": ids[1]}) == [oracle.decode(ids[1])]
    kept = ask(server, "/decode", {"ids": ids[1], "skip_special_tokens": False})
    assert kept == [oracle.decode(ids[1], skip_special_tokens=False)] and "[CLS]" in kept[0]
    status, answer = server.post("/decode", {"ids": [5, 1_000_000]})
    assert status == 422 and "1000000" in answer["error"]


def test_info(server, model):
    info = json.loads(server.get("/info")[2])
    assert info["model_id"] == "tiny" and info["model_type"] == {"embedding": {"pooling": "mean"}}
    assert info["max_input_length"] == LIMIT and info["max_client_batch_size"] == 50
    assert info["auto_truncate"] is False and info["model_dtype"] == "float32"
    tiny, asks = info["models"]
    assert (tiny["name"], asks["name"]) == ("tiny", "asks") and tiny["dimensions"] == 36
    assert tiny["prompts"] == [] and asks["prompts"] == ["document", "query"] and tiny["bytes"] == sum(
        f.stat().st_size for f in model.glob("model.onnx*"))
    assert "layers" in tiny["engine"] and "/" not in tiny["engine"]


@pytest.mark.parametrize("path, body, status, kind", [
    ("/embed", "{", 400, "Validation"),
    ("/embed", "", 400, "Validation"),
    ("/embed", {}, 422, "Validation"),
    ("/embed", {"inputs": 7}, 422, "Validation"),
    ("/embed", {"inputs": "a", "truncation_direction": "Up"}, 422, "Validation"),
    ("/embed", {"inputs": "a", "trunctate": True}, 422, "Validation"),
    ("/embed", {"inputs": []}, 400, "Empty"),
    ("/embed", {"inputs": ["a", ""]}, 400, "Empty"),
    ("/embed", {"inputs": [[]]}, 400, "Empty"),
    ("/embed", {"inputs": ["a"] * 51}, 413, "Validation"),
    ("/embed", {"inputs": [99999]}, 422, "Validation"),
    ("/embed", {"inputs": "a", "prompt_name": "nobody's"}, 422, "Validation"),
    ("/embed", {"inputs": "a", "dimensions": 1000}, 422, "Validation"),
    ("/embed", {"inputs": "a", "model": "gpt"}, 404, "Validation"),
    ("/embed_all", {"inputs": "a", "normalize": True}, 422, "Validation"),
    ("/similarity", {"inputs": {"source_sentence": "a", "sentences": []}}, 400, "Empty"),
    ("/similarity", {"inputs": ["a", "b"]}, 422, "Validation"),
    ("/tokenize", {"inputs": []}, 400, "Empty"),
    ("/tokenize", {"inputs": [1, 2]}, 422, "Validation"),
    ("/tokenize", {"inputs": ["a"] * 51}, 413, "Validation"),
    ("/tokenize", {"inputs": "a" * 5_000_000}, 413, "Validation"),
    ("/decode", {"ids": "a"}, 422, "Validation"),
    ("/decode", {"ids": []}, 400, "Empty"),
    ("/decode", {"ids": [1] * 1_100_000}, 413, "Validation"),
])
def test_errors(server, path, body, status, kind):
    got, answer = server.post(path, body)
    assert (got, answer["error_type"]) == (status, kind), answer
    assert set(answer) == {"error", "error_type"} and answer["error"]


def test_errors_of_the_server_have_its_form(server, model):
    for method, path, status in (("GET", "/embed", 405), ("POST", "/info", 405)):
        got, headers, body = server.request(method, path)
        assert got == status and headers["Allow"] and json.loads(body)["error_type"] == "Validation"
    answer = server.raw(b"POST /embed HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 413 ") and b'"error_type":"Validation"' in answer
    body = json.dumps({"inputs": ["cats and dogs"] * 500})
    with Server(model, "--threads", 1, "--max-requests", 1) as small:
        with concurrent.futures.ThreadPoolExecutor(32) as pool:
            answers = list(pool.map(lambda _: small.request("POST", "/embed", body), range(64)))
    assert {status for status, _, _ in answers} == {200, 429}
    for status, headers, answer in answers:
        if status == 429:
            assert int(headers["Retry-After"]) >= 1 and json.loads(answer)["error_type"] == "Overloaded"


def test_the_log_counts_texts_and_tokens(model):
    with Server(model) as server:
        server.post("/tokenize", {"inputs": ["secret a", "b"]})
        server.post("/embed", {"inputs": ["secret a", "b"]})
        assert server.stop() == 0
        lines = [json.loads(line) for line in server.log]
    assert [(d["path"], d["texts"], d["model"]) for d in lines] == [("/tokenize", 2, "tiny"), ("/embed", 2, "tiny")]
    assert lines[0]["tokens"] == lines[1]["tokens"] and "secret" not in "".join(server.log)
