#!/usr/bin/env python3
"""Writes a Hugging Face snapshot folder with random weights in the shape of a real embedding model, so that speed can be
measured where the real one cannot be had: same matrices, same memory traffic, meaningless vectors. The default is the
shape of Qwen3-0.6B: 596 M parameters, 1.2 GB in bf16. Same arguments, same bytes.

    tools/make_bench_model.py OUT [--dtype bf16|f32] [--layers 28] [--hidden 1024] [--heads 16] [--kv-heads 8]
                              [--head-dim 128] [--inner 3072] [--vocabulary 151936] [--positions 32768] [--seed 0]

The tokenizer makes one token of each byte and appends an end token, so a text of n - 1 bytes has n tokens; the bytes'
ids lie all over the vocabulary, as those of real texts do. Weights are written as they are made: memory stays small.
Needs numpy alone.
"""
import argparse
import json
import pathlib
import struct

import numpy as np

SCALE = 0.02  # initializer_range of the family: activations stay of the size that trained models have
ROWS_AT_ONCE = 4096


def bf16(values):
    """Round to nearest even; the bytes of a bf16 tensor."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def tensors_of(args):
    wide, narrow = args.heads * args.head_dim, args.kv_heads * args.head_dim
    yield "embed_tokens.weight", (args.vocabulary, args.hidden)
    for i in range(args.layers):
        for name, shape in {
            "input_layernorm": (args.hidden,),
            "self_attn.q_proj": (wide, args.hidden), "self_attn.k_proj": (narrow, args.hidden),
            "self_attn.v_proj": (narrow, args.hidden), "self_attn.o_proj": (args.hidden, wide),
            "self_attn.q_norm": (args.head_dim,), "self_attn.k_norm": (args.head_dim,),
            "post_attention_layernorm": (args.hidden,),
            "mlp.gate_proj": (args.inner, args.hidden), "mlp.up_proj": (args.inner, args.hidden),
            "mlp.down_proj": (args.hidden, args.inner),
        }.items():
            yield f"layers.{i}.{name}.weight", shape
    yield "norm.weight", (args.hidden,)


def write_safetensors(file, tensors, dtype, seed):
    """safetensors: length of the header, header, data. The library would want all of it in memory at once."""
    tensors, size, width = dict(tensors), 0, 2 if dtype == "bf16" else 4
    header = {"__metadata__": {"format": "pt"}}
    for name, shape in tensors.items():
        end = size + width * int(np.prod(shape))
        header[name] = {"dtype": dtype.upper(), "shape": shape, "data_offsets": [size, end]}
        size = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    random = np.random.default_rng(seed)
    with open(file, "wb") as out:
        out.write(struct.pack("<Q", len(text)) + text)
        for shape in tensors.values():
            for begin in range(0, shape[0], ROWS_AT_ONCE):
                rows = min(ROWS_AT_ONCE, shape[0] - begin)
                block = random.standard_normal((rows, *shape[1:]), np.float32)
                block = 1 + np.float32(0.1) * block if len(shape) == 1 else np.float32(SCALE) * block
                out.write((bf16(block) if dtype == "bf16" else block).tobytes())
    return size // width, size


def bytes_to_unicode():
    """The printable stand-in of each byte that byte-level BPE uses."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [b for b in range(256) if b not in printable]
    return {b: chr(b if b in printable else 256 + others.index(b)) for b in range(256)}


def tokenizer(vocabulary):
    end, step = vocabulary - 1, (vocabulary - 1) // 256
    added = {"id": end, "content": "<|endoftext|>", "special": True, "normalized": False,
             "single_word": False, "lstrip": False, "rstrip": False}
    template = [{"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "<|endoftext|>", "type_id": 0}}]
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False}
    return {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": [added], "normalizer": None,
        "pre_tokenizer": level, "decoder": level,
        "post_processor": {
            "type": "TemplateProcessing", "single": template,
            "pair": [template[0], {"Sequence": {"id": "B", "type_id": 0}}, template[1]],
            "special_tokens": {"<|endoftext|>": {"id": "<|endoftext|>", "ids": [end], "tokens": ["<|endoftext|>"]}}},
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
                  "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "merges": [],
                  "vocab": {c: b * step for b, c in bytes_to_unicode().items()} | {"<|endoftext|>": end}}}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--dtype", choices=["bf16", "f32"], default="bf16")
    for name, value in (("layers", 28), ("hidden", 1024), ("heads", 16), ("kv-heads", 8), ("head-dim", 128),
                        ("inner", 3072), ("vocabulary", 151936), ("positions", 32768), ("seed", 0)):
        parser.add_argument(f"--{name}", type=int, default=value)
    args = parser.parse_args()
    (args.out / "1_Pooling").mkdir(parents=True, exist_ok=True)

    def write(name, value):
        (args.out / name).write_text(json.dumps(value, indent=1) + "\n")

    end = args.vocabulary - 1
    write("config.json", {
        "architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "vocab_size": args.vocabulary,
        "hidden_size": args.hidden, "num_hidden_layers": args.layers, "num_attention_heads": args.heads,
        "num_key_value_heads": args.kv_heads, "head_dim": args.head_dim, "intermediate_size": args.inner,
        "hidden_act": "silu", "rms_norm_eps": 1e-6, "rope_theta": 1000000, "rope_scaling": None,
        "max_position_embeddings": args.positions, "attention_bias": False, "attention_dropout": 0.0,
        "use_sliding_window": False, "sliding_window": None, "tie_word_embeddings": True, "initializer_range": SCALE,
        "bos_token_id": end, "eos_token_id": end, "torch_dtype": {"bf16": "bfloat16", "f32": "float32"}[args.dtype]})
    write("tokenizer.json", tokenizer(args.vocabulary))
    write("tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<|endoftext|>",
                                    "pad_token": "<|endoftext|>", "model_max_length": args.positions})
    modules = (("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize"))
    write("modules.json", [{"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{kind}"}
                           for i, (path, kind) in enumerate(modules)])
    write("1_Pooling/config.json", {"word_embedding_dimension": args.hidden, "pooling_mode_lasttoken": True,
                                    "pooling_mode_cls_token": False, "pooling_mode_mean_tokens": False})
    parameters, size = write_safetensors(args.out / "model.safetensors", tensors_of(args), args.dtype, args.seed)
    print(f"{args.out}: {parameters:,} parameters, {size:,} bytes")


main()
