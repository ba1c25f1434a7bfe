"""bench/serve on a tiny model: the clients against the server's own counters, and the driver with Octavo alone."""
import json
import os
import re
import subprocess
import sys
import xml.etree.ElementTree

import pytest

from conftest import SOURCE
from serving import Server, model

SERVE = SOURCE / "bench" / "serve"
sys.path.append(str(SERVE))
import load

TEXTS = ["a", "two words", "three more words"]


def test_percentiles_are_values():
    values = list(range(1, 101))
    assert [load.percentile(values, share) for share in (0.5, 0.95, 0.99, 1)] == [50, 95, 99, 100]
    assert load.percentile([7], 0.5) == load.percentile([7], 0.99) == 7


def test_every_request_is_answered(model):
    with Server(model) as server:
        made = load.run(server.port, load.requests_of(TEXTS, ""), 4, 0.2, 0.5, lambda: 0.0)
        answered = re.search(r'octavo_requests_total\{.*embeddings.*"200".*\} (\d+)', server.get("/metrics")[2].decode())
    # Those before the window and the four in flight at its end are not in it.
    assert 0 < made["texts"] < int(answered[1])
    assert 0 < made["p50"] <= made["p95"] <= made["p99"] < 0.5
    assert made["texts_s"] == pytest.approx(made["texts"] / 0.5, rel=0.2)


def test_an_error_ends_the_window(model):
    with Server(model) as server, pytest.raises(RuntimeError, match="404"):
        load.run(server.port, load.requests_of(TEXTS, "another"), 2, 0.1, 0.1, lambda: 0.0)


def test_driver_writes_the_page(octavo, tiny, tmp_path):
    octavo("import", tiny / "bert", "-o", tmp_path / "minilm")
    page = tmp_path / "serving.md"
    page.write_text("Before.\n\n<!-- load begin -->\n<!-- load end -->\n\nAfter.\n")
    subprocess.run([str(c) for c in (sys.executable, SERVE / "run.py", "--work", tmp_path, "--octavo", os.environ["OCTAVO_BIN"],
                                     "--servers", "octavo", "--rounds", 2, "--clients", "1,3", "--seconds", 0.3, "--warm", 0.1,
                                     "--json", tmp_path / "serve.json", "--out", page)],
                   check=True, stdout=subprocess.DEVNULL, timeout=300)
    result = json.loads((tmp_path / "serve.json").read_text())
    assert {n: len(w) for n, w in result["servers"][0]["windows"].items()} == {"1": 2, "3": 2}
    text = page.read_text()
    assert text.startswith("Before.\n\n<!-- load begin") and text.endswith("<!-- load end -->\n\nAfter.\n")
    assert re.search(r"\| 3: octavo serve \| [\d,.]+ \+-\d+% \|", text)
    assert xml.etree.ElementTree.parse(tmp_path / "serving-load.svg").getroot().tag.endswith("svg")
    # Written again without measuring, it is the same page.
    subprocess.run([sys.executable, SERVE / "page.py", page, tmp_path / "serve.json"], check=True)
    assert page.read_text() == text
