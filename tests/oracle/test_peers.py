"""bench/peers on a tiny model: the driver, one Python engine and Octavo, the page and its picture. And the model that
tools/make_bench_model.py makes."""
import json
import os
import pathlib
import re
import subprocess
import sys
import xml.etree.ElementTree

import pytest

from conftest import SOURCE

PEERS = SOURCE / "bench" / "peers"


@pytest.fixture
def work(octavo, tmp_path):
    """Of the shape that setup.sh makes, from a model of make_bench_model.py."""
    folder = tmp_path / "tiny"
    subprocess.run([sys.executable, SOURCE / "tools" / "make_bench_model.py", folder / "snapshot", "--layers", "2", "--hidden", "64",
                    "--heads", "4", "--kv-heads", "2", "--head-dim", "16", "--inner", "96", "--vocabulary", "1000",
                    "--positions", "128"], check=True)
    octavo("import", folder / "snapshot", "-o", folder / "fp32")
    octavo("import", folder / "snapshot", "-o", folder / "int8")
    # With 7 bits onnxruntime's products do not saturate on CPUs without VNNI: vectors are compared.
    octavo("quantize", folder / "int8" / "model.onnx", folder / "int8" / "model.int8.onnx", "--per-channel", "--external-data",
           "--reduce-range")
    return tmp_path


def test_bench_model_counts_bytes(octavo, work):
    lines = octavo("embed", work / "tiny" / "int8", "--max-length", "9", "--json", "abcdefgh", "abcdefghi").stdout.splitlines()
    assert "truncated_from" not in json.loads(lines[0]) and json.loads(lines[1])["truncated_from"] == 10


def test_driver_writes_the_page(work):
    worker = pathlib.Path(os.environ["OCTAVO_BIN"]).parent / "bench" / "bench_octavo_worker"
    page = work / "performance.md"
    command = [sys.executable, PEERS / "run.py", "--work", work, "--model", "tiny", "--octavo", worker, "--rounds", "2",
               "--program", os.environ["OCTAVO_BIN"], "--python", f"onnxruntime={sys.executable}", "--only", "1 x 8;mixed",
               "--longest", "32", "--engines", "octavo;onnxruntime:INT8;onnxruntime:FP32", "--json", work / "tiny.json", "--out", page]
    subprocess.run([str(c) for c in command], check=True, stdout=subprocess.DEVNULL, timeout=300)
    result = json.loads((work / "tiny.json").read_text())
    engines = {(e["engine"], e["variant"]): e for e in result["engines"]}
    assert len(engines) == 4 and not any("error" in e for e in engines.values())
    for engine in engines.values():  # all did the same work
        assert engine["cosine"][0] > (0.99999 if engine["variant"] == "FP32" else 0.99), engine["variant"]
        assert [len(rounds) for rounds in engine["runs"]["1 x 8"].values()] == [2]
        assert engine["peak"]["mixed"] >= engine["peak"]["loaded"] > 0
    assert set(engines["onnxruntime", "INT8"]["runs"]["mixed"]) == {"one by one", "batches of 16", "sorted, batches of 16"}

    text = page.read_text()
    assert re.search(r"\| \*\*Octavo INT8 / best peer\*\* \| \*\*[\d.]+x\*\*", text) and "of the roof" in text
    picture = work / ("performance-tiny-amx.svg" if result["isa"] == "amx" else "performance-tiny.svg")
    assert xml.etree.ElementTree.parse(picture).getroot().tag.endswith("svg")
    # Written again, the page keeps what people wrote around the block.
    page.write_text("Before.\n\n" + text + "\nAfter.\n")
    for _ in range(2):
        subprocess.run([sys.executable, PEERS / "report.py", page, work / "tiny.json"], check=True)
    assert page.read_text() == "Before.\n\n" + text + "\nAfter.\n"
