"""GET /openapi.json: a valid OpenAPI 3.1 document, and what the server takes and answers is as it says."""
import json

import pytest

from serving import Server, model

LONG = "a " * 500
GOOD = [
    ("POST", "/v1/embeddings", {"input": "a"}),
    ("POST", "/v1/embeddings", {"input": [[5, 6], "b"], "model": "tiny", "dimensions": 3, "user": "u"}),
    ("POST", "/v1/embeddings", {"input": "a", "input_type": "query"}),
    ("POST", "/v1/embeddings", {"input": ["a", LONG], "truncate": True, "encoding_format": "base64"}),
    ("GET", "/v1/models", None),
    ("POST", "/embed", {"inputs": ["a", LONG], "truncate": True, "truncation_direction": "Left", "normalize": False}),
    ("POST", "/embed", {"inputs": [5, 6], "dimensions": 3, "model": "tiny"}),
    ("POST", "/", {"inputs": "a"}),
    ("POST", "/embed_all", {"inputs": ["a", "b"], "truncate": True}),
    ("POST", "/similarity", {"inputs": {"source_sentence": "a", "sentences": ["a", "b"]}, "parameters": {"truncate": True}}),
    ("POST", "/tokenize", {"inputs": ["a b", ""], "add_special_tokens": True}),
    ("POST", "/decode", {"ids": [[5, 6], [7]], "skip_special_tokens": False}),
    ("GET", "/info", None),
    ("POST", "/api/embed", {"model": "tiny", "input": ["a", LONG], "truncate": True, "keep_alive": "5m", "options": {}}),
    ("POST", "/api/embeddings", {"model": "tiny", "prompt": "a"}),
    ("GET", "/api/tags", None),
    ("GET", "/api/version", None),
    ("GET", "/health", None),
    ("GET", "/metrics", None),
    ("GET", "/openapi.json", None),
]
BAD = [
    ("POST", "/v1/embeddings", {"input": ""}), ("POST", "/v1/embeddings", {"input": LONG}),
    ("POST", "/v1/embeddings", {"input": "a", "model": "gpt"}), ("POST", "/v1/embeddings", {"input": ["a"] * 9}),
    ("POST", "/v1/embeddings", {"input": "a", "encoding_format": "hex"}),
    ("POST", "/embed", "{"), ("POST", "/embed", {"inputs": []}), ("POST", "/embed", {"input": "a"}),
    ("POST", "/embed", {"inputs": LONG}), ("POST", "/embed_all", {"inputs": "a", "normalize": True}),
    ("POST", "/similarity", {"inputs": ["a"]}), ("POST", "/tokenize", {"inputs": [7]}), ("POST", "/decode", {"ids": "a"}),
    ("POST", "/embed", {"inputs": "a", "model": "gpt"}),
    ("POST", "/api/embed", {"model": "tiny"}), ("POST", "/api/embed", {"model": "none", "input": "a"}),
    ("POST", "/api/embeddings", {"model": "tiny", "input": "a"}),
]
# These are right in form; what is wrong with them only the model or the limits know.
RIGHT_IN_FORM = [{"input": LONG}, {"input": "a", "model": "gpt"}, {"input": ["a"] * 9}, {"inputs": LONG},
                 {"inputs": "a", "model": "gpt"}, {"model": "none", "input": "a"}]

CHECK = """
import json, sys
import jsonschema
from openapi_spec_validator import validate
document, seen = (json.load(open(name)) for name in sys.argv[1:3])
validate(document)
def follow(value):
    while "$ref" in value:
        found = document
        for part in value["$ref"][2:].split("/"):
            found = found[part]
        value = found
    return value
def fits(schema, value):
    return jsonschema.Draft202012Validator({**schema, "components": document["components"]}).is_valid(value)
for method, path, body, right, status, kind, answer in seen:
    about = f"{method} {path} {json.dumps(body)[:200]} {status}: {json.dumps(answer)[:200]}"
    operation = document["paths"][path][method.lower()]
    response = follow(operation["responses"][str(status)])
    assert fits(response["content"][kind]["schema"], answer), about
    if method == "POST" and not isinstance(body, str):
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        assert fits(schema, body) == right, about
"""


@pytest.fixture(scope="module")
def server(model):
    with Server(model, "--max-texts", 8) as running:
        yield running


def test_real_requests_and_answers_are_as_the_document_says(server, clients_python, tmp_path):
    seen = []
    for method, path, body in GOOD + BAD:
        sent = body if body is None or isinstance(body, str) else json.dumps(body)
        status, headers, answer = server.request(method, path, sent)
        good = (method, path, body) in GOOD
        assert (status == 200) == good, (path, body, answer)
        kind = headers["Content-Type"].split(";")[0]
        answer = json.loads(answer) if kind == "application/json" else answer.decode()
        seen.append((method, path, body, good or body in RIGHT_IN_FORM, status, kind, answer))
    document = json.loads(server.get("/openapi.json")[2])
    answered = {(m, p) for m, p, _ in GOOD}
    described = {(m.upper(), p) for p, methods in document["paths"].items() for m in methods}
    assert described - answered <= {("GET", "/")}
    files = []
    for name, content in (("document", document), ("seen", seen)):
        files.append(tmp_path / f"{name}.json")
        files[-1].write_text(json.dumps(content))
    clients_python(CHECK, *files)


def test_errors_of_the_server_are_as_the_document_says(model, clients_python, tmp_path):
    key = tmp_path / "keys"
    key.write_text("secret\n")
    with Server(model, "--api-key-file", key) as server:
        document = json.loads(server.get("/openapi.json")[2])
        seen = []
        for path, methods in document["paths"].items():
            for method, operation in methods.items():
                status, headers, answer = server.request(method.upper(), path)
                assert status == (200 if operation.get("security") == [{}] else 401), (method, path)
                if status == 401:
                    seen.append((method, path, "", False, status, headers["Content-Type"], json.loads(answer)))
    files = [tmp_path / "document.json", tmp_path / "seen.json"]
    files[0].write_text(json.dumps(document))
    files[1].write_text(json.dumps(seen))
    clients_python(CHECK, *files)
