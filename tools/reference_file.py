"""What tools/dump_reference.py wrote, and how close vectors are to it."""
import json
import pathlib
import struct

import numpy as np


def read_reference(file):
    """token ids of each text, embeddings [texts, width] of length 1, the metadata"""
    raw = pathlib.Path(file).read_bytes()
    size = struct.unpack("<Q", raw[:8])[0]
    header = json.loads(raw[8:8 + size])

    def tensor(name, dtype):
        begin, end = (8 + size + o for o in header[name]["data_offsets"])
        return np.frombuffer(raw[begin:end], dtype).reshape(header[name]["shape"])

    offsets, ids = tensor("offsets", np.int64), tensor("ids", np.int64)
    return [ids[b:e].tolist() for b, e in zip(offsets, offsets[1:])], tensor("embeddings", np.float32), header["__metadata__"]


def figures(vectors, reference):
    """The figures of `octavo verify`, and the text with the smallest cosine."""
    a, b = vectors.astype(np.float64), reference.astype(np.float64)
    cosines = (a * b).sum(1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1))
    p1, p5, p50 = np.percentile(cosines, [1, 5, 50])
    return {"cos_min": cosines.min(), "cos_p1": p1, "cos_p5": p5, "cos_p50": p50, "cos_mean": cosines.mean(),
            "worst": int(cosines.argmin())}
