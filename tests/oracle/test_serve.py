"""octavo serve: the bits of octavo embed through every interface, and its manners."""
import base64
import concurrent.futures
import json
import signal

import numpy as np
import pytest

from serving import Server, model, offline, same

TEXTS = ["a", "cats and dogs", "how do I reset my password?", "one two three " * 5, "it", "\u00fcber \u4f60\u597d"]


@pytest.fixture(scope="module")
def server(model):
    with Server(model, f"other={model}", "--max-texts", 300) as running:
        yield running


def openai(server, texts, **more):
    status, answer = server.post("/v1/embeddings", {"input": texts, **more})
    assert status == 200, answer
    assert [d["index"] for d in answer["data"]] == list(range(len(answer["data"])))
    return answer


def vectors(answer):
    return [d["embedding"] for d in answer["data"]]


def test_openai_gives_the_bits_of_embed(server, offline):
    answer = openai(server, TEXTS, model="tiny")
    assert same(vectors(answer), offline(TEXTS))
    assert answer["object"] == "list" and answer["model"] == "tiny"
    assert answer["usage"]["prompt_tokens"] == answer["usage"]["total_tokens"] > len(TEXTS)
    assert same(vectors(openai(server, "a", model="other")), offline(["a"]))


def test_openai_base64_and_dimensions(server, offline):
    answer = openai(server, TEXTS, encoding_format="base64", dimensions=5)
    got = [np.frombuffer(base64.b64decode(v, validate=True), "<f4") for v in vectors(answer)]
    assert same(got, offline(TEXTS, "--dimensions", 5))


def test_models(server):
    status, _, body = server.get("/v1/models")
    assert status == 200
    assert [m["id"] for m in json.loads(body)["data"]] == ["tiny", "other"]


def test_many_clients_get_what_one_gets(server, offline):
    texts = [f"{t} {i}" for i in range(40) for t in TEXTS]
    expected = offline(texts)

    def client(i):
        part = slice(i * 7 % 200, i * 7 % 200 + 1 + i % 31)
        return same(vectors(openai(server, texts[part])), expected[part])

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        assert all(pool.map(client, range(120)))
    assert server.metric("octavo_queue_tokens") == 0
    assert server.metric("octavo_requests_in_flight") == 0


def test_a_connection_is_kept(server):
    connection = server.connection()
    for _ in range(20):
        status, headers, _ = server.request("POST", "/v1/embeddings", '{"input": "a"}', connection=connection)
        assert status == 200 and headers["Connection"] != "close"
    connection.close()


def test_health_and_metrics(server):
    assert server.get("/health")[0] == 200
    status, headers, body = server.request("HEAD", "/health")
    assert status == 200 and body == b"" and int(headers["Content-Length"]) > 0
    status, headers, _ = server.get("/metrics")
    assert status == 200 and headers["Content-Type"].startswith("text/plain; version=0.0.4")


def test_a_long_text_is_an_error_that_says_why(server, model):
    status, answer = server.post("/v1/embeddings", {"input": ["a", "a " * 5000]})
    assert status == 400
    assert answer["error"]["code"] == "context_length_exceeded" and answer["error"]["param"] == "input"
    assert "text 2 has 500" in answer["error"]["message"] and "limit" in answer["error"]["message"]


def test_truncation_is_reported(server, offline):
    texts = ["a", "a " * 5000]
    status, headers, body = server.request("POST", "/v1/embeddings", json.dumps({"input": texts, "truncate": True}))
    answer = json.loads(body)
    assert status == 200 and headers["Octavo-Truncated"] == "1"
    (cut,) = answer["truncated"]
    assert cut["index"] == 1 and cut["tokens"] > 5000 and cut["used"] < 1000
    assert same(vectors(answer), offline(texts))
    assert server.metric("octavo_truncated_texts_total") >= 1


@pytest.mark.parametrize("body", [
    "", "null", "[]", "7", "{}", '{"input": null}', '{"input": ""}', '{"input": []}', '{"input": [""]}',
    '{"input": 7}', '{"input": [["a"]]}', '{"input": [[]]}', '{"input": [{}]}', '{"input": ["a", 1]}',
    '{"input": [1.5]}', '{"input": [-1]}', '{"input": [99999999]}', '{"input": [1e400]}', '{"input": "a"',
    '{"input": "a", "input": "b"}', '{"input": "a", "dimension": 3}', '{"input": "a", "dimensions": 0}',
    '{"input": "a", "dimensions": 100000}', '{"input": "a", "encoding_format": "hex"}', '{"input": "\\ud800"}',
    '{"input": "a\\u0000b"}', '{"input": ' + "[" * 100000 + "]" * 100000 + "}", b'{"input": "\xff"}',
    '{"input": "a", "prompt_name": "no such"}', '{"input": "a", "model": 3}', '{"input": "a"} x',
])
def test_bad_requests(server, body):
    status, answer = server.post("/v1/embeddings", body)
    assert status == 400, answer
    assert answer["error"]["message"] and answer["error"]["type"] == "invalid_request_error"


def test_other_refusals(server):
    assert server.post("/v1/embeddings", {"input": ["a"] * 301})[0] == 413
    status, answer = server.post("/v1/embeddings", {"input": "a", "model": "gpt"})
    assert status == 404 and answer["error"]["code"] == "model_not_found" and "tiny" in answer["error"]["message"]
    assert server.post("/v1/nothing", {})[0] == 404
    status, headers, body = server.get("/v1/embeddings")
    assert status == 405 and headers["Allow"] == "POST" and "error" in json.loads(body)
    assert server.get("/health")[0] == 200


def test_the_log_has_a_line_a_request_without_its_text(model):
    with Server(model) as server:
        server.post("/v1/embeddings", {"input": ["very secret"]})
        server.post("/v1/embeddings", {"input": 7})
        server.get("/secret?key=secret")
        assert server.stop() == 0
        lines = [json.loads(line) for line in server.log]
    assert [(d["method"], d["path"], d["status"]) for d in lines[:2]] == [
        ("POST", "/v1/embeddings", 200), ("POST", "/v1/embeddings", 400)]
    assert lines[0]["texts"] == 1 and lines[0]["tokens"] > 2 and lines[0]["client"] == "127.0.0.1"
    assert "very" not in "".join(server.log) and "key=" not in "".join(server.log)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_order(model, number):
    with Server(model) as server:
        assert server.get("/health")[0] == 200
        assert server.stop(number) == 0


def test_usage(octavo, model):
    for arguments in ([], [model, "--port", "70000"], [model, "--max-texts", "0"]):
        assert octavo("serve", *arguments, check=False).returncode == 2
    bad = octavo("serve", model, model, "--port", 0, check=False)
    assert bad.returncode == 3 and "NAME=DIR" in bad.stderr
    bad = octavo("serve", model, "--host", "example.org", check=False)
    assert bad.returncode == 3 and "address" in bad.stderr
    with Server(model) as server:
        bad = octavo("serve", model, "--port", server.port, check=False)
        assert bad.returncode == 3 and "in use" in bad.stderr
