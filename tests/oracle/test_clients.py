"""Other people's clients, unmodified, against octavo serve: the bits of octavo embed, and its errors as theirs."""
import json
import subprocess

import numpy as np
import pytest

from serving import Server, model

TEXTS = ["a", "cats and dogs", "how do I reset my password?", "\u00fcber \u4f60\u597d"]
LONG = "a " * 5000


@pytest.fixture(scope="module")
def server(model):
    with Server(model) as running:
        yield running


@pytest.fixture(scope="module")
def expected(octavo, model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("expected")
    lines = folder / "in.jsonl"
    lines.write_text("".join(json.dumps({"text": t}) + "\n" for t in TEXTS))
    octavo("embed", model, "--input", lines, "--output", folder / "out.npy")
    return np.load(folder / "out.npy")


@pytest.fixture
def client(clients_python, server):
    """client(code) runs code that prints JSON; `url`, `texts`, `long` are there."""

    def call(code):
        head = f"import json\nurl, texts, long = {f'http://{server.host}:{server.port}'!r}, {TEXTS!r}, {LONG!r}\n"
        return json.loads(clients_python(head + code).stdout)

    return call


def same(got, expected):
    got = np.asarray(got, dtype=np.float32)
    return got.shape == expected.shape and got.tobytes() == expected.tobytes()


def test_openai(client, expected):
    got = client("""
import openai
c = openai.OpenAI(base_url=url + "/v1", api_key="none", max_retries=0)
out = {"models": [m.id for m in c.models.list()]}
made = c.embeddings.create(model="tiny", input=texts)  # asks for base64
out["usage"] = made.usage.total_tokens
out["base64"] = [d.embedding for d in made.data]
made = c.embeddings.create(model="tiny", input=texts, encoding_format="float", extra_body={"truncate": True})
out["float"] = [d.embedding for d in made.data]
out["short"] = [d.embedding for d in c.embeddings.create(model="tiny", input=texts, dimensions=4).data]
errors = []
for error, arguments in ((openai.BadRequestError, {"model": "tiny", "input": long}),
                         (openai.NotFoundError, {"model": "gpt", "input": "a"})):
    try:
        c.embeddings.create(**arguments)
    except error as e:
        errors.append([e.status_code, e.code, e.param])
out["errors"] = errors
print(json.dumps(out))
""")
    assert got["models"] == ["tiny"] and got["usage"] > len(TEXTS)
    assert same(got["base64"], expected) and same(got["float"], expected)
    assert np.asarray(got["short"]).shape == (len(TEXTS), 4)
    assert got["errors"] == [[400, "context_length_exceeded", "input"], [404, "model_not_found", "model"]]


def test_langchain_openai(client, expected):
    got = client("""
from langchain_openai import OpenAIEmbeddings
c = OpenAIEmbeddings(base_url=url + "/v1", api_key="none", model="tiny", check_embedding_ctx_length=False)
print(json.dumps([c.embed_documents(texts), c.embed_query(texts[1])]))
""")
    assert same(got[0], expected) and same(got[1], expected[1])


def test_ollama(client, expected):
    got = client("""
import ollama
c = ollama.Client(host=url)
made = c.embed(model="tiny", input=texts)
out = {"embed": [list(v) for v in made.embeddings], "count": made.prompt_eval_count}
out["older"] = list(c.embeddings(model="tiny:latest", prompt=texts[1]).embedding)
out["tags"] = [m.model for m in c.list().models]
try:
    c.embed(model="tiny", input=long)
except ollama.ResponseError as e:
    out["error"] = [e.status_code, e.error]
out["cut"] = len(c.embed(model="tiny", input=long, truncate=True).embeddings)
print(json.dumps(out))
""")
    assert same(got["embed"], expected) and same(got["older"], expected[1])
    assert got["tags"] == ["tiny"] and got["count"] > len(TEXTS) and got["cut"] == 1
    assert got["error"][0] == 400 and "limit" in got["error"][1]


def test_huggingface_hub(runtimes_python, server, expected):
    got = json.loads(runtimes_python("""
import json, sys
from huggingface_hub import InferenceClient
from huggingface_hub.errors import HfHubHTTPError
url, texts, long = json.loads(sys.argv[1])
c = InferenceClient(model=url)
out = {"one": [c.feature_extraction(t).tolist() for t in texts], "all": c.feature_extraction(texts).tolist()}
out["cut"] = c.feature_extraction(long, truncate=True, truncation_direction="left", normalize=True).shape
try:
    c.feature_extraction(long)
except HfHubHTTPError as e:
    out["error"] = e.response.status_code
print(json.dumps(out))
""", json.dumps([f"http://{server.host}:{server.port}", TEXTS, LONG])).stdout)
    assert same([v[0] for v in got["one"]], expected) and same(got["all"], expected)
    assert got["cut"] == [1, expected.shape[1]] and got["error"] == 413


def test_curl(server, expected):
    body = json.dumps({"input": TEXTS})
    done = subprocess.run(["curl", "-sS", "--fail", f"http://{server.host}:{server.port}/v1/embeddings", "-d", body],
                          capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert same([d["embedding"] for d in json.loads(done.stdout)["data"]], expected)


def test_prometheus_reads_the_metrics(clients_python, server):
    server.post("/v1/embeddings", {"input": "a"})
    names = json.loads(clients_python("""
import json, sys
from prometheus_client.parser import text_string_to_metric_families
print(json.dumps([f.name for f in text_string_to_metric_families(sys.argv[1])]))
""", server.get("/metrics")[2].decode()).stdout)
    assert {"octavo_requests", "octavo_request_seconds", "octavo_batch_tokens", "octavo_queue_tokens"} <= set(names)
    assert len(names) == len(set(names))
