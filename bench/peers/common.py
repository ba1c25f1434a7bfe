"""What the Python engines and the drivers share: a model's files, padding, pooling, memory of a process, the machine. Needs
numpy alone."""
import json
import os
import pathlib

import numpy as np


class Files:
    """ROOT/snapshot (as published), ROOT/fp32 (octavo import), ROOT/int8 (octavo quantize), ROOT/peers/<engine>."""

    def __init__(self, root, engine):
        root = pathlib.Path(root)
        self.snapshot, self.fp32 = root / "snapshot", root / "fp32" / "model.onnx"
        self.int8, self.own = root / "int8" / "model.int8.onnx", root / "peers" / engine
        self.config = json.loads((root / "fp32" / "config.json").read_text())
        self.tokenizer = root / "fp32" / "tokenizer.json"
        pooling = root / "fp32" / "1_Pooling" / "config.json"
        modes = json.loads(pooling.read_text()) if pooling.exists() else {"pooling_mode_lasttoken": True}
        self.pooling = next(name for name, key in (("mean", "mean_tokens"), ("cls", "cls_token"), ("last_token", "lasttoken"))
                            if modes.get("pooling_mode_" + key))

    @property
    def gguf(self):
        return next(iter(sorted(self.snapshot.glob("*.gguf"))), None)


def padded(texts):
    """ids and mask [texts, longest], filled up at the right."""
    ids = np.zeros((len(texts), max(map(len, texts))), np.int64)
    mask = np.zeros_like(ids)
    for row, text in enumerate(texts):
        ids[row, :len(text)], mask[row, :len(text)] = text, 1
    return ids, mask


def pooled(hidden, mask, pooling):
    """hidden f32 [texts, longest, width] -> [texts, width]."""
    if pooling == "mean":
        return (hidden * mask[..., None]).sum(1, dtype=np.float32) / mask.sum(1, keepdims=True, dtype=np.float32)
    if pooling == "cls":
        return hidden[:, 0]
    return hidden[np.arange(len(hidden)), mask.sum(1) - 1]


def memory():
    """Peak and present resident memory, and what of it is no file, in bytes."""
    fields = dict(line.split(":", 1) for line in pathlib.Path("/proc/self/status").read_text().splitlines())
    return {key: int(fields[name].split()[0]) * 1024
            for key, name in (("peak", "VmHWM"), ("resident", "VmRSS"), ("anonymous", "RssAnon"))}


def machine():
    info = pathlib.Path("/proc/cpuinfo").read_text()
    field = lambda name: next((line.split(":", 1)[1].strip() for line in info.splitlines() if line.startswith(name)), "")
    flags = set(field("flags").split())
    kib = int(pathlib.Path("/proc/meminfo").read_text().split("MemTotal:")[1].split()[0])
    return {"cpu": field("model name"), "cpus": len(os.sched_getaffinity(0)), "memory_gb": round(kib / 1e6, 1),
            "load_before": round(os.getloadavg()[0], 2),
            "isa": [f for f in ("avx2", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16", "amx_int8") if f in flags]}
