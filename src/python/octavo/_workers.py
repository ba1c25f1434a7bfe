"""What the workers of an engine have in common: one model a process, and texts that may be missing."""

import os
import threading
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from octavo._embedder import Embedder
from octavo._errors import InvalidInputError

Nulls = Literal["error", "keep"]

_opened: dict[tuple[Any, ...], Embedder] = {}
_lock = threading.Lock()


def opened(model: str | os.PathLike[str], **arguments: Any) -> Embedder:
    """The embedder of this process with these arguments, opened the first time. Its packed weights
    are mapped from a file, so that all processes of a machine share one copy of them."""
    key = (os.getpid(), os.fspath(model), *sorted((k, str(v)) for k, v in arguments.items()))
    with _lock:
        if key not in _opened:
            _opened[key] = Embedder(model, **arguments)
        return _opened[key]


def lasting(model: str | os.PathLike[str]) -> str:
    """A model's name that means the same in another process: a path is an absolute one."""
    name = os.fspath(model)
    return os.path.abspath(name) if os.path.exists(name) else name


def check_nulls(nulls: str) -> None:
    """Raises InvalidInputError for what is no Nulls."""
    if nulls not in ("error", "keep"):
        raise InvalidInputError(f"nulls is {nulls!r}; it can be error or keep")


def encode(
    embedder: Embedder, texts: Sequence[str | None], nulls: Nulls, column: str, options: dict[str, Any]
) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
    """The vectors [n, dim] of texts, and which of them are of no text (their vectors are zeros), or
    None where every text is there.

    Raises:
        InvalidInputError: a text is missing, and `nulls` is "error".
        octavo.Error: as Embedder.encode.
    """
    there = [text for text in texts if text is not None]
    if len(there) == len(texts):
        return embedder.encode(there, **options), None
    if nulls == "error":
        first = next(row for row, text in enumerate(texts) if text is None)
        raise InvalidInputError(
            f"column {column!r} has {len(texts) - len(there)} nulls in a batch of {len(texts)} rows, the first in row "
            f'{first + 1} of it; filter them out, or use nulls="keep" for a null in place of the vector'
        )
    missing = np.fromiter((text is None for text in texts), np.bool_, len(texts))
    found = embedder.encode(there, **options)
    vectors = np.zeros((len(texts), found.shape[1]), found.dtype)
    vectors[~missing] = found
    return vectors, missing
