"""octavo evaluate: every number against a second reading of its definition in numpy, on the vectors that
`octavo embed` gives; and tools/make_retrieval_set.py against the pages of tests/golden/manpages."""
import gzip
import json
import pathlib
import random
import shutil
import subprocess
import sys

import numpy as np
import pytest

SOURCE = pathlib.Path(__file__).resolve().parents[2]
TOOL = SOURCE / "tools/make_retrieval_set.py"
PAGES = SOURCE / "tests/golden/manpages"
SET = SOURCE / "tests/golden/retrieval/manpages.jsonl"
INT8, VANILLA = "model.int8.onnx", "model.int8.vanilla.onnx"


def write_set(file, documents, queries, name="words"):
    lines = [{"format": "octavo-retrieval-1", "name": name}, *documents, *queries]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return file


@pytest.fixture(scope="module")
def folder(octavo, tiny, tmp_path_factory):
    """Both INT8 variants of a tiny model and, below, its FP32 model."""
    out = tmp_path_factory.mktemp("evaluate")
    octavo("build", tiny / "bert", "-o", out, "--min-cos", "0.2")
    octavo("import", tiny / "bert", "-o", out / "fp32")
    return out


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    """150 documents, 40 queries of parts of them: more documents than ranks that are compared."""
    rng = random.Random(20261125)
    vocabulary = [w for w in (SOURCE / "tests/golden/tiny/bert/tokenizer.json").read_text().split('"')
                  if w.isalpha() and len(w) > 2]
    texts = [" ".join(rng.choices(vocabulary, k=rng.randint(5, 30))) for _ in range(150)]
    documents = [{"document": f"d{i}", "language": "xy"[i % 2], "text": t} for i, t in enumerate(texts)]
    queries = []
    for q in range(40):
        relevant = rng.sample(range(150), rng.choice([1, 2, 5, 12]))
        text = " ".join(" ".join(texts[r].split()[:4]) for r in relevant[:2])
        queries.append({"query": f"q{q}", "language": "xyz"[q % 3], "kind": ["same", "cross"][q % 4 == 0], "text": text,
                        "relevant": [f"d{r}" for r in relevant]})
    return write_set(tmp_path_factory.mktemp("set") / "words.jsonl", documents, queries), documents, queries


def evaluate(octavo, *arguments):
    return json.loads(octavo("evaluate", *arguments, "--json").stdout)


def vectors(octavo, folder, model, lines, tmp_path):
    (tmp_path / "in.jsonl").write_text("".join(json.dumps({"text": line["text"]}) + "\n" for line in lines))
    octavo("embed", folder, "--model-file", model, "--input", tmp_path / "in.jsonl", "--output", tmp_path / "out.npy")
    x = np.load(tmp_path / "out.npy").astype(np.float64)
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def per_query(documents, queries, d, q):
    index = {line["document"]: i for i, line in enumerate(documents)}
    out = {"ndcg10": [], "recall1": [], "recall10": [], "order": [], "scores": q @ d.T}
    for scores, query in zip(out["scores"], queries):
        relevant = np.zeros(len(d))
        relevant[[index[r] for r in query["relevant"]]] = 1
        order = np.argsort(-scores, kind="stable")
        gains = relevant[order]
        discount = 1 / np.log2(np.arange(10) + 2)
        count = int(relevant.sum())
        out["ndcg10"].append(gains[:10] @ discount / discount[:count].sum())
        out["recall1"].append(gains[0])
        out["recall10"].append(gains[:10].sum() / min(10, count))
        out["order"].append(order)
    return out


def bootstrap(differences, resamples, seed):
    mask = (1 << 64) - 1
    state, distances = seed, []
    for _ in range(resamples):
        signs = []
        for _ in differences:
            state = (state + 0x9E3779B97F4A7C15) & mask
            z = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & mask
            z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
            signs.append(-1 if (z ^ (z >> 31)) >> 63 else 1)
        distances.append(abs(np.mean(np.multiply(differences, signs))))
    mean, reach = np.mean(differences), np.percentile(distances, 95)
    return mean, mean - reach, mean + reach


def test_every_number_is_its_definition(octavo, folder, words, tmp_path):
    file, documents, queries = words
    report = evaluate(octavo, folder, "--set", file, "--against", folder / "fp32/model.onnx", "--resamples", 60,
                      "--seed", 7)
    assert report["set"]["documents"] == 150 and report["set"]["queries"] == 40 and report["has_reference"]
    assert [pathlib.Path(v["model"]).name for v in report["variants"]] == ["model.onnx", INT8, VANILLA]
    reference = None
    for variant in report["variants"]:
        d = vectors(octavo, folder, variant["model"], documents, tmp_path)
        q = vectors(octavo, folder, variant["model"], queries, tmp_path)
        mine = per_query(documents, queries, d, q)
        for group in variant["groups"]:
            def picks(lines, language_only):
                return [i for i, line in enumerate(lines) if group["by"] == "all" or
                        (line[group["by"]] == group["name"] if group["by"] in line else language_only)]
            chosen = picks(queries, False)
            assert group["queries"] == len(chosen)
            for key in ("ndcg10", "recall1", "recall10"):
                assert group[key] == pytest.approx(np.mean(np.array(mine[key])[chosen]), abs=2e-6), (group, key)
            if group["by"] != "kind":
                part = d[picks(documents, False)]
                assert group["documents"] == len(part)
                pairs = (part @ part.T)[~np.eye(len(part), dtype=bool)]
                assert group["anisotropy"] == pytest.approx(pairs.mean() if len(part) > 1 else 0, abs=2e-6)
            if reference is None:
                assert "overlap10" not in group and "ndcg10_change" not in group
                continue
            overlaps, rhos = [], []
            for i in chosen:
                first = reference["order"][i][:100]
                overlaps.append(len(set(first[:10]) & set(mine["order"][i][:10])) / 10)
                place = {doc: rank for rank, doc in enumerate(x for x in mine["order"][i] if x in set(first))}
                rhos.append(np.corrcoef(np.arange(100), [place[x] for x in first])[0, 1])
            assert group["overlap10"] == pytest.approx(np.mean(overlaps), abs=2e-6)
            assert group["rank_correlation"] == pytest.approx(np.mean(rhos), abs=2e-6)
            for key in ("ndcg10", "recall1", "recall10"):
                differences = (np.array(mine[key]) - np.array(reference[key]))[chosen]
                expected = bootstrap(list(differences), 60, 7)
                got = [group[f"{key}_change"][k] for k in ("mean", "low", "high")]
                assert got == pytest.approx(expected, abs=2e-6), (group["name"], key)
        reference = reference or mine
    # The test would notice: the variants differ from the reference and the numbers are no ends of a range.
    overall = report["variants"][2]["groups"][0]
    assert 0.1 < overall["ndcg10"] < 0.95 and overall["overlap10"] < 1 and overall["rank_correlation"] < 0.9999
    assert overall["ndcg10_change"]["low"] < overall["ndcg10_change"]["high"]


def test_the_reference_is_where_the_caller_says(octavo, folder, words, tmp_path):
    """Of a file in DIR and one of the same name elsewhere that of DIR, of folders those of the caller first."""
    other = tmp_path / "other"
    other.mkdir()
    for name in ("model.onnx", "model.onnx.data"):
        if (folder / "fp32" / name).exists():
            (other / name).write_bytes((folder / "fp32" / name).read_bytes())
    def overlap(against, cwd, model_folder=folder):
        report = json.loads(octavo("evaluate", model_folder, "--set", words[0], "--against", against, "--variants", INT8, "--resamples", 10,
                                   "--json", cwd=cwd).stdout)
        return report["variants"][0]["model"], report["variants"][1]["groups"][0]["overlap10"]

    _, expected = overlap(folder / "fp32/model.onnx", tmp_path)
    itself = tmp_path / "itself"  # its model.onnx is the INT8 one
    shutil.copytree(folder, itself)
    shutil.copy(folder / INT8, itself / "model.onnx")
    assert overlap(".", other, itself) == ("./model.onnx", expected) and expected < 1
    assert overlap("fp32", tmp_path) == ("fp32/model.onnx", expected)  # in DIR
    assert overlap("other", tmp_path, itself) == ("other/model.onnx", expected)
    assert overlap("model.onnx", other, itself) == ("model.onnx", 1)


def test_threads_and_cpu_do_not_matter(octavo, folder, words):
    import os
    runs = [octavo("evaluate", folder, "--set", words[0], "--against", folder / against, "--resamples", 20,
                   "--json", *options, env={**os.environ, **env}).stdout
            for against, options, env in (("fp32", (), {}), ("fp32/model.onnx", ("--threads", "3"), {}),
                                          ("fp32", (), {"OCTAVO_CPU": "ref"}))]
    assert runs[0] == runs[1] == runs[2]


def test_itself_is_no_change(octavo, folder):
    report = evaluate(octavo, folder, "--set", SET, "--against", folder / INT8, "--variants", INT8)
    groups = report["variants"][1]["groups"]
    assert [g["name"] for g in groups] == ["", "de", "en", "ja", "cross", "same"]
    for group in groups:
        assert group["overlap10"] == 1 and group["rank_correlation"] == 1
        assert group["ndcg10_change"] == {"mean": 0, "low": 0, "high": 0}


def test_without_a_reference(octavo, folder):
    table = octavo("evaluate", folder, "--set", SET).stdout
    assert "nDCG@10" in table and "top10" not in table and "(reference)" not in table
    # A folder with model.onnx brings its own.
    assert "model.onnx (reference)" in octavo("evaluate", folder / "fp32", "--set", SET, "--variants", folder / INT8).stdout


def test_what_is_wrong_is_said(octavo, folder, tmp_path):
    good = SET.read_text().splitlines()
    document, query = json.loads(good[1]), json.loads(good[-1])
    cases = [
        ("", "needs a head"),
        (good[0], "needs a head, documents and queries"),
        (good[1], 'line 1: the first line needs "format"'),
        ("\n".join([*good, good[1]]), "is there twice"),
        ("\n".join([*good, good[-1]]), "is there twice"),
        ("\n".join([*good, "{}"]), "neither a document nor a query"),
        ("\n".join([*good, "[]"]), "is not an object"),
        ("\n".join([*good, json.dumps({**query, "query": "new", "relevant": ["nobody"]})]), 'no document "nobody"'),
        ("\n".join([*good, json.dumps({**query, "query": "new", "relevant": []})]), 'needs a list "relevant"'),
        ("\n".join([*good, json.dumps({"document": "new", "text": "x"})]), 'needs a string "language"'),
        ("\n".join([*good, json.dumps({**document, "document": "new", "text": ""})]), 'needs a string "text"'),
        ("\n".join([*good, '{"document": '] ), "line 28"),
    ]
    for text, message in cases:
        (tmp_path / "set.jsonl").write_text(text)
        done = octavo("evaluate", folder, "--set", tmp_path / "set.jsonl", check=False)
        assert done.returncode == 3 and message in done.stderr, (message, done.stderr)
    assert octavo("evaluate", folder, "--set", tmp_path / "none", check=False).returncode == 3
    done = octavo("evaluate", folder / "fp32", "--set", SET, "--against", folder / INT8, check=False)
    assert done.returncode == 3 and "name the models" in done.stderr
    assert "no prompt named" in octavo("evaluate", folder, "--set", SET, "--query-prompt", "x", check=False).stderr


def make(output, *options, pages=PAGES):
    folders = [o for language in ("en", "de", "ja") for o in ("--folder", f"{language}={pages / language}")]
    subprocess.run([sys.executable, TOOL, "-o", output, *folders, *options], check=True, capture_output=True)
    return output.read_bytes()


def test_the_set_of_the_golden_pages(tmp_path):
    """The committed set is what the tool makes, from plain and from compressed pages."""
    assert make(tmp_path / "manpages.jsonl", "--pages", "4", "--queries", "4") == SET.read_bytes()
    for page in PAGES.rglob("*.[0-9]"):
        packed = tmp_path / "packed" / page.relative_to(PAGES).parent / (page.name + ".gz")
        packed.parent.mkdir(parents=True, exist_ok=True)
        packed.write_bytes(gzip.compress(page.read_bytes()))
    assert make(tmp_path / "manpages.jsonl", "--pages", "4", "--queries", "4", pages=tmp_path / "packed") == SET.read_bytes()


def test_no_pages_no_set(tmp_path):
    (tmp_path / "empty").mkdir()
    for folder, code, message in ((f"en={tmp_path / 'none'}", 2, "needs LANGUAGE=DIR"), (tmp_path, 2, "needs LANGUAGE=DIR"),
                                  (f"en={tmp_path / 'empty'}", 1, "nothing was written")):
        done = subprocess.run([sys.executable, TOOL, "-o", tmp_path / "set.jsonl", "--folder", folder], capture_output=True, text=True)
        assert done.returncode == code and message in done.stderr and "Traceback" not in done.stderr, done.stderr
    assert not (tmp_path / "set.jsonl").exists()


def test_pages_become_prose(tmp_path):
    lines = [json.loads(line) for line in make(tmp_path / "all.jsonl").decode().splitlines()]
    texts = {line["document"]: line["text"] for line in lines if "document" in line}
    # Markup, code, tags, later sections, links and untranslated pages leave nothing behind.
    assert "en/boat.2/1" not in texts and "de/clock.1/1" not in texts and "en/silent.3/1" not in texts
    assert not any("\\" in t or "code and no prose" in t or "prose as well" in t for t in texts.values())
    assert texts["en/kettle.1/2"].endswith("the time to boil doubles within a year \u2014 see descale(8).")
    assert texts["en/snow.8/1"].startswith("The daemon looks out") and "/var/log/snow so that" in texts["en/snow.8/1"]
    assert texts["en/snow.8/2"].startswith("With the -q option the plough")
    assert "\u9cf4\u3089\u3057\u307e\u3059\u3002\u3075\u305f" in texts["ja/kettle.1/1"]  # no space where a line ended
    queries = {line["query"]: line for line in lines if "query" in line}
    assert queries["en/snow.8"]["text"] == "clear the road before anybody wakes up"
    assert queries["en/lamp.5"]["relevant"] == ["de/lamp.5/1", "en/lamp.5/1", "ja/lamp.5/1"]
