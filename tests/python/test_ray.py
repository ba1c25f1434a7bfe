"""octavo.ray on a real local Ray cluster: two worker processes, of which one is killed in the middle."""
import json
import shutil
import tempfile

import numpy as np
import pytest

import engines

ROWS, FILES = 4000, 8
WORDS = "the quick brown fox jumps over lazy dogs and find me or you in cats tests of all".split()
TEXTS = [" ".join(WORDS[(i * k + k) % len(WORDS)] for k in range(1, 3 + i % 5)) + f" {i}" for i in range(ROWS)]

HEAD = """
import glob, json, os, signal, sys, threading, time
import numpy as np, pyarrow as pa, pyarrow.parquet as pq
import ray, ray.data
import octavo
from octavo.ray import EmbedBatches, embed_parquet

model, folder, session, texts = (json.loads(sys.argv[1])[k] for k in ("model", "folder", "session", "texts"))
source, target = folder + "/source", folder + "/target"

def cluster(cpus):
    ray.init(num_cpus=cpus, include_dashboard=False, object_store_memory=100 << 20, _node_ip_address="127.0.0.1",
             _temp_dir=session, logging_level="warning", log_to_driver=False)

def write(files):
    os.makedirs(source, exist_ok=True)
    rows = len(texts) // files
    for n in range(files):
        ids = list(range(n * rows, (n + 1) * rows))
        table = pa.table({"id": ids, "text": pa.array([texts[i] for i in ids], pa.large_string()),
                          "tags": pa.array([[i, -i] for i in ids], pa.list_(pa.int64()))})
        pq.write_table(table, f"{source}/part-{n}.parquet", row_group_size=rows // 3)

def save(path):
    # What lies there, in the order of ids, for the test to compare.
    table = pq.read_table(path).sort_by("id")
    assert table.schema.field("embedding").type == pa.list_(pa.float32(), table["embedding"].type.list_size), table.schema
    np.save(folder + "/vectors.npy", table["embedding"].combine_chunks().flatten().to_numpy().reshape(len(table), -1))
    assert table["tags"].to_pylist() == [[i, -i] for i in table["id"].to_pylist()]
    assert table["text"].to_pylist() == [texts[i] for i in table["id"].to_pylist()]
    return table["id"].to_pylist()
"""


@pytest.fixture(scope="module")
def expected(program, model, tmp_path_factory):
    """What octavo embed gives for the texts."""
    folder = tmp_path_factory.mktemp("expected")
    (folder / "in.jsonl").write_text("".join(json.dumps({"text": t}) + "\n" for t in TEXTS))
    program("embed", model, "--input", folder / "in.jsonl", "--output", folder / "out.npy")
    return np.load(folder / "out.npy")


@pytest.fixture
def run(model, tmp_path):
    python = engines.interpreter()
    # Its sockets lie in it, and their names may have 107 bytes.
    session = tempfile.mkdtemp(prefix="octavo-ray-", dir="/tmp")

    def call(code, **options):
        arguments = {"model": model, "folder": tmp_path, "session": session, "texts": TEXTS}
        return engines.run(python, HEAD + code, arguments, tmp_path, **options)

    yield call
    shutil.rmtree(session, ignore_errors=True)


def same(folder, expected):
    got = np.load(folder / "vectors.npy")
    return got.dtype == np.float32 and got.shape == expected.shape and got.tobytes() == expected.tobytes()


def test_map_batches_with_a_killed_worker(run, tmp_path, expected):
    """A worker kills itself, for that is exact, when it has the vectors of row 222, before it gives them out,
    and the other one is at work."""
    done = run("""
class Watched(EmbedBatches):
    def __call__(self, batch):
        made = super().__call__(batch)
        with open(f"{folder}/pid-{os.getpid()}", "a") as log:
            log.write(f"{self._embedder!r} {batch.num_rows}\\n")
        maps = {line.split()[-1] for line in open("/proc/self/maps") if line.split()[-1].endswith(".safetensors")}
        open(f"{folder}/maps-{os.getpid()}", "w").write(" ".join(maps))
        if 222 in batch["id"].to_pylist():
            try:
                os.close(os.open(folder + "/killed", os.O_CREAT | os.O_EXCL))
                until = time.monotonic() + 120
                while len(glob.glob(folder + "/pid-*")) < 2 and time.monotonic() < until:
                    time.sleep(0.01)
                open(folder + "/victim", "w").write(str(os.getpid()))
                os.kill(os.getpid(), signal.SIGKILL)
            except FileExistsError:
                pass
        return made

write(8)
cluster(3)
ray.data.read_parquet(source).repartition(target_num_rows_per_block=200).map_batches(
    Watched, fn_constructor_args=(model,), fn_constructor_kwargs={"column": "text"}, batch_format="pyarrow", batch_size=100,
    compute=ray.data.ActorPoolStrategy(size=2, max_tasks_in_flight_per_actor=1), num_cpus=1).write_parquet(target)
pids = [int(p.rpartition("-")[2]) for p in glob.glob(folder + "/pid-*")]
batches = {p: len(open(f"{folder}/pid-{p}").readlines()) for p in pids}
maps = sorted({open(f"{folder}/maps-{p}").read() for p in pids})
print(json.dumps({"ids": save(target), "victim": int(open(folder + "/victim").read()), "batches": batches, "maps": maps}))
""")
    assert done["ids"] == list(range(ROWS))
    assert same(tmp_path, expected)
    # Two workers, and one in the dead one's place; what it had begun was done again by another.
    assert len(done["batches"]) == 3 and str(done["victim"]) in done["batches"]
    assert sum(done["batches"].values()) > ROWS // 100
    assert len(done["maps"]) == 1 and done["maps"][0].startswith("/")


def test_files_and_a_killed_worker_and_a_killed_job(run, tmp_path, expected):
    """A worker is killed while it writes a file, then the whole job; the next one goes on."""
    run("""
write(8)
cluster(2)

def kill():
    while len(glob.glob(target + "/*.parquet")) < 1:
        time.sleep(0.001)
    victim = None
    while victim is None:
        for part in glob.glob(target + "/.*.part"):
            for fd in glob.glob("/proc/[0-9]*/fd/*"):
                try:
                    if os.readlink(fd) == part and int(fd.split("/")[2]) != os.getpid():
                        victim = int(fd.split("/")[2])
                        os.kill(victim, signal.SIGKILL)
                        open(folder + "/killed-writing", "w").write(part)
                        break
                except OSError:
                    pass
            if victim:
                break
    done = len(glob.glob(target + "/*.parquet"))
    while len(glob.glob(target + "/*.parquet")) < done + 2:
        time.sleep(0.001)
    os.kill(os.getpid(), signal.SIGKILL)

threading.Thread(target=kill, daemon=True).start()
embed_parquet(source, target, model, workers=2, rows=20)
""", expect=-9)
    assert (tmp_path / "killed-writing").exists()
    made = {p.name: (p.stat().st_ino, p.stat().st_mtime_ns) for p in (tmp_path / "target").glob("*.parquet")}
    assert 0 < len(made) < FILES
    done = run("""
cluster(2)
made = embed_parquet(source, target, model, workers=2, rows=20)
again = embed_parquet(source, target, model, workers=2)
print(json.dumps({"ids": save(target), "made": made, "again": again}))
""")
    assert done["ids"] == list(range(ROWS))
    assert same(tmp_path, expected)
    assert done["made"] == [FILES - len(made), ROWS // FILES * (FILES - len(made)), len(made)] and done["again"] == [0, 0, FILES]
    now = {p.name: (p.stat().st_ino, p.stat().st_mtime_ns) for p in (tmp_path / "target").iterdir()}
    assert len(now) == FILES and {name: now[name] for name in made} == made


def test_what_it_says(run, tmp_path):
    """Options reach the model, and mistakes come back by their names."""
    done = run("""
cluster(2)
said = {}

def wrong(name, call):
    try:
        call()
        said[name] = ""
    except Exception as error:
        said[name] = f"{type(error).__name__} {error}"

def files(name, table, **options):
    os.makedirs(f"{folder}/{name}/sub", exist_ok=True)
    pq.write_table(table, f"{folder}/{name}/sub/a.parquet")
    # Characters that mean something else in a URI.
    pq.write_table(table, f"{folder}/{name}/sub/50%25 #1?.parquet")
    pq.write_table(table, f"{folder}/{name}/_not.parquet")
    return embed_parquet(f"{folder}/{name}", f"file://{folder}/{name}-out/", model, **options)

gaps = pa.table({"text": ["one", None, "three"], "id": [0, 1, 2]})
wrong("nulls", lambda: files("a", gaps))
kept = files("a", gaps, nulls="keep", dtype="int8", dimensions=8, output="v", workers=5)
out = pq.read_table(f"{folder}/a-out/sub/a.parquet")
said["prompt"] = EmbedBatches(model, prompt="say: ")(gaps.slice(2))["embedding"][0].as_py() == octavo.Embedder(model).encode("say: three").tolist()
wrong("other options", lambda: files("a", gaps, nulls="keep", dtype="int8", dimensions=9, output="v"))
wrong("other rows", lambda: files("a", gaps.slice(1), nulls="keep", dtype="int8", dimensions=8, output="v"))
wrong("column", lambda: files("b", gaps, column="body"))
wrong("numbers", lambda: files("b", gaps, column="id"))
wrong("taken", lambda: files("b", gaps, output="id"))
wrong("model", lambda: embed_parquet(folder + "/a", folder + "/c", folder + "/no-model"))
wrong("inside", lambda: embed_parquet(folder + "/a", folder + "/a/out", model))
wrong("nothing", lambda: embed_parquet(folder + "/none", folder + "/c", model))
wrong("option", lambda: embed_parquet(folder + "/a", folder + "/c", model, dimension=8))
wrong("own option", lambda: EmbedBatches(model, dimension=8))
wrong("rows", lambda: embed_parquet(folder + "/a", folder + "/c", model, rows=0))
wrong("format", lambda: ray.data.from_items([{"text": "a"}]).map_batches(
    EmbedBatches, fn_constructor_args=(model,), compute=ray.data.ActorPoolStrategy(size=1)).take_all())
local = EmbedBatches(model, column="text")
empty = local(pa.table({"text": pa.array([], pa.string())}))
words = local(pa.table({"text": pa.array(["one", "two", "one"]).dictionary_encode()}))
want = octavo.Embedder(model).encode(["one", "two", "one"])
print(json.dumps({"kept": kept, "vectors": out["v"].to_pylist(), "type": str(out["v"].type), "files": sorted(os.listdir(folder + "/a-out")),
                  "names": sorted(os.listdir(folder + "/a-out/sub")),
                  "want": octavo.Embedder(model).encode(["one", "three"], dtype="int8", dimensions=8).tolist(), "said": said,
                  "empty": [empty.num_rows, empty.schema == words.schema.set(0, empty.schema.field(0))],
                  "dictionary": words["embedding"].combine_chunks().flatten().to_numpy().tobytes() == want.tobytes()}))
""")
    assert done["kept"] == [2, 6, 0] and done["files"] == ["sub"] and done["names"] == ["50%25 #1?.parquet", "a.parquet"] and "int8" in done["type"]
    assert done["vectors"] == [done["want"][0], None, done["want"][1]]
    assert done["empty"] == [0, True] and done["dictionary"]
    said = done["said"]
    assert said.pop("prompt") is True
    for name, words in {
        "nulls": "column 'text' has 1 nulls in a batch of 3 rows, the first in row 2",
        "other options": "dimensions 8 instead of 9; remove it",
        "other rows": "3 rows instead of 2; remove it",
        "column": "no column 'body'; there are: text, id",
        "numbers": "column 'id' is of type int64; texts are strings",
        "taken": "the data has a column 'id' already",
        "model": "no-model",
        "inside": "lies inside of",
        "nothing": "none: no such file or folder",
        "option": "TypeError there is no option 'dimension'; there are batch_tokens, cache, column, dimensions, ",
        "own option": "TypeError there is no option 'dimension'; there are batch_tokens, cache, dimensions, ",
        "rows": "rows is 0; it can be 1 or more",
        "format": 'batch_format="pyarrow"',
    }.items():
        assert words in said[name], (name, said[name])
    assert said["other options"].startswith("InvalidInputError") and said["nothing"].startswith("NotFoundError")
