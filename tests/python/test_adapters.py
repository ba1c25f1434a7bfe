"""Octavo inside other people's libraries, the real ones: their own pipelines get the bits of octavo embed."""
import json

import numpy as np
import pytest

TEXTS = ["find me", "or me", "cats and dogs", "\u00fcber \u4f60\u597d"]
QUERY = "who wrote Faust?"
HEAD = """
import json, sys, warnings
warnings.simplefilter("ignore")
model, texts, query = json.loads(sys.argv[1])
"""


@pytest.fixture(scope="module")
def expected(program, qwen3, tmp_path_factory):
    """Vectors of the texts as documents (their prompt is empty) and of the query as a query."""
    folder = tmp_path_factory.mktemp("expected")
    program("embed", qwen3, *TEXTS, "--prompt-name", "document", "--output", folder / "d.npy")
    program("embed", qwen3, QUERY, "--prompt-name", "query", "--output", folder / "q.npy")
    return np.load(folder / "d.npy"), np.load(folder / "q.npy")[0]


def same(got, expected):
    got = np.asarray(got)
    return got.shape == expected.shape and got.astype(np.float32).tobytes() == expected.tobytes() and (
        got.astype(np.float32) == got).all()


@pytest.fixture
def run(adapters_python, qwen3, monkeypatch):
    monkeypatch.setenv("HAYSTACK_TELEMETRY_ENABLED", "False")

    def call(code):
        done = adapters_python(HEAD + code, json.dumps([str(qwen3), TEXTS, QUERY]))
        return json.loads(done.stdout.splitlines()[-1])

    return call


def test_langchain(run, expected):
    got = run("""
import asyncio, octavo
from langchain_core.embeddings import Embeddings
from langchain_core.vectorstores import InMemoryVectorStore
from octavo.langchain import OctavoEmbeddings
e = OctavoEmbeddings(model, threads=1)
assert isinstance(e, Embeddings)
store = InMemoryVectorStore(e)
ids = store.add_texts(texts)
best = store.similarity_search_with_score(query, k=4)
plain = OctavoEmbeddings(octavo.Embedder(model), query_prompt="document").embed_query(query)
try:
    OctavoEmbeddings(model, query_prompt="passage")
except octavo.NotFoundError as error:
    wrong = str(error)
print(json.dumps([[store.store[i]["vector"] for i in ids], e.embed_query(query), asyncio.run(e.aembed_documents(texts)),
                  asyncio.run(e.aembed_query(query)), [[d.page_content, s] for d, s in best], plain, wrong]))
""")
    documents, query = expected
    assert same(got[0], documents) and same(got[1], query) and same(got[2], documents) and same(got[3], query)
    cosines = documents @ query
    assert [text for text, _ in got[4]] == [TEXTS[i] for i in np.argsort(-cosines)]
    assert np.allclose([score for _, score in got[4]], sorted(cosines)[::-1], atol=1e-6)
    assert not same(got[5], query) and "the model has: document, query" in got[6]


def test_llama_index(run, expected):
    got = run("""
import asyncio, octavo, pickle
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.ingestion import IngestionPipeline
from llama_index.core.schema import TextNode
from octavo.llama_index import OctavoEmbedding
e = OctavoEmbedding(model, embed_batch_size=3, embedder_options={"threads": 1})
assert isinstance(e, BaseEmbedding) and e.model_name == "qwen3"
nodes = IngestionPipeline(transformations=[e]).run(nodes=[TextNode(text=t) for t in texts])
other = OctavoEmbedding(octavo.Embedder(model), query_prompt="document")
print(json.dumps([[n.embedding for n in nodes], e.get_query_embedding(query), e.get_text_embedding_batch(texts),
                  asyncio.run(e.aget_text_embedding_batch(texts)), asyncio.run(e.aget_query_embedding(query)),
                  e.get_text_embedding(texts[0]), other.get_query_embedding(query), e.to_dict()["class_name"],
                  pickle.loads(pickle.dumps(e)).get_query_embedding(query)]))
""")
    documents, query = expected
    assert same(got[0], documents) and same(got[1], query) and same(got[2], documents) and same(got[3], documents)
    assert same(got[4], query) and same(got[5], documents[0]) and not same(got[6], query)
    assert got[7] == "OctavoEmbedding" and same(got[8], query)


def test_haystack(run, expected):
    got = run("""
from haystack import Document, Pipeline
from haystack.components.retrievers.in_memory import InMemoryEmbeddingRetriever
from haystack.document_stores.in_memory import InMemoryDocumentStore
from octavo.haystack import OctavoDocumentEmbedder, OctavoTextEmbedder
documents = [Document(content=t) for t in texts]
made = OctavoDocumentEmbedder(model).run(documents)["documents"]
assert all(d.embedding is None for d in documents) and [d.id for d in made] == [d.id for d in documents]
store = InMemoryDocumentStore(embedding_similarity_function="cosine")
store.write_documents(made)
pipeline = Pipeline()
pipeline.add_component("embedder", OctavoTextEmbedder(model, options={"threads": 1}))
pipeline.add_component("retriever", InMemoryEmbeddingRetriever(store, top_k=4))
pipeline.connect("embedder.embedding", "retriever.query_embedding")
found = pipeline.run({"embedder": {"text": query}})["retriever"]["documents"]
again = OctavoTextEmbedder.from_dict(OctavoTextEmbedder(model, options={"threads": 1}).to_dict())
fields = OctavoDocumentEmbedder(model, meta_fields_to_embed=["title", "none"], embedding_separator=" - ")
fields = OctavoDocumentEmbedder.from_dict(fields.to_dict())
titled = fields.run([Document(content="dogs", meta={"title": "cats"}), Document(content="cats - dogs")])["documents"]
errors = []
for wrong in (lambda: again.run(documents), lambda: fields.run(query)):
    try:
        wrong()
    except TypeError as error:
        errors.append(str(error))
print(json.dumps([[d.embedding for d in made], again.run(query)["embedding"], [d.content for d in found],
                  [d.embedding for d in titled], errors]))
""")
    documents, query = expected
    assert same(got[0], documents) and same(got[1], query)
    assert got[2] == [TEXTS[i] for i in np.argsort(-(documents @ query))]
    assert got[3][0] == got[3][1] and len(got[4]) == 2


def test_fastembed(runtimes_python, program, minilm, tmp_path):
    """The same calls to both; fastembed's own MiniLM is a float model, as this one."""
    program("import", minilm, "-o", tmp_path / "fp32")
    done = runtimes_python("""
import inspect, json, sys
from fastembed import TextEmbedding as Theirs
from fastembed.common.model_description import ModelSource, PoolingType
from octavo.fastembed import TextEmbedding as Ours
model, texts, query = json.loads(sys.argv[1])
Theirs.add_custom_model(model="fp32", pooling=PoolingType.MEAN, normalization=True, sources=ModelSource(url="-"), dim=384,
                        model_file="model.onnx")
out = []
for one in (Theirs("fp32", specific_model_path=model), Ours(model)):
    made = one.embed(iter(texts), batch_size=2)
    assert inspect.isgenerator(made)
    vectors = [v for v in made]
    assert all(v.shape == (384,) and v.dtype == "float32" for v in vectors)
    out.append([[v.tolist() for v in vectors], [v.tolist() for v in one.embed(query)],
                [v.tolist() for v in one.query_embed(query)], [v.tolist() for v in one.query_embed([query])],
                [v.tolist() for v in one.passage_embed(texts)], one.embedding_size])
for name in ("embed", "query_embed", "passage_embed"):
    theirs, ours = (list(inspect.signature(getattr(c, name)).parameters.values()) for c in (Theirs, Ours))
    assert [(p.name, p.default) for p in theirs if p.kind != p.VAR_KEYWORD] == [(p.name, p.default) for p in ours]
print(json.dumps(out))
""", json.dumps([str(tmp_path / "fp32"), TEXTS, QUERY]))
    theirs, ours = json.loads(done.stdout)
    assert theirs[5] == ours[5] == 384
    for a, b in zip(theirs[:5], ours[:5]):
        assert np.shape(a) == np.shape(b) and np.abs(np.array(a) - np.array(b)).max() < 1e-5
    program("embed", tmp_path / "fp32", *TEXTS, "--output", tmp_path / "o.npy")
    assert same(ours[0], np.load(tmp_path / "o.npy"))
