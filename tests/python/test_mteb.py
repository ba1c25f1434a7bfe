"""The real mteb runs small tasks offline through octavo.mteb: its scores are those of octavo embed's vectors, computed
here, and those that it gives the real sentence-transformers with the same weights."""
import json
import os

import numpy as np
import pytest
from scores import ndcg_at_10, pearson, spearman

from conftest import SOURCE

NOTES = (SOURCE / "examples" / "notes.txt").read_text().splitlines()
# A question and the first words of the notes that answer it, the better one first.
QUESTIONS = [
    ("I cannot sign in any more", ["To reset a forgotten"]),
    ("white film on drinking glasses after washing", ["The dishwasher leaves"]),
    ("how to fix a puncture", ["A flat bicycle"]),
    ("why do my tomatoes split", ["Tomatoes like deep"]),
    ("bread without yeast from the shop", ["Sourdough starter needs"]),
    ("my ankle is swollen after a fall", ["For a sprained ankle"]),
    ("no internet connection", ["The router's light"]),
    ("coffee has an unpleasant taste", ["Espresso tastes sour"]),
    ("when may I leave my flat", ["Rental contracts end"]),
    ("warming of the climate in the mountains", ["The alpine glaciers", "Volcanic ash closed"]),
    ("which fungi are poisonous", ["Mushrooms with white"]),
    ("travelling abroad", ["A passport is valid", "The train to the airport", "Volcanic ash closed"]),
    ("keeping data safe", ["The backup runs", "Migrating the database", "To reset a forgotten"]),
    ("being a father", ["Parents may take"]),
]
# Two texts and how alike they are, of 5.
PAIRS = [
    ("The museum is closed on Mondays.", "On Mondays you cannot visit the museum.", 5.0),
    ("The museum is closed on Mondays.", "The gallery opens on Tuesday.", 3.0),
    ("The museum is closed on Mondays.", "Bees dance to tell the others the way.", 0.0),
    ("Boil potatoes in their skins.", "Cook the potatoes unpeeled.", 4.8),
    ("Boil potatoes in their skins.", "Mash the potatoes with butter.", 2.5),
    ("Boil potatoes in their skins.", "The telescope needs an hour outside.", 0.2),
    ("The train leaves from platform four.", "Platform four is where the train departs.", 4.9),
    ("The train leaves from platform four.", "The bus leaves from the square.", 2.2),
    ("The train leaves from platform four.", "The train to the airport takes half an hour.", 2.8),
    ("An invoice has to carry a number.", "Every bill needs a number.", 4.4),
    ("An invoice has to carry a number.", "Chess openings are not learned by heart.", 0.0),
    ("Test the smoke detector once a month.", "Check the fire alarm monthly.", 4.5),
    ("Test the smoke detector once a month.", "Check the pressure of the heating.", 1.4),
]
CODE = """
import json, socket, sys, warnings
def no_network(*_):
    raise OSError("the network was asked for")
socket.socket.connect = socket.getaddrinfo = no_network
warnings.simplefilter("ignore")
from datasets import Dataset
import mteb
from mteb.abstasks import AbsTaskRetrieval
from mteb.abstasks.sts import AbsTaskSTS
from mteb.abstasks.task_metadata import TaskMetadata
from mteb.models import EncoderProtocol
from octavo.mteb import OctavoEncoder
ours, theirs, cache, notes, queries, relevant, pairs = json.loads(sys.stdin.read())
ABOUT = dict(description="of this machine alone", dataset={"path": "none/local", "revision": "1"}, category="t2t", eval_splits=["test"],
             eval_langs=["eng-Latn"], modalities=["text"])
class Notes(AbsTaskRetrieval):
    metadata = TaskMetadata(name="OctavoNotes", type="Retrieval", main_score="ndcg_at_10", **ABOUT)
    def load_data(self, **_):
        self.dataset = {"default": {"test": {
            "corpus": Dataset.from_dict({"id": list(notes), "title": [""] * len(notes), "text": list(notes.values())}),
            "queries": Dataset.from_dict({"id": list(queries), "text": list(queries.values())}),
            "relevant_docs": relevant, "top_ranked": None}}}
        self.data_loaded = True
class Pairs(AbsTaskSTS):
    metadata = TaskMetadata(name="OctavoPairs", type="STS", main_score="cosine_spearman", **ABOUT)
    min_score, max_score = 0, 5
    def load_data(self, **_):
        a, b, score = zip(*pairs)
        self.dataset = {"test": Dataset.from_dict({"sentence1": a, "sentence2": b, "score": score})}
        self.data_loaded = True
def run(model, **more):
    result = mteb.evaluate(model, [Notes(), Pairs()], show_progress_bar=False, **more)
    return {r.task_name: r.scores["test"][0] for r in result.task_results}, result.model_name, result.model_revision
"""


@pytest.fixture(scope="module")
def folders(beside_the_real_one):
    return beside_the_real_one("notes-minilm", {"query": "question: ", "document": "", "STS": "text: "})


@pytest.fixture(scope="module")
def run(mteb_python, folders, tmp_path_factory):
    """run(code) -> what the code prints last, run where mteb is; it finds the tasks below and no network."""
    place = tmp_path_factory.mktemp("home")
    notes = {f"n{i}": text for i, text in enumerate(NOTES)}
    queries = {f"q{i}": text for i, (text, _) in enumerate(QUESTIONS)}
    ids = {start: note for _, starts in QUESTIONS for start in starts for note, text in notes.items() if text.startswith(start)}
    relevant = {f"q{i}": {ids[s]: len(starts) - at for at, s in enumerate(starts)} for i, (_, starts) in enumerate(QUESTIONS)}
    # One thread of torch: others that spin would keep other tests from the cores.
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(place / "hf"), "MTEB_CACHE": str(place / "mteb"),
                   "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}

    def call(code):
        given = json.dumps([*map(str, folders), str(place / "results"), notes, queries, relevant, PAIRS])
        return json.loads(mteb_python(CODE + code, input=given, env=environment).stdout.splitlines()[-1])

    call.notes, call.queries, call.relevant = notes, queries, relevant
    return call


@pytest.fixture(scope="module")
def results(run):
    """Scores by task of octavo's MiniLM, of sentence-transformers' and of octavo's with int8 vectors; the first one's name and
    revision."""
    return run("""
from sentence_transformers import SentenceTransformer
model = OctavoEncoder(ours, threads=1)
assert isinstance(model, EncoderProtocol)
mine, name, revision = run(model, cache=None)
print(json.dumps([mine, run(SentenceTransformer(theirs, device="cpu"), cache=None)[0],
                  run(model, cache=None, encode_kwargs={"precision": "int8", "batch_size": 3})[0], name, revision]))
""")


def vectors_of(program, folder, texts, prompt, tmp_path):
    program("embed", folder, *texts, "--prompt-name", prompt, "--output", tmp_path / "v.npy")
    return np.load(tmp_path / "v.npy").astype(np.float64)


def test_the_scores(results, run, program, folders, tmp_path):
    got, _, _, name, revision = results
    queries = vectors_of(program, folders[0], run.queries.values(), "query", tmp_path)
    notes = vectors_of(program, folders[0], NOTES, "document", tmp_path)
    expected = ndcg_at_10(queries @ notes.T, list(run.relevant.values()), list(run.notes))
    assert 0.7 < expected < 1 and abs(got["OctavoNotes"]["ndcg_at_10"] - expected) < 2e-5  # mteb rounds
    a, b = (vectors_of(program, folders[0], [p[i] for p in PAIRS], "STS", tmp_path) for i in (0, 1))
    alike = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    gold = np.array([p[2] for p in PAIRS])
    assert 0.7 < spearman(alike, gold) < 1
    assert abs(got["OctavoPairs"]["cosine_spearman"] - spearman(alike, gold)) < 2e-5
    assert abs(got["OctavoPairs"]["cosine_pearson"] - pearson(alike, gold)) < 2e-5
    assert got["OctavoPairs"]["spearman"] == got["OctavoPairs"]["cosine_spearman"]  # by the model's own similarity
    assert name == "octavo/notes-minilm" and len(revision) == 40


def test_beside_sentence_transformers(results):
    ours, theirs, narrow = results[:3]
    for task, score in [("OctavoNotes", "ndcg_at_10"), ("OctavoNotes", "map_at_10"), ("OctavoPairs", "cosine_spearman"),
                        ("OctavoPairs", "cosine_pearson"), ("OctavoPairs", "euclidean_pearson")]:
        assert abs(ours[task][score] - theirs[task][score]) < 1e-4, (task, score)
    assert abs(ours["OctavoNotes"]["ndcg_at_10"] - narrow["OctavoNotes"]["ndcg_at_10"]) < 0.03
    assert ours["OctavoPairs"]["cosine_pearson"] != narrow["OctavoPairs"]["cosine_pearson"]


def test_one_model_and_another(run):
    """Prompts, dimensions, errors, and names: what gives other vectors is another model for mteb's cache of results."""
    names, revisions, facts, same, errors, (first, again, asked) = run("""
import numpy as np, octavo
from mteb.cache import ResultCache
from mteb.models import ModelMeta
from mteb.types import PromptType
e = octavo.Embedder(ours)
a, b = OctavoEncoder(e), OctavoEncoder(ours, name="me/minilm", threads=1)
short = OctavoEncoder(e, embed_dim=64, prompts={"OctavoNotes": "note: "})
loaded = ModelMeta.create_empty(overwrites={"name": ours, "loader": OctavoEncoder, "revision": None}).load_model()
def vectors(model, prompt_type, task, batch={"text": ["a", "b"]}, **more):
    return model.encode([batch, {"text": ["c"]}], task_metadata=task.metadata, hf_split="test", hf_subset="default",
                        prompt_type=prompt_type, **more)
same = [np.array_equal(vectors(a, PromptType.query, Notes), e.encode(["a", "b", "c"], prompt_name="query")),
        np.array_equal(vectors(a, PromptType.document, Notes), e.encode(["a", "b", "c"], prompt_name="document")),
        np.array_equal(vectors(a, None, Pairs), e.encode(["a", "b", "c"], prompt_name="STS")),
        np.array_equal(vectors(a, None, Notes), e.encode(["a", "b", "c"])),
        np.array_equal(vectors(short, PromptType.query, Notes), e.encode(["note: a", "note: b", "note: c"])[:, :64]),
        np.array_equal(vectors(loaded, PromptType.query, Notes), vectors(a, PromptType.query, Notes))]
errors = []
for wrong in (lambda: vectors(a, None, Notes, {"text": ["a"], "image": [1]}), lambda: vectors(a, None, Notes, {"title": ["a"]}),
              lambda: vectors(a, None, Notes, precision="uint8"), lambda: OctavoEncoder(ours, device="cuda"),
              lambda: OctavoEncoder(e, name="minilm")):
    try:
        wrong()
    except octavo.Error as error:
        errors.append([type(error).__name__, str(error)])
calls = []
class Counted(OctavoEncoder):
    def encode(self, *arguments, **named):
        calls.append(self)
        return super().encode(*arguments, **named)
runs = [run(Counted(e), cache=ResultCache(cache)), run(Counted(ours), cache=ResultCache(cache))]
asked = [len(set(calls))]
run(Counted(e, embed_dim=32), cache=ResultCache(cache))
print(json.dumps([[m.mteb_model_meta.name for m in (a, b, short)], [m.mteb_model_meta.revision for m in (a, b, short)],
                  [a.mteb_model_meta.embed_dim, short.mteb_model_meta.embed_dim, a.mteb_model_meta.max_tokens], same, errors,
                  [*runs, [*asked, len(set(calls))]]]))
""")
    assert names == ["octavo/notes-minilm", "me/minilm", "octavo/notes-minilm"]
    assert revisions[0] == revisions[1] != revisions[2] and facts == [384, 64, 256]
    assert same == [True] * 6
    assert [kind for kind, _ in errors] == ["UnsupportedError"] * 4 + ["InvalidInputError"]
    assert "OctavoNotes has image" in errors[0][1] and "no text" in errors[1][1]
    assert first[1:] == again[1:] and asked == [1, 2]
    for task, score in [("OctavoNotes", "ndcg_at_10"), ("OctavoPairs", "cosine_pearson")]:
        assert abs(first[0][task][score] - again[0][task][score]) < 1e-6  # it keeps six digits
