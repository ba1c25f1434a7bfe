"""Text in, vectors out."""

import itertools
import os
import pathlib
import threading
import warnings
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from octavo import _core
from octavo._bar import Bar, downloads
from octavo._errors import Error, InvalidInputError, ModelWarning, TruncationWarning
from octavo._precision import DTYPES, Dtype, as_dtype

_Cut = tuple[int, int, int]  # text, tokens it had, tokens that were used


class _Options(NamedTuple):
    prompt: str | None
    prompt_name: str
    max_length: int
    dimensions: int
    normalize: bool | None
    batch_tokens: int


class _Given(Exception):
    """The reader of a stream wants no more."""


def _count(name: str, value: int | None) -> int:
    if value is None:
        return 0
    if value < 1:
        raise InvalidInputError(f"{name} is {value}; it can be 1 or more, or None")
    return value


def _warn_of_cuts(cuts: list[_Cut], texts: int, first: int, level: int) -> None:
    if not cuts:
        return
    shown = ", ".join(f"text {first + text + 1} ({full} tokens, {kept} used)" for text, full, kept in cuts[:5])
    warnings.warn(
        f"{len(cuts)} of {texts} texts were longer than the maximum length and were cut: "
        f"{shown}{', ...' if len(cuts) > 5 else ''}",
        TruncationWarning,
        stacklevel=level + 1,
    )


class Embedder:
    """A model folder, opened once; its methods may be called from many threads at once.

    Args:
        model: folder with an ONNX model and its tokenizer, or `org/name[@revision]` of a model on
            the Hugging Face hub: the one in the hub's cache, else it is downloaded there. The
            variables that the hub's own client reads count (HF_ENDPOINT, HF_TOKEN, HF_HOME,
            HF_HUB_OFFLINE, ...). A folder of that name comes first.
        model_file: name inside the folder (or on the hub), or a path; else model.int8.onnx,
            model.onnx or onnx/model.onnx.
        threads: None for all that this process may use.
        exact_onnx: run the graph node by node as it is written, with the numbers of ONNX Runtime:
            slower, less accurate.
        batch_tokens: tokens that run together, None for 4096; bounds memory, changes no result.
        cache: keep packed weights in the user's cache folder for the next start.

    Raises:
        NotFoundError: no such folder, model file or tokenizer; no such model on the hub, or none in
            its cache that can be had offline.
        UnsupportedError: the graph cannot be run; the hub has no such weights.
        InvalidInputError: a file is broken, or is not what the hub said it would be.
        IoError: a download failed: gated, network, disk; what has arrived is kept.
        KeyboardInterrupt: during a download, within a second or so.

    Warns:
        ModelWarning: something about the model had to be guessed.

    It can be pickled: what is kept is the model's absolute path (or its name on the hub) and the
    arguments, so it must lie at the same place where it is unpickled.
    """

    def __init__(
        self,
        model: str | os.PathLike[str],
        *,
        model_file: str | os.PathLike[str] | None = None,
        threads: int | None = None,
        exact_onnx: bool = False,
        batch_tokens: int | None = None,
        cache: bool = True,
    ) -> None:
        name = os.fspath(model)
        if os.path.exists(name):
            name = os.path.abspath(name)
        self._model = name
        self._arguments: dict[str, Any] = {
            "model_file": model_file,
            "threads": threads,
            "exact_onnx": exact_onnx,
            "batch_tokens": batch_tokens,
            "cache": cache,
        }
        with downloads() as progress:
            self._core, self._warnings = _core.open_embedder(
                name,
                "" if model_file is None else os.fspath(model_file),
                _count("threads", threads),
                exact_onnx,
                _count("batch_tokens", batch_tokens),
                cache,
                progress,
            )
        for warning in self._warnings:
            warnings.warn(warning, ModelWarning, stacklevel=2)

    @property
    def model(self) -> str:
        """What it was opened with: the folder's absolute path, or the name on the hub."""
        return self._model

    @property
    def dim(self) -> int:
        """Numbers of a vector."""
        return self._core.width

    @property
    def max_length(self) -> int:
        """Tokens of a text beyond which it is cut."""
        return self._core.max_length

    @property
    def folder(self) -> pathlib.Path:
        """The folder that was read: of a model on the hub its snapshot in the cache."""
        return self._core.folder

    @property
    def prompts(self) -> dict[str, str]:
        """The model's prompts: the text of each by its name."""
        return self._core.prompts

    @property
    def prompt_names(self) -> list[str]:
        """Names that `prompt_name` may be."""
        return list(self._core.prompts)

    @property
    def default_prompt_name(self) -> str | None:
        """Name of the prompt that a text gets when nothing else is said; None when the model has none."""
        return self._core.default_prompt_name or None

    @property
    def similarity_fn_name(self) -> str | None:
        """How the model's vectors are compared, as its files say it to sentence-transformers; None when they do not."""
        return self._core.similarity or None

    @property
    def warnings(self) -> list[str]:
        """What had to be guessed about the model."""
        return list(self._warnings)

    def explain(self) -> str:
        """How the model runs, and why."""
        return self._core.explain()

    def encode(
        self,
        texts: str | Iterable[str],
        *,
        prompt: str | None = None,
        prompt_name: str | None = None,
        normalize: bool | None = None,
        dimensions: int | None = None,
        dtype: Dtype = "float32",
        max_length: int | None = None,
        batch_tokens: int | None = None,
        show_progress: bool = False,
    ) -> NDArray[Any]:
        """The vectors of some texts. A vector depends on its own text and the options alone.

        Args:
            texts: the texts; a single str gives a single vector.
            prompt: a text to put before each one, in place of all prompts of the model, the default one
                too; "" for nothing.
            prompt_name: prompt of the model to put before each text; None for its default one. Not
                beside `prompt`.
            normalize: vectors of length 1; None as the model says.
            dimensions: keep the first so many numbers (Matryoshka) and normalise again.
            dtype: "float32"; "float16"; "int8", each vector by a scale of its own (compare by
                cosine); "binary" or "ubinary", the signs as bits, eight in a byte, as int8 (minus
                128, as sentence-transformers) or uint8.
            max_length: cut texts to so many tokens; None for the model's own limit.
            batch_tokens: tokens that run together; None as the embedder was opened.
            show_progress: a line on stderr.

        Returns:
            [n, dim], of a single str [dim]; of the binary dtypes [n, ceil(dim / 8)]. The memory of
            a float32 array is that in which it was computed, without a copy.

        Raises:
            NotFoundError: no prompt of that name.
            InvalidInputError: an option out of range, a prompt and a name of one, a str that is no text
                (half of a surrogate pair), a vector that is not finite.
            UnsupportedError: the model's pooling leaves the tokens of prompts out.
            TypeError: a text is no str.
            KeyboardInterrupt: between two batches.

        Warns:
            TruncationWarning: texts were cut.
        """
        single = isinstance(texts, str)
        options = self._options(prompt, prompt_name, max_length, dimensions, normalize, batch_tokens, dtype)
        every = [texts] if isinstance(texts, str) else list(texts)
        bar = Bar("embed", len(every)) if show_progress else None
        try:
            vectors, cuts, _ = self._core.embed(every, *options, bar.show if bar else None)
        finally:
            if bar:
                bar.close()
        _warn_of_cuts(cuts, len(every), 0, 2)
        out = as_dtype(vectors, dtype)
        return out[0] if single else out

    def encode_stream(
        self,
        texts: Iterable[str],
        *,
        rows: int = 1024,
        prompt: str | None = None,
        prompt_name: str | None = None,
        normalize: bool | None = None,
        dimensions: int | None = None,
        dtype: Dtype = "float32",
        max_length: int | None = None,
        batch_tokens: int | None = None,
        show_progress: bool = False,
    ) -> Iterator[NDArray[Any]]:
        """The vectors of any number of texts, in order, array by array: for more than fits memory.

        Args:
            texts: read as it is needed, in the thread that asks for the arrays: what lies in
                between is never more than three arrays' worth.
            rows: vectors of an array; the last one has what is left.

        The other arguments, errors and warnings are those of `encode`; an error names the texts
        of its array by their numbers in the stream, and arrays before it have been given out.

        Returns:
            An iterator of arrays [rows, dim]. While the caller is busy with one, the next is
            being computed; closing the iterator ends that after the batch at work.
        """
        options = self._options(prompt, prompt_name, max_length, dimensions, normalize, batch_tokens, dtype)
        if isinstance(texts, str):
            raise TypeError("texts is a str; a stream is made of several: [texts]")
        if rows < 1:
            raise InvalidInputError(f"rows is {rows}; it can be 1 or more")
        return self._stream(iter(texts), options, rows, dtype, Bar("embed", None) if show_progress else None)

    def _stream(
        self, texts: Iterator[str], options: _Options, rows: int, dtype: Dtype, bar: Bar | None
    ) -> Iterator[NDArray[Any]]:
        stopped = threading.Event()

        def wanted(_: int) -> None:
            if stopped.is_set():
                raise _Given

        def work(first: int, chunk: list[str]) -> tuple[int, NDArray[Any], list[_Cut]]:
            try:
                vectors, cuts, _ = self._core.embed(chunk, *options, wanted)
            except (Error, TypeError) as error:
                place = f"texts {first + 1} to {first + len(chunk)} of the stream"
                raise type(error)(f"{place}: {error}") from None
            return first, as_dtype(vectors, dtype), cuts

        def take(done: Future[tuple[int, NDArray[Any], list[_Cut]]]) -> NDArray[Any]:
            first, vectors, cuts = done.result()
            _warn_of_cuts(cuts, len(vectors), first, 3)
            if bar:
                bar.show(first + len(vectors))
            return vectors

        pending: deque[Future[tuple[int, NDArray[Any], list[_Cut]]]] = deque()
        with ThreadPoolExecutor(1, "octavo-stream") as pool:
            try:
                for first in itertools.count(0, rows):
                    chunk = list(itertools.islice(texts, rows))
                    if not chunk:
                        break
                    pending.append(pool.submit(work, first, chunk))
                    if len(pending) > 1:
                        yield take(pending.popleft())
                while pending:
                    yield take(pending.popleft())
            finally:
                stopped.set()
                for future in pending:
                    future.cancel()
                if bar:
                    bar.close()

    @staticmethod
    def _options(
        prompt: str | None,
        prompt_name: str | None,
        max_length: int | None,
        dimensions: int | None,
        normalize: bool | None,
        batch_tokens: int | None,
        dtype: str,
    ) -> _Options:
        if dtype not in DTYPES:
            raise InvalidInputError(f"dtype is {dtype!r}; it can be {', '.join(DTYPES)}")
        return _Options(
            prompt,
            prompt_name or "",
            _count("max_length", max_length),
            _count("dimensions", dimensions),
            normalize,
            _count("batch_tokens", batch_tokens),
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopened, (self._model, self._arguments)

    def __repr__(self) -> str:
        return f"octavo.Embedder({self._model!r}, dim={self.dim}, max_length={self.max_length})"


def _reopened(model: str, arguments: dict[str, Any]) -> Embedder:
    """What pickle calls. What had to be guessed was said when the first one was opened."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ModelWarning)
        return Embedder(model, **arguments)
