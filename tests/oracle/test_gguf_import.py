"""A snapshot converted to GGUF and imported is the snapshot imported: the same model file, the same
weights byte for byte, the same token ids."""
import hashlib
import json
import shutil
import subprocess
import sys

import gguf
import numpy as np
import pytest
from gguf import GGMLQuantizationType as T
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer

from conftest import SOURCE
from hf_to_gguf import DECODER, convert, gguf_name

sys.path.insert(0, str(SOURCE / "tools"))
import nasty_strings  # noqa: E402


def sha(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def plain(source, folder):
    """The snapshot under its bare names: GGUF keeps no window and no "bert." in front."""
    shutil.copytree(source, folder, symlinks=False)
    config = json.loads((folder / "config.json").read_text())
    config.pop("sliding_window", None)
    if config["model_type"] == "mistral":
        config.update(model_type="llama", architectures=["LlamaForCausalLM"], sliding_window=None)
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def both_ways(octavo, source, tmp_path):
    folder = plain(source, tmp_path / "snapshot")
    convert(folder, tmp_path / "model.gguf")
    octavo("import", folder, "-o", tmp_path / "a")
    octavo("import", tmp_path / "model.gguf", "-o", tmp_path / "b")
    assert sha(tmp_path / "a/model.onnx.data") == sha(tmp_path / "b/model.onnx.data")
    return tmp_path / "a", tmp_path / "b"


@pytest.mark.parametrize("name", ["llama", "mistral", "qwen2", "qwen3", "bert"])
def test_tiny(octavo, tiny, tmp_path, name):
    a, b = both_ways(octavo, tiny / name, tmp_path)
    if name not in ("bert", "qwen3"):  # whose snapshots say bert.encoder and layers, not encoder and model.layers
        assert sha(a / "model.onnx") == sha(b / "model.onnx")
    one, other = (Tokenizer.from_file(str(folder / "tokenizer.json")) for folder in (a, b))
    for raw in nasty_strings.strings():
        text = raw.decode("utf-8", "replace")
        if name == "bert" and any(token in text for token in ("[CLS]", "[SEP]", "[MASK]", "[PAD]", "[UNK]")):
            continue  # this tokenizer.json was written without added tokens
        assert one.encode(text).ids == other.encode(text).ids, text
    want, got = (json.loads((folder / "config.json").read_text()) for folder in (a, b))
    for key in set(want) & set(got) - {"architectures", "attention_bias", "bos_token_id", "eos_token_id", "pad_token_id"}:
        assert got[key] == want[key], key


def test_minilm(octavo, minilm, tmp_path):
    """30,522 word pieces and a real BERT."""
    a, b = both_ways(octavo, minilm, tmp_path)
    assert sha(a / "model.onnx") == sha(b / "model.onnx")
    one, other = (Tokenizer.from_file(str(folder / "tokenizer.json")) for folder in (a, b))
    for tokenizer in (one, other):
        tokenizer.no_truncation()
        tokenizer.no_padding()
    assert one.get_vocab() == other.get_vocab()
    for raw in nasty_strings.strings():
        text = raw.decode("utf-8", "replace")
        x, y = one.encode(text, "and a second"), other.encode(text, "and a second")
        assert (x.ids, x.type_ids) == (y.ids, y.type_ids), text


def test_quantized_rows_are_put_back_too(octavo, tiny, tmp_path):
    """Q8_0 query and key rows: dequantized, then put in order; against the gguf package."""
    source = plain(tiny / "llama", tmp_path / "snapshot")
    kept = {}

    def store(name, value):
        if value.ndim != 2 or value.shape[1] % 32:
            return None
        kept[name] = gguf.dequantize(raw := gguf.quantize(value, T.Q8_0), T.Q8_0)
        return raw, T.Q8_0

    config = json.loads((source / "config.json").read_text())
    config.update(hidden_size=64)  # 48 columns are no whole blocks
    rng = np.random.default_rng(3)
    weights = {n: rng.normal(size=[64 if d == 48 else d for d in w.shape]).astype(np.float32)
               for n, w in load_file(source / "model.safetensors").items()}
    save_file(weights, source / "model.safetensors")
    (source / "config.json").write_text(json.dumps(config))
    convert(source, tmp_path / "q.gguf", store)
    assert "blk.0.attn_q.weight" in kept and "blk.1.attn_k.weight" in kept
    for n in list(weights):
        stored = kept.get(gguf_name(n, DECODER, "model.layers."))
        if stored is None:
            continue
        heads = 4 if ".q_proj." in n else 2 if ".k_proj." in n else 0
        if heads:
            stored = stored.reshape(heads, stored.shape[0] // heads // 2, 2, -1).swapaxes(1, 2).reshape(stored.shape)
        weights[n] = np.ascontiguousarray(stored)
    save_file(weights, source / "model.safetensors")
    octavo("import", source, "-o", tmp_path / "a")
    octavo("import", tmp_path / "q.gguf", "-o", tmp_path / "b")
    assert sha(tmp_path / "a/model.onnx.data") == sha(tmp_path / "b/model.onnx.data")


@pytest.mark.torch
def test_goldens_are_what_transformers_gives(smollm2):
    """Every weight and token id of tests/golden/gguf, made again."""
    subprocess.run([sys.executable, SOURCE / "tools/make_gguf_golden.py", smollm2, "--check"], check=True, timeout=600)
