"""Writes a Hugging Face snapshot as a GGUF file, as llama.cpp's converter does: renamed tensors, the
query and key rows of Llama reordered, config.json as metadata, the tokenizer as lists. Only what the
tests need; the other direction is octavo's, and the two were written from the format, not from each
other."""
import json

import gguf
import numpy as np
from safetensors import safe_open

DECODER = {
    "model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output",
    "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm",
    "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
}
BERT = {
    "embeddings.word_embeddings": "token_embd", "embeddings.token_type_embeddings": "token_types",
    "embeddings.position_embeddings": "position_embd", "embeddings.LayerNorm": "token_embd_norm",
    "attention.self.query": "attn_q", "attention.self.key": "attn_k", "attention.self.value": "attn_v",
    "attention.output.dense": "attn_output", "attention.output.LayerNorm": "attn_output_norm",
    "intermediate.dense": "ffn_up", "output.dense": "ffn_down", "output.LayerNorm": "layer_output_norm",
}


def tensors(folder):
    """name -> float32 array; bfloat16 by hand, numpy has none."""
    import struct
    out = {}
    for file in sorted(folder.glob("model*.safetensors")):
        raw = file.read_bytes()
        size = struct.unpack("<Q", raw[:8])[0]
        header = json.loads(raw[8:8 + size])
        with safe_open(file, "np") as handle:
            for name in handle.keys():
                if header[name]["dtype"] == "BF16":
                    begin, end = (8 + size + o for o in header[name]["data_offsets"])
                    bits = np.frombuffer(raw[begin:end], np.uint16).astype(np.uint32) << 16
                    out[name] = bits.view(np.float32).reshape(header[name]["shape"])
                else:
                    out[name] = handle.get_tensor(name).astype(np.float32)
    return out


def gguf_name(name, table, layers):
    if name.startswith(layers):
        number, rest = name[len(layers):].split(".", 1)
        stem, suffix = rest.rsplit(".", 1)
        return f"blk.{number}.{table[stem]}.{suffix}"
    stem, suffix = name.rsplit(".", 1)
    return f"{table[stem]}.{suffix}" if stem in table else None


def permuted(weight, heads):
    pairs = weight.shape[0] // heads // 2
    return weight.reshape(heads, 2, pairs, -1).swapaxes(1, 2).reshape(weight.shape)


def llama3_divisors(config):
    scaling, dim = config["rope_scaling"], config["head_dim"]
    wave = 2 * np.pi * config["rope_theta"] ** (np.arange(0, dim, 2) / dim)
    old, low, high = (scaling[k] for k in ("original_max_position_embeddings", "low_freq_factor", "high_freq_factor"))
    smooth = (old / wave - low) / (high - low)
    blend = 1 / ((1 - smooth) / scaling["factor"] + smooth)
    return np.where(wave < old / high, 1, np.where(wave > old / low, scaling["factor"], blend)).astype(np.float32)


def tokens(folder, writer, bert):
    tokenizer = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    special = json.loads((folder / "special_tokens_map.json").read_text())
    text = lambda t: t["content"] if isinstance(t, dict) else t
    vocab = {**tokenizer["model"]["vocab"], **{t["content"]: t["id"] for t in tokenizer["added_tokens"]}}
    listed = [token for token, _ in sorted(vocab.items(), key=lambda item: item[1])]
    assert sorted(vocab.values()) == list(range(len(vocab)))
    controls = {text(t) for t in special.values()} | {t["content"] for t in tokenizer["added_tokens"] if t["special"]}
    writer.add_token_types([3 if t in controls else 1 for t in listed])
    if bert:
        bracketed = lambda t: t.startswith("[") and t.endswith("]") and len(t) > 2
        listed = [t if bracketed(t) else t[2:] if t.startswith("##") else "\u2581" + t for t in listed]
        writer.add_tokenizer_model("bert")
    else:
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre("gpt-2")
        writer.add_token_merges([m if isinstance(m, str) else " ".join(m) for m in tokenizer["model"]["merges"]])
        writer.add_add_bos_token(False)
        writer.add_add_eos_token(True)
    writer.add_token_list(listed)
    names = {"bos_token": "bos", "eos_token": "eos", "unk_token": "unknown", "pad_token": "padding",
             "cls_token": "cls", "sep_token": "seperator", "mask_token": "mask"}
    for key, name in names.items():
        if special.get(key):
            writer.add_uint32(f"tokenizer.ggml.{name}_token_id", vocab[text(special[key])])


def convert(folder, path, store=None):
    """store(name, array) may return (bytes, type) to keep a tensor quantized."""
    config = json.loads((folder / "config.json").read_text())
    kind = config["model_type"]
    bert, llama = kind == "bert", kind in ("llama", "mistral")
    arch = "llama" if llama else kind
    writer = gguf.GGUFWriter(path, arch)
    heads = config["num_attention_heads"]
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(heads)
    if bert:
        writer.add_layer_norm_eps(config["layer_norm_eps"])
        writer.add_causal_attention(False)
    else:
        writer.add_head_count_kv(config["num_key_value_heads"])
        writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
        writer.add_rope_freq_base(config["rope_theta"])
        if config.get("head_dim"):
            writer.add_key_length(config["head_dim"])
            writer.add_value_length(config["head_dim"])
            writer.add_rope_dimension_count(config["head_dim"])
        if config.get("rope_scaling"):
            writer.add_tensor("rope_freqs.weight", llama3_divisors(config))
    tokens(folder, writer, bert)
    for name, value in tensors(folder).items():
        if bert:
            name = gguf_name(name.removeprefix("bert."), BERT, "encoder.layer.")
        else:
            name = name if name.startswith(("model.", "lm_head.")) else "model." + name
            if llama and ".q_proj." in name:
                value = permuted(value, heads)
            if llama and ".k_proj." in name:
                value = permuted(value, config["num_key_value_heads"])
            name = gguf_name(name, DECODER, "model.layers.")
        if name is None:
            continue
        stored = store(name, value) if store else None
        if stored:
            writer.add_tensor(name, stored[0], raw_dtype=stored[1])
        else:
            writer.add_tensor(name, np.ascontiguousarray(value))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
