#!/usr/bin/env python3
"""What the original implementation says about some texts: token ids and pooled, normalised
embeddings from transformers and PyTorch in float32, on the untouched snapshot or GGUF. `octavo
verify --reference` and `octavo build --reference` measure against it.

The file is safetensors: embeddings f32 [texts, width] of length 1; norms f32 [texts], their lengths
before; ids i64 [all tokens] and offsets i64 [texts + 1] that cut them; in the metadata the texts
(JSON), the pooling and the versions. Same inputs, same bytes.

Needs: torch, transformers (and gguf, accelerate for a GGUF): tests/oracle/requirements-torch.txt
"""
import argparse
import json
import pathlib
import struct

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[1]


def built_in_texts(probe="small"):
    name = {"small": "probe_texts.inc", "wide": "probe_wide_texts.inc"}[probe]
    lines = (ROOT / "src/toolkit" / name).read_text(encoding="utf-8").splitlines()
    if probe == "wide":  # {"language", "text"},
        return [json.loads(f"[{line[1:-2]}]")[1] for line in lines]
    return [json.loads(line.rstrip(",")) for line in lines if line]


def read_texts(file):
    """As octavo reads them: one text a line, or JSON Lines with a "text" field."""
    lines = [x for x in file.read_text(encoding="utf-8-sig").splitlines() if x.strip()]
    if lines and lines[0].lstrip().startswith("{"):
        return [json.loads(line)["text"] for line in lines]
    return lines


def pooling_of(folder, decoder):
    """mean, cls or last_token, as the snapshot's 1_Pooling says; else what such models are used with."""
    file = folder / "1_Pooling" / "config.json"
    if file.exists():
        config = json.loads(file.read_text())
        for key, name in (("pooling_mode_cls_token", "cls"), ("pooling_mode_lasttoken", "last_token"),
                          ("pooling_mode_mean_tokens", "mean")):
            if config.get(key):
                return name
    return "last_token" if decoder else "mean"


def max_length_of(folder):
    file = folder / "sentence_bert_config.json"
    return json.loads(file.read_text()).get("max_seq_length", 512) if file.exists() else 512


def load(source):
    import torch
    from transformers import AutoModel, AutoTokenizer

    import gguf_reference

    where = {"pretrained_model_name_or_path": source}
    if source.suffix == ".gguf":
        where = {"pretrained_model_name_or_path": source.parent, "gguf_file": source.name}
    # Of a GGUF transformers makes another tokenizer than the model was trained with.
    tokenizer = gguf_reference.published(source) if "gguf_file" in where else AutoTokenizer.from_pretrained(**where)
    model = AutoModel.from_pretrained(**where, dtype=torch.float32, attn_implementation="eager").eval()
    return tokenizer, model


def pool(hidden, pooling):
    if pooling == "mean":
        return hidden.mean(dim=0)
    return hidden[0] if pooling == "cls" else hidden[-1]


def save(tensors, metadata, output):
    """safetensors with the header in a fixed order (the package's own writer shuffles the metadata)."""
    dtypes = {"float32": "F32", "int64": "I64"}
    header, at = {"__metadata__": metadata}, 0
    for name, tensor in tensors.items():
        header[name] = {"dtype": dtypes[str(tensor.dtype)], "shape": list(tensor.shape),
                        "data_offsets": [at, at + tensor.nbytes]}
        at += tensor.nbytes
    text = json.dumps(header, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    output.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(t.tobytes() for t in tensors.values()))


def dump(source, output, texts, pooling=None, max_length=None):
    import torch
    import transformers

    tokenizer, model = load(source)
    decoder = "token_type_ids" not in tokenizer.model_input_names
    folder = source if source.is_dir() else source.parent
    pooling = pooling or pooling_of(folder, decoder)
    max_length = max_length or max_length_of(folder)
    rows, ids = [], []
    with torch.inference_mode():
        for text in texts:
            # One text a run, unpadded: what the model says about this text alone.
            encoded = tokenizer(text, truncation=True, max_length=max_length, return_tensors="pt")
            hidden = model(**encoded).last_hidden_state[0]
            rows.append(pool(hidden.double(), pooling).numpy())
            ids.append(encoded["input_ids"][0].numpy())
    rows = np.stack(rows)
    norms = np.linalg.norm(rows, axis=1)
    tensors = {
        "embeddings": (rows / norms[:, None]).astype(np.float32),
        "norms": norms.astype(np.float32),
        "ids": np.concatenate(ids).astype(np.int64),
        "offsets": np.cumsum([0, *map(len, ids)]).astype(np.int64),
    }
    made_by = f"transformers {transformers.__version__}, torch {torch.__version__.split('+')[0]}"
    metadata = {
        "format": "octavo-reference-1",
        "texts": json.dumps(texts, ensure_ascii=False),
        "pooling": pooling,
        "max_length": str(max_length),
        "source": source.name,
        "made_by": made_by,
    }
    save(tensors, metadata, output)
    return tensors, metadata


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=pathlib.Path, help="snapshot folder or GGUF file")
    parser.add_argument("-o", "--output", type=pathlib.Path, required=True)
    parser.add_argument("--texts", type=pathlib.Path, help="default: octavo's built-in texts")
    parser.add_argument("--probe", choices=["small", "wide"], default="small", help="which of those")
    parser.add_argument("--pooling", choices=["mean", "cls", "last_token"], help="default: as the snapshot says")
    parser.add_argument("--max-length", type=int, help="tokens, special ones included; default: the snapshot's, or 512")
    arguments = parser.parse_args()
    texts = read_texts(arguments.texts) if arguments.texts else built_in_texts(arguments.probe)
    tensors, metadata = dump(arguments.source, arguments.output, texts, arguments.pooling, arguments.max_length)
    print(f"{arguments.output}: {len(texts)} texts, {len(tensors['ids'])} tokens, "
          f"{metadata['pooling']} pooling, {metadata['made_by']}")


if __name__ == "__main__":
    main()
