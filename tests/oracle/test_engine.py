"""The engine from the outside: packed weights that come and go, instruction sets, the graph as it is written."""
import json
import os
import pathlib
import shutil
import subprocess

import numpy as np
import pytest

from onnx_graphs import session

TEXTS = ["how do I reset my password?", "Der Klimawandel verändert die Alpen.", "x", "", "int main() { return 0; }",
         "a longer text " * 40]
DEFAULT = "octavo: runs as 6 fused layers"


@pytest.fixture(scope="module")
def int8(octavo, minilm, tmp_path_factory):
    folder = tmp_path_factory.mktemp("int8")
    octavo("import", minilm, "-o", folder)
    octavo("quantize", folder / "model.onnx", folder / "model.int8.onnx", "--per-channel", "--external-data")
    return folder


@pytest.fixture
def embed(octavo, int8, tmp_path):
    """embed(*options, cache=..., folder=..., **environment) -> (vectors, stderr)"""

    def call(*options, cache=tmp_path / "cache", folder=int8, texts=TEXTS, **environment):
        lines = tmp_path / "texts.jsonl"
        lines.write_text("".join(json.dumps({"text": t}) + "\n" for t in texts))
        done = octavo("embed", folder, "--input", lines, "--output", tmp_path / "out.npy", "--explain", *options,
                      env={**os.environ, "OCTAVO_CACHE": str(cache), **environment})
        return np.load(tmp_path / "out.npy"), done.stderr

    return call


def packed(cache):
    return sorted(pathlib.Path(cache).glob("*.safetensors"))


def test_second_start_maps_what_the_first_one_wrote(embed, tmp_path):
    first, said = embed()
    assert DEFAULT in said and "packed weights written to" in said
    (file,) = packed(tmp_path / "cache")
    before = file.stat()
    second, said = embed()
    assert "packed weights from" in said
    assert (second == first).all() and file.stat().st_mtime_ns == before.st_mtime_ns
    third, said = embed("--no-cache", cache=tmp_path / "other")
    assert "in memory only" in said and (third == first).all() and not (tmp_path / "other").exists()


def test_a_stream_gives_the_rows_of_a_list_and_starts_before_its_end(embed, octavo, int8, tmp_path):
    wanted, _ = embed()
    env = {**os.environ, "OCTAVO_CACHE": str(tmp_path / "cache")}
    program = [os.environ["OCTAVO_BIN"], "embed", str(int8), "--max-batch-tokens", "64"]
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env, text=True) as process:
        for text, row in zip(TEXTS, wanted):  # one answer for each, while the stream is open
            process.stdin.write(json.dumps({"text": text}) + "\n")
            process.stdin.flush()
            answer = json.loads(process.stdout.readline())
            assert answer["text"] == text and (np.float32(answer["embedding"]) == row).all()
        process.stdin.close()
        assert process.stdout.read() == "" and process.wait(30) == 0
    # A failure ends the program although the writer neither goes on nor closes.
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=env,
                          text=True) as process:
        process.stdin.write('{"text": "a"}\n{"text": 3}\n')
        process.stdin.flush()
        assert process.wait(60) == 3 and "line 2" in process.stderr.read()


def test_a_damaged_or_outdated_file_is_written_again(embed, int8, tmp_path):
    first, _ = embed()
    (file,) = packed(tmp_path / "cache")
    good = file.read_bytes()
    for damage in (good[:1000], b"", good[:-9] + b"\xff" + good[-8:], good[:5000] + b"\xff" + good[5001:]):
        file.write_bytes(damage)
        vectors, said = embed()
        assert "written to" in said and (vectors == first).all() and len(file.read_bytes()) == len(good)
    # The same content with another date: believed. Another content in the same place: not.
    copy = tmp_path / "copy"
    shutil.copytree(int8, copy)
    a, said = embed(folder=copy)
    assert "written to" in said
    os.utime(copy / "model.int8.onnx", ns=(1, 1))
    b, said = embed(folder=copy)
    assert "packed weights from" in said and (a == b).all()
    data = bytearray((copy / "model.int8.onnx.data").read_bytes())
    data[-1000:] = bytes(1000)
    (copy / "model.int8.onnx.data").write_bytes(data)
    c, said = embed(folder=copy)
    assert "written to" in said
    assert (c == embed("--no-cache", folder=copy)[0]).all()


def test_a_cache_that_cannot_be_written_changes_nothing(embed, tmp_path):
    first, _ = embed()
    (tmp_path / "file").write_text("in the way")
    second, said = embed(cache=tmp_path / "file")
    assert "in memory only" in said and (second == first).all()


def test_instruction_sets_threads_and_batches_give_the_same_bytes(embed):
    cpu = pathlib.Path("/proc/cpuinfo").read_text()
    first, _ = embed()
    for name, flag in (("ref", ""), ("avx2", " avx2 "), ("avx512vnni", " avx512_vnni "),
                       ("amx", " amx_int8 ")):
        if flag not in cpu:
            continue
        for options in (("--threads", 1), ("--threads", 3, "--max-batch-tokens", 8), ("--max-batch-tokens", 100000)):
            vectors, _ = embed(*options, OCTAVO_CPU=name)
            assert (vectors == first).all(), (name, options)
    alone = np.concatenate([embed(texts=[t])[0] for t in TEXTS])
    assert (alone == first).all()


def test_exact_onnx_is_what_onnxruntime_computes(embed, int8):
    """One scale a tensor: closer to onnxruntime than the engine, whose scales are a token's own."""
    from tokenizers import Tokenizer
    tokenizer = Tokenizer.from_file(str(int8 / "tokenizer.json"))
    tokenizer.enable_truncation(256)
    tokenizer.no_padding()
    runtime = session(int8 / "model.int8.onnx")
    rows = []
    for text in TEXTS:
        ids = np.array([tokenizer.encode(text).ids], dtype=np.int64)
        feeds = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
        hidden = runtime.run(None, {i.name: feeds[i.name] for i in runtime.get_inputs()})[0][0]
        mean = hidden.mean(axis=0)
        rows.append(mean / np.linalg.norm(mean))
    exact, said = embed("--exact-onnx")
    assert "node by node, as asked" in said
    fused, _ = embed()
    near = (exact * rows).sum(axis=1)
    assert near.min() > 0.999
    assert near.mean() > (fused * rows).sum(axis=1).mean()


def test_a_graph_that_cannot_be_raised_says_which_node_stopped_it(octavo, int8, embed, tmp_path):
    import onnx
    folder = tmp_path / "strange"
    shutil.copytree(int8, folder)
    (folder / "model.int8.onnx").unlink()
    model = onnx.load(folder / "model.onnx")
    softmax = next(n for n in model.graph.node if n.op_type == "Softmax")
    out = softmax.output[0]
    softmax.output[0] = out + "_plain"
    at = list(model.graph.node).index(softmax)
    model.graph.node.insert(at + 1, onnx.helper.make_node("Cos", [out + "_plain"], [out], name="/strange/Cos"))
    onnx.save(model, folder / "model.onnx")
    vectors, said = embed(folder=folder)
    assert "runs node by node: MatMul node" in said and "whose first is no Softmax" in said
    assert np.isfinite(vectors).all()
