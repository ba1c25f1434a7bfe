"""A snapshot (or a GGUF file of other types) as GGUF with its matrices in one type, without a tokenizer: ids are given.
Names and metadata are those of the oracle tests' converter; here tensors are read one at a time."""
import json
import pathlib
import struct
import sys

import gguf
import numpy as np

sys.path.append(str(pathlib.Path(__file__).resolve().parents[3] / "tests" / "oracle"))
import hf_to_gguf as names

TYPES = {"Q8_0": gguf.GGMLQuantizationType.Q8_0, "BF16": gguf.GGMLQuantizationType.BF16}


def safetensors_of(file):
    """name -> f32 array, mapped; bf16 is widened by hand."""
    raw = np.memmap(file, np.uint8, "r")
    size = struct.unpack("<Q", raw[:8].tobytes())[0]
    for name, entry in json.loads(raw[8:8 + size].tobytes()).items():
        if name == "__metadata__" or entry["dtype"] not in ("BF16", "F32"):  # position_ids are integers
            continue
        begin, end = (8 + size + o for o in entry["data_offsets"])
        value = raw[begin:end]
        wide = value.view(np.uint16).astype(np.uint32) << 16 if entry["dtype"] == "BF16" else value.view(np.uint32)
        yield name, wide.view(np.float32).reshape(entry["shape"])


def snapshot_tensors(folder, bert):
    for name, value in safetensors_of(folder / "model.safetensors"):
        if bert:
            name = names.gguf_name(name.removeprefix("bert."), names.BERT, "encoder.layer.")
        else:
            name = names.gguf_name("model." + name.removeprefix("model."), names.DECODER, "model.layers.")
        if name:
            yield name, value


def gguf_tensors(file):
    for tensor in gguf.GGUFReader(file).tensors:
        shape = [int(n) for n in reversed(tensor.shape)]
        yield tensor.name, gguf.dequantize(tensor.data, tensor.tensor_type).reshape(shape)


def write(files, kind, out):
    config, bert = files.config, files.config["model_type"] == "bert"
    writer = gguf.GGUFWriter(out, config["model_type"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_vocab_size(config["vocab_size"])
    writer.add_tokenizer_model("none")
    if bert:
        writer.add_layer_norm_eps(config["layer_norm_eps"])
        writer.add_causal_attention(False)
        writer.add_token_type_count(config["type_vocab_size"])
    else:
        writer.add_head_count_kv(config["num_key_value_heads"])
        writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
        writer.add_rope_freq_base(config["rope_theta"])
        writer.add_key_length(config["head_dim"])
        writer.add_value_length(config["head_dim"])
        writer.add_rope_dimension_count(config["head_dim"])
    for name, value in gguf_tensors(files.gguf) if files.gguf else snapshot_tensors(files.snapshot, bert):
        if value.ndim == 2 and not name.startswith(("position_embd", "token_types")):
            stored = gguf.quantize(value, TYPES[kind])
            writer.add_tensor(name, stored, raw_dtype=TYPES[kind])
        else:
            writer.add_tensor(name, np.ascontiguousarray(value))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
