"""What transformers makes of SmolLM2's GGUF file, for tests/toolkit/snapshot_gguf_test.cc.

  make_gguf_golden.py SMOLLM2.gguf            writes tests/golden/gguf/
  make_gguf_golden.py SMOLLM2.gguf --check    fails when what it would write is not what is there

smollm2_ids.txt: for each string of tests/golden/tokenizer/strings.txt `count:fnv1a32` of its token
ids as decimal numbers with a space after each (gguf_reference.py says whose ids they are).
smollm2_weights.txt: CRC-32 of the float32 bytes, shape and name of every parameter of
AutoModelForCausalLM.from_pretrained(folder, gguf_file=...).
Made with transformers 4.57.6, tokenizers 0.22.1, torch 2.15.0, gguf 0.19.0."""
import argparse
import pathlib
import sys
import zlib

import torch
from transformers import AutoModelForCausalLM

import gguf_reference
import nasty_strings

FOLDER = pathlib.Path(__file__).resolve().parents[1] / "tests" / "golden" / "gguf"


def digest(ids):
    value = 2166136261
    for byte in "".join(f"{i} " for i in ids).encode():
        value = (value ^ byte) * 16777619 & 0xFFFFFFFF
    return f"{len(ids)}:{value:08x}"


def ids(path):
    tokenizer = gguf_reference.published(path)
    return "".join(digest(tokenizer(raw.decode("utf-8", "replace"))["input_ids"]) + "\n" for raw in nasty_strings.strings())


def weights(path):
    model = AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype=torch.float32)
    lines = []
    for name, tensor in model.state_dict().items():
        if name == "lm_head.weight" and model.config.tie_word_embeddings:
            continue
        shape = ", ".join(map(str, tensor.shape))
        lines.append(f"{zlib.crc32(tensor.contiguous().numpy().tobytes()):08x} [{shape}] {name}\n")
    return "".join(lines)


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("gguf", type=pathlib.Path)
    options.add_argument("--check", action="store_true")
    options = options.parse_args()
    different = []
    for name, text in (("smollm2_ids.txt", ids(options.gguf)), ("smollm2_weights.txt", weights(options.gguf))):
        if options.check:
            if (FOLDER / name).read_text() != text:
                different.append(name)
        else:
            FOLDER.mkdir(parents=True, exist_ok=True)
            (FOLDER / name).write_text(text)
    if different:
        sys.exit("not what transformers gives: " + ", ".join(different))


main()
