"""What the workers of an engine have in common: options, one model a process, and texts that may be missing."""

import os
import threading
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypedDict, cast

import numpy as np
from numpy.typing import NDArray

from octavo._embedder import Embedder
from octavo._errors import InvalidInputError
from octavo._precision import Dtype

Nulls = Literal["error", "keep"]


class EncodeOptions(TypedDict, total=False):
    """Arguments of Embedder.encode."""

    prompt: str | None
    prompt_name: str | None
    normalize: bool | None
    dimensions: int | None
    dtype: Dtype
    max_length: int | None


class OpenOptions(TypedDict, total=False):
    """Arguments of Embedder; `threads` is the engine's to say."""

    model_file: str | os.PathLike[str] | None
    exact_onnx: bool
    batch_tokens: int | None
    cache: bool


class WorkerOptions(EncodeOptions, OpenOptions, total=False):
    """What a function for an engine hands on: its `**options: Unpack[WorkerOptions]`."""


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


def check_names(options: Mapping[str, object], kind: Any) -> None:
    """Raises TypeError for what is no key of the TypedDict `kind`."""
    for name in options:
        if name not in kind.__optional_keys__:
            raise TypeError(f"there is no option {name!r}; there are {', '.join(sorted(kind.__optional_keys__))}")


def split(options: WorkerOptions) -> tuple[EncodeOptions, OpenOptions]:
    """Those of Embedder.encode, and those of Embedder. Raises TypeError for another one."""
    check_names(options, WorkerOptions)
    encoding = {name: value for name, value in options.items() if name in EncodeOptions.__optional_keys__}
    opening = {name: value for name, value in options.items() if name in OpenOptions.__optional_keys__}
    return cast(EncodeOptions, encoding), cast(OpenOptions, opening)


def check_nulls(nulls: str) -> None:
    """Raises InvalidInputError for what is no Nulls."""
    if nulls not in ("error", "keep"):
        raise InvalidInputError(f"nulls is {nulls!r}; it can be error or keep")


def encode(
    embedder: Embedder, texts: Sequence[str | None], nulls: Nulls, column: str, options: EncodeOptions
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
