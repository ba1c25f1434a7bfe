#!/usr/bin/env python3
"""Makes the tiny random snapshots in tests/golden/tiny and what transformers computes from them and from the
real models, in tests/golden/import. Same versions, same bytes; every file says which versions made it.

    tools/make_golden.py [--only PATTERN]      rewrites tests/golden
    tools/make_golden.py --check               makes everything anew elsewhere, fails on a difference

OCTAVO_MODELS is the folder of scripts/fetch_models.sh (minilm/ and smollm2/). The expected numbers are those of
the eager attention implementation in float32, one process, on the CPU.
"""
import argparse
import filecmp
import fnmatch
import json
import os
import pathlib
import shutil
import sys
import tempfile

import numpy as np
import torch
import transformers
from safetensors import safe_open
from safetensors.numpy import save_file

import tiny_models

GOLDEN = pathlib.Path(__file__).resolve().parents[1] / "tests/golden"
SMOLLM2 = "SmolLM2-135M-Instruct.Q4_1.gguf"

# Other readings of the same weights: what the config says must decide. name@variant -> overrides.
VARIANTS = {
    "bert@gelu_new": {"hidden_act": "gelu_new"},
    "bert@relu": {"hidden_act": "relu"},
    "bert@silu": {"hidden_act": "silu"},
    "bert@epsilon": {"layer_norm_eps": 0.05},
    "llama@linear": {"rope_scaling": {"type": "linear", "factor": 4.0}},
    "llama@default": {"rope_scaling": None},
    "llama@no_bias": {"attention_bias": False, "mlp_bias": False},
    "llama@gelu_tanh": {"hidden_act": "gelu_pytorch_tanh"},
    "mistral@no_window": {"sliding_window": None},
    "qwen3@epsilon": {"rms_norm_eps": 0.05, "attention_bias": False},
    "qwen2@window": {"use_sliding_window": True, "sliding_window": 4, "max_window_layers": 1,
                     "layer_types": ["full_attention", "sliding_attention"]},
}

# Lengths of the texts of a batch; a decoder's is run padded right and left.
BATCHES = {"tiny": ([7, 12, 3], [1], [40]), "minilm": ([6, 10, 2],), "smollm2": ([4, 7, 2],)}


def batches(name, vocab, sides, token_types):
    rng = np.random.default_rng([tiny_models.SEED, *name.encode()])
    for number, lengths in enumerate(BATCHES.get(name, BATCHES["tiny"])):
        for side in sides if min(lengths) != max(lengths) else sides[:1]:
            width = max(lengths)
            ids = rng.integers(0, vocab, (len(lengths), width))
            mask = np.zeros_like(ids)
            for row, length in enumerate(lengths):
                mask[row, slice(0, length) if side == "right" else slice(width - length, width)] = 1
            inputs = {"input_ids": np.where(mask, ids, 0), "attention_mask": mask}
            if token_types:
                inputs["token_type_ids"] = rng.integers(0, token_types, ids.shape) * mask
            yield f"{number}.{side}", inputs


def compute(name, model, note):
    config = model.config
    bert = config.model_type == "bert"
    tensors = {}
    for label, inputs in batches(name, config.vocab_size, ["right"] if bert else ["right", "left"],
                                 config.type_vocab_size if bert else 0):
        with torch.inference_mode():
            out = model(**{k: torch.from_numpy(v) for k, v in inputs.items()}).last_hidden_state.numpy()
        mask = inputs["attention_mask"][..., None]
        inputs["last_hidden_state"] = np.ascontiguousarray(np.where(mask, out, 0).astype(np.float32))
        tensors.update({f"{label}.{k}": v for k, v in inputs.items()})
    versions = {"torch": torch.__version__, "transformers": transformers.__version__, "numpy": np.__version__}
    # The keys of a safetensors header have no fixed order, one key has.
    return tensors, {"about": json.dumps({**note, "versions": versions, "seed": tiny_models.SEED}, sort_keys=True)}


def load(folder, **options):
    return transformers.AutoModel.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager",
                                                  **options).eval()


def tiny(root, pattern):
    for name in tiny_models.MODELS:
        if fnmatch.fnmatch(name, pattern):
            shutil.rmtree(root / "tiny" / name, ignore_errors=True)
            tiny_models.save(root / "tiny", name)


def imports(root, pattern):
    (root / "import").mkdir(parents=True, exist_ok=True)
    wanted = {**dict.fromkeys([*tiny_models.MODELS, "minilm", "smollm2"], {}), **VARIANTS}
    for label, overrides in wanted.items():
        if not fnmatch.fnmatch(label, pattern):
            continue
        name = label.split("@")[0]
        with tempfile.TemporaryDirectory() as scratch:
            if name in tiny_models.MODELS:
                folder = pathlib.Path(scratch, name)
                shutil.copytree(root / "tiny" / name, folder)
                config = json.loads((folder / "config.json").read_text())
                (folder / "config.json").write_text(json.dumps({**config, **overrides}))
                model = load(folder)
            elif name == "minilm":
                model = load(pathlib.Path(os.environ["OCTAVO_MODELS"], "minilm"))
            else:
                model = load(pathlib.Path(os.environ["OCTAVO_MODELS"], "smollm2"), gguf_file=SMOLLM2)
            tensors, metadata = compute(name, model, {"model": name, "config": overrides})
        save_file(tensors, root / "import" / f"{label}.safetensors", metadata)
        print(f"import/{label}.safetensors: {len(tensors)} tensors", flush=True)


def differences(old, new):
    for path in sorted(p for p in new.rglob("*") if p.is_file()):
        name = path.relative_to(new)
        known = old / name
        if not known.is_file():
            yield f"{name}: not in tests/golden"
        elif name.parts[0] == "tiny":
            if not filecmp.cmp(path, known, shallow=False):
                yield f"{name}: other bytes"
        else:
            yield from (f"{name}: {d}" for d in tensor_differences(known, path))


def tensor_differences(known, made):
    """Another CPU may add in another order: inputs must be equal, numbers close."""
    with safe_open(known, "np") as a, safe_open(made, "np") as b:
        if set(a.keys()) != set(b.keys()):
            yield "other tensors"
            return
        for key in a.keys():
            x, y = a.get_tensor(key), b.get_tensor(key)
            if x.shape != y.shape or not np.allclose(x, y, rtol=0, atol=1e-5 * np.ptp(x) if x.dtype == np.float32 else 0):
                yield f"{key} differs"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="*", metavar="PATTERN", help="names to make, as in a shell: 'qwen3*'")
    parser.add_argument("--check", action="store_true", help="compare with tests/golden instead of rewriting it")
    args = parser.parse_args()
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    if not args.check:
        tiny(GOLDEN, args.only)
        imports(GOLDEN, args.only)
        return
    with tempfile.TemporaryDirectory() as scratch:
        root = pathlib.Path(scratch)
        tiny(root, "*")
        imports(root, "*")
        bad = list(differences(GOLDEN, root))
    print("\n".join(bad) or "every golden is as before")
    sys.exit(bool(bad))


if __name__ == "__main__":
    main()
