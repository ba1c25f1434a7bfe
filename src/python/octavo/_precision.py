"""Vectors in fewer bits. Each is made of its own text's vector alone, never of its neighbours'."""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from octavo._errors import InvalidInputError

Dtype = Literal["float32", "float16", "int8", "binary", "ubinary"]
DTYPES = ("float32", "float16", "int8", "binary", "ubinary")


def as_dtype(vectors: NDArray[np.float32], dtype: Dtype) -> NDArray[Any]:
    """Vectors that are already there in fewer bits: what `encode(dtype=...)` gives for the same texts, bit by bit.

    Args:
        vectors: float32 [n, dim] or [dim], of `encode`.
        dtype: as of `Embedder.encode`.

    Returns:
        [n, dim], of the binary dtypes [n, ceil(dim / 8)]; of a single vector [dim] or [ceil(dim / 8)]. Of "float32" the
        array itself.

    Raises:
        InvalidInputError: another dtype or shape.
    """
    if dtype not in DTYPES:
        raise InvalidInputError(f"dtype is {dtype!r}; it can be {', '.join(DTYPES)}")
    if vectors.dtype != np.float32 or vectors.ndim not in (1, 2):
        raise InvalidInputError(f"vectors are {vectors.dtype} of shape {vectors.shape}; they can be float32 [n, dim] or [dim]")
    if dtype == "float32":
        return vectors
    if dtype == "float16":
        return vectors.astype(np.float16)
    if dtype == "int8":
        # A scale a vector, which no cosine sees: 127 for its largest number.
        largest = np.abs(vectors).max(axis=-1, keepdims=True, initial=np.float32(0))
        return np.rint(vectors * (127 / np.where(largest == 0, 1, largest))).astype(np.int8)
    bits = np.packbits(vectors > 0, axis=-1)
    return bits if dtype == "ubinary" else (bits ^ 0x80).view(np.int8)
