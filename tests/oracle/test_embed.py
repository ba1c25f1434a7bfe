"""octavo embed: values against transformers and onnxruntime, bytes against itself, and its manners."""
import json
import os
import pathlib
import random
import re
import subprocess
import sys

import numpy as np
import pytest
from safetensors.numpy import load_file

from terminal import shown_on_terminal

SOURCE = pathlib.Path(__file__).resolve().parents[2]
GOLDEN = SOURCE / "tests" / "golden" / "embed"


@pytest.fixture(scope="module")
def imported(octavo, tmp_path_factory):
    """imported(source) -> folder made by octavo import, once a source."""
    done = {}

    def call(source):
        if source not in done:
            done[source] = tmp_path_factory.mktemp(source.name)
            octavo("import", source, "-o", done[source])
        return done[source]

    return call


@pytest.fixture
def model(imported, minilm):
    return imported(minilm)


@pytest.fixture
def qwen3(imported, tiny):
    return imported(tiny / "qwen3")


def embed(octavo, folder, texts, tmp_path, *options):
    source = tmp_path / "in.txt"
    source.write_text("".join(t + "\n" for t in texts), encoding="utf-8")
    octavo("embed", folder, "--input", source, "--output", tmp_path / "out.npy", *options)
    return np.load(tmp_path / "out.npy")


def golden_texts():
    return (GOLDEN / "minilm.txt").read_text(encoding="utf-8").split("\n")[:-1]


def test_same_vectors_as_transformers(octavo, model, tmp_path):
    got = embed(octavo, model, golden_texts(), tmp_path)
    expected = np.load(GOLDEN / "minilm.npy")
    assert got.shape == expected.shape and got.dtype == np.float32
    assert np.abs(got - expected).max() <= 1e-5
    assert np.abs(np.linalg.norm(got, axis=1) - 1).max() <= 1e-6


def test_same_vectors_as_onnxruntime(octavo, model, tmp_path):
    """Live, on what the goldens do not have: strings that break tokenizers."""
    import onnxruntime
    import tokenizers

    sys.path.insert(0, str(SOURCE / "tools"))
    import nasty_strings

    texts = [s.decode("utf-8", "replace") for s in random.Random(3).sample(nasty_strings.strings(), 120)]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps({"text": t}) + "\n" for t in texts))
    octavo("embed", model, "--input", tmp_path / "in.jsonl", "--output", tmp_path / "o.npy", "--no-normalize")
    tokenizer = tokenizers.Tokenizer.from_file(str(model / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(256)
    session = onnxruntime.InferenceSession(model / "model.onnx", providers=["CPUExecutionProvider"])
    for text, row in zip(texts, np.load(tmp_path / "o.npy")):
        ids = np.array([tokenizer.encode(text).ids], np.int64)
        feeds = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
        expected = session.run(None, feeds)[0][0].astype(np.float64).mean(0)
        assert np.abs(row - expected).max() <= 1e-5 * max(1, np.abs(expected).max()), text


def test_a_terminal_sees_that_a_model_is_loaded(model, tmp_path):
    def on_a_terminal(*arguments):
        process, shown = shown_on_terminal(lambda it: subprocess.Popen(
            [os.environ["OCTAVO_BIN"], "embed", *map(str, arguments)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=it))
        return process.wait(timeout=600), shown

    code, shown = on_a_terminal(model, "a text")
    assert code == 0 and shown.startswith(b"\r\x1b[Kload the model   0%") and shown.endswith(b"100%\r\x1b[K"), shown
    (tmp_path / "empty").mkdir()
    code, shown = on_a_terminal(tmp_path / "empty", "a text")
    assert code == 3 and b"  0%\r\x1b[Koctavo: " in shown, shown


def test_what_is_not_utf8_is_said(octavo, model, tmp_path):
    (tmp_path / "in.txt").write_bytes("naïve\n".encode() + "café\nnaïve\n".encode("latin-1"))
    done = octavo("embed", model, "--input", tmp_path / "in.txt", "--output", tmp_path / "o.npy")
    assert "warning: 2 of 3 texts are not UTF-8, the first of them line 2; their bytes" in done.stderr, done.stderr
    replaced = embed(octavo, model, ["naïve", "caf\ufffd", "na\ufffdve"], tmp_path)
    assert np.load(tmp_path / "o.npy").tobytes() == replaced.tobytes()


@pytest.mark.parametrize("which", ["minilm", "qwen3", "int8"])
def test_a_vector_depends_on_its_text_alone(octavo, which, imported, tiny, minilm, tmp_path):
    """Alone, in a batch, in another order, with 1, 2, 3 threads, on other instruction sets: the same bytes."""
    folder = imported(tiny / "qwen3" if which == "qwen3" else minilm)
    options = []
    if which == "int8":  # a dynamic scale per tensor, the usual reason for a difference
        from onnxruntime.quantization import quantize_dynamic
        quantize_dynamic(folder / "model.onnx", tmp_path / "int8.onnx", op_types_to_quantize=["MatMul"], per_channel=True)
        options = ["--model-file", tmp_path / "int8.onnx"]
    texts = [t for t in golden_texts() if t][:16] * 2 + ["two words", "other words", "a b", "c d"]
    random.Random(5).shuffle(texts)
    batch = embed(octavo, folder, texts, tmp_path, *options)
    for threads in (1, 3):
        again = embed(octavo, folder, texts, tmp_path, *options, "--threads", threads)
        assert again.tobytes() == batch.tobytes(), f"{threads} threads"
    for cpu, count in (("ref", 2), ("avx2", 20)):  # ref is the specification, and slow
        octavo("embed", folder, *options, *texts[:count], "--output", tmp_path / "cpu.npy", env={**os.environ, "OCTAVO_CPU": cpu})
        assert np.load(tmp_path / "cpu.npy").tobytes() == batch[:count].tobytes(), cpu
    order = random.Random(6).sample(range(len(texts)), len(texts))
    shuffled = embed(octavo, folder, [texts[i] for i in order], tmp_path, *options)
    assert shuffled.tobytes() == batch[order].tobytes()
    for i in range(0, len(texts), 5):
        alone = embed(octavo, folder, [texts[i]], tmp_path, *options)
        assert alone.tobytes() == batch[i].tobytes(), texts[i]


def test_formats_hold_the_same_numbers(octavo, model, tmp_path):
    texts = ["one", "zwei Wörter", "trois"]
    expected = embed(octavo, model, texts, tmp_path)
    octavo("embed", model, *texts, "--output", tmp_path / "o.safetensors")
    assert load_file(tmp_path / "o.safetensors")["embeddings"].tobytes() == expected.tobytes()
    octavo("embed", model, *texts, "--output", tmp_path / "o.jsonl")
    piped = octavo("embed", model, *texts).stdout
    assert piped == (tmp_path / "o.jsonl").read_text()
    rows = [json.loads(line) for line in piped.splitlines()]
    assert [r["text"] for r in rows] == texts and [r["index"] for r in rows] == [0, 1, 2]
    assert np.array([r["embedding"] for r in rows], np.float32).tobytes() == expected.tobytes()
    table = octavo("embed", model, *texts, "--format", "table").stdout
    cosines = [line.split()[1:] for line in table.split("cosine")[1].splitlines()[1:]]
    assert np.allclose(np.array(cosines, float), expected @ expected.T, atol=6e-4)


def test_records_keep_their_id_and_bad_lines_leave_nothing(octavo, model, tmp_path):
    lines = ['{"id": "a-1", "text": "one"}', "", '{"text": "two\\nlines", "id": {"n": 2}, "more": 1}', '{"text": "three"}']
    source = tmp_path / "in.jsonl"
    source.write_text("\ufeff" + "\r\n".join(lines))
    rows = [json.loads(line) for line in octavo("embed", model, "--input", source).stdout.splitlines()]
    assert [r.get("id") for r in rows] == ["a-1", {"n": 2}, None]
    assert [r["text"] for r in rows] == ["one", "two\nlines", "three"]
    for bad in ('{"txt": "x"}', '{"text": 3}', '{"text": "x"', '["text"]', '{"text": "\\ud800"}', '{"text": 1, "text": "x"}'):
        source.write_text(lines[0] + "\n" + bad + "\n")
        output = tmp_path / "o.npy"
        output.write_bytes(b"before")
        done = octavo("embed", model, "--input", source, "--output", output, check=False)
        assert done.returncode == 3 and "in.jsonl: line 2" in done.stderr, done.stderr
        assert output.read_bytes() == b"before"
        assert [p.name for p in tmp_path.iterdir() if p.name.endswith(".tmp")] == []


def test_plain_lines_are_rows(octavo, model, tmp_path):
    """Empty lines too, and bytes that are no UTF-8; standard input as well."""
    raw = b"first\r\n\n\xff\xfe bytes\n  spaces \nlast without end"
    done = octavo("embed", model, "--input", "-", input=raw, text=False)
    rows = [json.loads(line) for line in done.stdout.decode().splitlines()]
    assert [r["text"] for r in rows] == ["first", "", "\ufffd\ufffd bytes", "  spaces ", "last without end"]
    assert done.stdout == octavo("embed", model, input=raw, text=False).stdout
    assert octavo("embed", model, "--input", "/dev/null").stdout == ""


def test_input_of_any_size_is_a_stream(octavo, imported, tiny, tmp_path):
    folder = imported(tiny / "bert")
    words = ["alpha", "beta", "gamma", "delta", "one", "two"]
    draw = random.Random(1)
    texts = [" ".join(draw.choices(words, k=draw.randint(1, 6))) for _ in range(10000)]
    got = embed(octavo, folder, texts, tmp_path)
    assert got.shape == (10000, 36)
    picked = [0, 4095, 4096, 8191, 9999]
    assert embed(octavo, folder, [texts[i] for i in picked], tmp_path).tobytes() == got[picked].tobytes()
    octavo("embed", folder, "--input", tmp_path / "in.txt", "--output", tmp_path / "o.npy", "--no-normalize")


def test_a_pipe_gets_answers_before_it_is_closed(octavo, imported, tiny):
    with subprocess.Popen([os.environ["OCTAVO_BIN"], "embed", imported(tiny / "bert")],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as program:
        for n, text in enumerate(["one", "two"]):
            program.stdin.write(text + "\n")
            program.stdin.flush()
            row = json.loads(program.stdout.readline())
            assert row["text"] == text and row["index"] == n
        program.stdin.close()
        assert program.wait() == 0


def test_prompts(octavo, qwen3, tmp_path):
    texts = ["find me", "or me"]
    prompted = embed(octavo, qwen3, texts, tmp_path, "--prompt-name", "query")
    by_hand = octavo("embed", qwen3, *["Instruct: find it\nQuery:" + t for t in texts], "--output", tmp_path / "b.npy")
    assert by_hand.stderr == ""
    assert prompted.tobytes() == np.load(tmp_path / "b.npy").tobytes()
    plain = embed(octavo, qwen3, texts, tmp_path)
    assert plain.tobytes() != prompted.tobytes()
    assert embed(octavo, qwen3, texts, tmp_path, "--prompt-name", "document").tobytes() == plain.tobytes()
    done = octavo("embed", qwen3, "x", "--prompt-name", "passage", check=False)
    assert done.returncode == 3 and "the model has: document, query" in done.stderr


def test_dimensions_and_lengths(octavo, model, tmp_path):
    texts = golden_texts()[:5]
    raw = embed(octavo, model, texts, tmp_path, "--no-normalize")
    cut = embed(octavo, model, texts, tmp_path, "--dimensions", 64)
    head = raw[:, :64].astype(np.float64)
    assert np.abs(cut - head / np.linalg.norm(head, axis=1, keepdims=True)).max() < 1e-6
    for options, message in (
        (["--dimensions", 385], "the model has 384"),
        (["--max-length", 513], "512 positions"),
        (["--max-length", 1], "2 special tokens"),
    ):
        done = octavo("embed", model, "x", *options, check=False)
        assert done.returncode == 3 and message in done.stderr, done.stderr


def test_cut_texts_are_reported(octavo, model, tmp_path):
    done = octavo("embed", model, "short", "word " * 300, "--output", tmp_path / "o.jsonl")
    assert re.search(r"1 of 2 texts .* text 2 \(302 tokens, 256 used\)", done.stderr), done.stderr
    rows = [json.loads(line) for line in (tmp_path / "o.jsonl").read_text().splitlines()]
    assert [r.get("truncated_from") for r in rows] == [None, 302]
    assert octavo("embed", model, "short").stderr == ""


def test_guesses_are_said_once(octavo, tmp_path, imported, tiny):
    folder = imported(tiny / "llama")
    (tmp_path / "in.txt").write_text("a\nb\n")
    done = octavo("embed", folder, "--input", tmp_path / "in.txt")
    assert done.stderr.count("pooling guessed: last token") == 1, done.stderr
    assert "LlamaForCausalLM is a decoder" in done.stderr
    assert done.stderr.count("guessed: embeddings are normalised") == 1


def test_text_files_are_read_as_everywhere(octavo, model, tmp_path):
    """JSON Lines behind blank lines, and plain text that starts with them."""
    def rows(content):
        (tmp_path / "in").write_text(content)
        return [json.loads(r) for r in octavo("embed", model, "--input", tmp_path / "in").stdout.splitlines()]

    got = rows('\ufeff\n \n  {"text": "a", "id": 7}\n\n{"text": "b"}\n')
    assert [(r["text"], r.get("id")) for r in got] == [("a", 7), ("b", None)]
    assert [r["text"] for r in rows("\n \na\n\n")] == ["", " ", "a", ""]
    assert [r["text"] for r in rows("\n\n")] == ["", ""]


def test_output_formats(octavo, model, tmp_path):
    """Every file format holds the vectors of .npy; an extension that says something else is refused."""
    texts = golden_texts()[:3]
    vectors = embed(octavo, model, texts, tmp_path)
    octavo("embed", model, *texts, "--output", tmp_path / "o.npz")
    with np.load(tmp_path / "o.npz") as archive:
        assert archive.files == ["embeddings"] and archive["embeddings"].tobytes() == vectors.tobytes()
        assert archive["embeddings"].shape == vectors.shape and archive["embeddings"].dtype == np.float32
    octavo("embed", model, *texts, "--output", tmp_path / "o", "--format", "npz")
    assert (tmp_path / "o").read_bytes() == (tmp_path / "o.npz").read_bytes()
    for name, options in (("o.npy", ["--json"]), ("o.npy", ["--format", "jsonl"]), ("p.jsonl", ["--format", "npz"]),
                          ("p.npz", ["--format", "npy"]), ("p.safetensors", ["--json"])):
        done = octavo("embed", model, "x", "--output", tmp_path / name, *options, check=False)
        assert done.returncode == 2 and "the extension says" in done.stderr, done.stderr
        assert not (tmp_path / name).exists() or name == "o.npy"
    done = octavo("embed", model, "x", "--output", tmp_path / "v.json", check=False)
    assert done.returncode == 2 and "v.json: the extension tells no format" in done.stderr
    done = octavo("embed", model, "x", "--json", "--format", "npy", "--output", tmp_path / "w", check=False)
    assert done.returncode == 2 and "--json" in done.stderr and "--format" in done.stderr


def test_wrong_use(octavo, model, tmp_path):
    for arguments, code, message in (
        ([tmp_path / "none", "x"], 3, "no such file or folder; a model on the hub is called org/name"),
        ([tmp_path, "x"], 3, "no model.int8.onnx"),
        ([model, "x", "--model-file", "other.onnx"], 3, "other.onnx"),
        ([model, "x", "--output", tmp_path / "o.xyz"], 2, "o.xyz: the extension tells no format"),
        ([model, "x", "--format", "npy"], 2, "needs --output"),
        ([model, "x", "--output", tmp_path / "no" / "o.npy"], 3, "no/o.npy"),
        ([model, "--input", tmp_path / "none.txt"], 3, "none.txt"),
        ([model, "--input", tmp_path], 3, "is a folder"),
        ([model, "x", "--input", "y"], 2, "not both"),
        ([model, "x", "--dimensions", "-1"], 2, "--dimensions"),
        ([model, "x", "--threads", "many"], 2, "--threads"),
        ([], 2, "DIR"),
    ):
        done = octavo("embed", *arguments, check=False)
        assert done.returncode == code and message in done.stderr, (arguments, done.stderr)
        assert done.stdout == ""


def test_the_output_is_looked_at_before_texts_are_waited_for(octavo, model, tmp_path):
    """A standard input that never ends, and a place where no file can be: the answer comes at once."""
    os.mkfifo(tmp_path / "pipe.npy")
    for place, message in ((tmp_path / "no" / "o.npy", "does not exist"), (tmp_path / "pipe.npy", "is a pipe or a device")):
        read, write = os.pipe()
        try:
            done = subprocess.run([os.environ["OCTAVO_BIN"], "embed", str(model), "--output", str(place)], stdin=read,
                                  capture_output=True, text=True, timeout=120)
        finally:
            os.close(read)
            os.close(write)
        assert done.returncode == 3 and message in done.stderr, done.stderr


def test_a_full_disk_is_said(octavo, model):
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full")
    with open("/dev/full", "w") as full:
        done = subprocess.run([os.environ["OCTAVO_BIN"], "embed", str(model), "x", "--json"],
                              stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 3 and "No space left" in done.stderr


def test_token_goldens_are_what_tokenizers_gives(minilm):
    subprocess.run([sys.executable, SOURCE / "tools" / "make_token_golden.py", minilm, "--check"], check=True)


@pytest.mark.torch
def test_goldens_are_what_transformers_gives(minilm, tmp_path):
    subprocess.run([sys.executable, SOURCE / "tools" / "make_embed_golden.py", minilm, tmp_path], check=True)
    assert (tmp_path / "minilm.txt").read_text() == (GOLDEN / "minilm.txt").read_text()
    assert np.abs(np.load(tmp_path / "minilm.npy") - np.load(GOLDEN / "minilm.npy")).max() <= 1e-6
