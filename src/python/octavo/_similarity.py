"""How alike vectors are, as sentence-transformers counts it: larger is more alike."""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

_Floats = NDArray[np.float32]


def _unit(vectors: _Floats) -> _Floats:
    length: _Floats = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.divide(vectors, np.maximum(length, np.float32(1e-12)))


def _dot(a: _Floats, b: _Floats) -> _Floats:
    return a @ b.T


def _cosine(a: _Floats, b: _Floats) -> _Floats:
    return _unit(a) @ _unit(b).T


def _euclidean(a: _Floats, b: _Floats) -> _Floats:
    # Row by row: the differences of all pairs at once would be n * m * dim numbers.
    return np.stack([-np.linalg.norm(row - b, axis=1) for row in a]) if len(a) else np.zeros((0, len(b)), np.float32)


def _manhattan(a: _Floats, b: _Floats) -> _Floats:
    return np.stack([-np.abs(row - b).sum(axis=1) for row in a]) if len(a) else np.zeros((0, len(b)), np.float32)


_ALL: dict[str, Callable[[_Floats, _Floats], _Floats]] = {
    "cosine": _cosine,
    "dot": _dot,
    "euclidean": _euclidean,
    "manhattan": _manhattan,
}
_PAIRS: dict[str, Callable[[_Floats, _Floats], _Floats]] = {
    "cosine": lambda a, b: (_unit(a) * _unit(b)).sum(axis=-1),
    "dot": lambda a, b: (a * b).sum(axis=-1),
    "euclidean": lambda a, b: -np.linalg.norm(a - b, axis=-1),
    "manhattan": lambda a, b: -np.abs(a - b).sum(axis=-1),
}
NAMES = tuple(_ALL)


def all_pairs(name: str, a: ArrayLike, b: ArrayLike) -> _Floats:
    """[n, dim] and [m, dim], or [dim] for one of them, to [n, m]."""
    return _ALL[name](np.atleast_2d(np.asarray(a, np.float32)), np.atleast_2d(np.asarray(b, np.float32)))


def pairwise(name: str, a: ArrayLike, b: ArrayLike) -> _Floats:
    """[n, dim] and [n, dim] to [n]."""
    return np.asarray(_PAIRS[name](np.asarray(a, np.float32), np.asarray(b, np.float32)))
