"""Vectors in fewer bits. Each is made of its own text's vector alone, never of its neighbours'."""

import numpy as np
from numpy.typing import NDArray

DTYPES = ("float32", "float16", "int8", "binary", "ubinary")


def as_dtype(vectors: NDArray[np.float32], dtype: str) -> NDArray[np.generic]:
    """float32 [n, dim] as one of DTYPES: [n, dim], of the binary ones [n, ceil(dim / 8)]."""
    if dtype == "float32":
        return vectors
    if dtype == "float16":
        return vectors.astype(np.float16)
    if dtype == "int8":
        # A scale a vector, which no cosine sees: 127 for its largest number.
        largest = np.abs(vectors).max(axis=1, keepdims=True, initial=np.float32(0))
        return np.rint(vectors * (127 / np.where(largest == 0, 1, largest))).astype(np.int8)
    bits = np.packbits(vectors > 0, axis=1)
    return bits if dtype == "ubinary" else (bits ^ 0x80).view(np.int8)
