"""sentence-transformers' way of embedding with Octavo behind it.

    from octavo.sentence_transformers import SentenceTransformer

    model = SentenceTransformer("minilm-int8")
    scores = model.similarity(model.encode_query("who wrote Faust?"), model.encode_document(texts))

It needs neither sentence-transformers nor torch; torch is imported when tensors are asked for.
"""

import contextlib
import os
import warnings
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from octavo import _similarity
from octavo._embedder import Embedder
from octavo._errors import InvalidInputError, NotFoundError, UnsupportedError
from octavo._precision import as_dtype

Precision = Literal["float32", "int8", "binary", "ubinary"]

_Self = TypeVar("_Self", bound="SentenceTransformer")


class SentenceTransformer:
    """The methods of sentence_transformers.SentenceTransformer that embed and compare.

    Args:
        model_name_or_path: an octavo.Embedder, or what it is opened with.
        device: None or "cpu".
        prompts: more prompts, or other texts for those of the model.
        default_prompt_name: of the prompt that `encode` uses when none is named.
        similarity_fn_name: "cosine", "dot", "euclidean" or "manhattan"; None as the model says.
        truncate_dim: keep the first so many numbers of a vector.
        revision: branch, tag or commit, when the model is one of the hub.
        options: further arguments of octavo.Embedder.

    Raises:
        octavo.Error: as octavo.Embedder.
        UnsupportedError: another device.
        NotFoundError: no prompt is called `default_prompt_name`.

    Where it differs: vectors do not depend on the batch, so `batch_size` and `chunk_size` change
    nothing; of no texts there are [0, dim] vectors; `similarity` of arrays is an array. What
    there is no Octavo for is an UnsupportedError.
    """

    def __init__(
        self,
        model_name_or_path: str | os.PathLike[str] | Embedder,
        *,
        device: Any = None,
        prompts: Mapping[str, str] | None = None,
        default_prompt_name: str | None = None,
        similarity_fn_name: Any = None,
        truncate_dim: int | None = None,
        revision: str | None = None,
        **options: Any,
    ) -> None:
        _check_device(device)
        if isinstance(model_name_or_path, Embedder):
            if revision is not None or options:
                raise InvalidInputError(f"{', '.join([*options, *(['revision'] if revision else [])])}: the embedder is open already")
            self.embedder = model_name_or_path
        else:
            name = os.fspath(model_name_or_path)
            self.embedder = Embedder(f"{name}@{revision}" if revision else name, **options)
        # Those two are always there, as in sentence-transformers since version 5.
        self.prompts: dict[str, str] = {"query": "", "document": "", **self.embedder.prompts, **(prompts or {})}
        self.default_prompt_name = default_prompt_name or self.embedder.default_prompt_name
        if self.default_prompt_name is not None:
            self._named(self.default_prompt_name)
        self.truncate_dim = truncate_dim
        self.similarity_fn_name = similarity_fn_name or self.embedder.similarity_fn_name
        self._max_length: int | None = None

    def encode(
        self,
        sentences: str | Iterable[str] | None = None,
        prompt_name: str | None = None,
        prompt: str | None = None,
        batch_size: int = 32,
        show_progress_bar: bool | None = None,
        output_value: str | None = "sentence_embedding",
        precision: Precision | None = "float32",
        convert_to_numpy: bool = True,
        convert_to_tensor: bool = False,
        device: Any = None,
        normalize_embeddings: bool = False,
        truncate_dim: int | None = None,
        pool: Any = None,
        chunk_size: int | None = None,
        *,
        inputs: str | Iterable[str] | None = None,
        task: str | None = None,
    ) -> Any:
        """The vectors of some texts.

        Args:
            sentences, or inputs: the texts; a single str gives a single vector.
            prompt_name: of `prompts`, put before each text; None for the default one.
            prompt: a text to put before each text, instead of a named one and of the default one.
            show_progress_bar: a line on stderr.
            precision: "int8": each vector by a scale of its own (compare by cosine), not by
                ranges of the texts at hand; "binary" and "ubinary": the signs, eight in a byte.
            convert_to_numpy: False for a list of tensors.
            convert_to_tensor: one tensor.
            normalize_embeddings: vectors of length 1; False as the model says.
            truncate_dim: keep the first so many numbers; None as the constructor was told.

        Returns:
            [n, dim] float32, of a single str [dim]; of "int8" int8; of the binary ones
            [n, ceil(dim / 8)] int8 or uint8. As a tensor, or a list of tensors [dim], if asked for.

        Raises:
            octavo.Error, octavo.TruncationWarning: as octavo.Embedder.encode.
            NotFoundError: no prompt of that name.
            UnsupportedError: vectors of tokens (`output_value`), "uint8", another device, a pool
                of processes, a prompt where the model's pooling leaves prompts out.
            ImportError: tensors without torch.
        """
        texts = _given(sentences, inputs)
        if output_value != "sentence_embedding":
            raise UnsupportedError(f"output_value is {output_value!r}; there is 'sentence_embedding'")
        if pool is not None:
            raise UnsupportedError("a pool of processes: one process keeps all cores busy; give pool None")
        if batch_size < 1:
            raise InvalidInputError(f"batch_size is {batch_size}; it can be 1 or more")
        _check_device(device)
        dtype = _dtype(precision)
        single = isinstance(texts, str)
        every = [texts] if isinstance(texts, str) else list(texts)
        vectors = self._vectors(every, self._prompt(prompt_name, prompt), normalize_embeddings, truncate_dim, bool(show_progress_bar))
        made = as_dtype(vectors, dtype)
        if convert_to_tensor or not convert_to_numpy:
            tensor = _torch().from_numpy(made)
            many = tensor if convert_to_tensor else list(tensor)
            return many[0] if single else many
        return made[0] if single else made

    def encode_query(
        self, sentences: str | Iterable[str] | None = None, prompt_name: str | None = None, *more: Any, **named: Any
    ) -> Any:
        """As `encode`, with the prompt "query" when no other is given."""
        return self.encode(sentences, self._role(("query",), prompt_name, more, named), *more, **named)

    def encode_document(
        self, sentences: str | Iterable[str] | None = None, prompt_name: str | None = None, *more: Any, **named: Any
    ) -> Any:
        """As `encode`, with the first prompt of "document", "passage" and "corpus" when no other is given."""
        return self.encode(sentences, self._role(("document", "passage", "corpus"), prompt_name, more, named), *more, **named)

    def similarity(self, embeddings1: Any, embeddings2: Any) -> Any:
        """[n, dim] and [m, dim] to [n, m] by `similarity_fn_name`; a tensor if one of both is."""
        return _as_given(_similarity.all_pairs(self._similarity, _array(embeddings1), _array(embeddings2)), embeddings1, embeddings2)

    def similarity_pairwise(self, embeddings1: Any, embeddings2: Any) -> Any:
        """[n, dim] and [n, dim] to [n] by `similarity_fn_name`; a tensor if one of both is."""
        return _as_given(_similarity.pairwise(self._similarity, _array(embeddings1), _array(embeddings2)), embeddings1, embeddings2)

    @property
    def similarity_fn_name(self) -> str:
        """What `similarity` computes; it can be set."""
        return self._similarity

    @similarity_fn_name.setter
    def similarity_fn_name(self, value: Any) -> None:
        name = str(getattr(value, "value", value) or "cosine")
        if name not in _similarity.NAMES:
            raise InvalidInputError(f"similarity_fn_name is {name!r}; it can be {', '.join(_similarity.NAMES)}")
        self._similarity = name

    @property
    def max_seq_length(self) -> int:
        """Tokens of a text beyond which it is cut; it can be set, up to what the model has."""
        return self._max_length or self.embedder.max_length

    @max_seq_length.setter
    def max_seq_length(self, value: int) -> None:
        self.embedder.encode([], max_length=value)  # a wrong one is said now
        self._max_length = value

    def get_max_seq_length(self) -> int:
        """`max_seq_length`"""
        return self.max_seq_length

    def get_embedding_dimension(self) -> int:
        """Numbers of a vector."""
        return min(self.embedder.dim, self.truncate_dim or self.embedder.dim)

    get_sentence_embedding_dimension = get_embedding_dimension

    @contextlib.contextmanager
    def truncate_embeddings(self, truncate_dim: int | None) -> Iterator[None]:
        """In a `with` block vectors have their first `truncate_dim` numbers."""
        before, self.truncate_dim = self.truncate_dim, truncate_dim
        try:
            yield
        finally:
            self.truncate_dim = before

    truncate_sentence_embeddings = truncate_embeddings

    @property
    def device(self) -> Any:
        """torch.device("cpu"); "cpu" where there is no torch."""
        try:
            return _torch().device("cpu")
        except ImportError:
            return "cpu"

    def to(self: _Self, device: Any) -> _Self:
        """This model, if the device is the CPU."""
        _check_device(device)
        return self

    def eval(self: _Self) -> _Self:
        """This model: there is no other mode."""
        return self

    def tokenize(self, *_: Any, **__: Any) -> Any:
        """Raises UnsupportedError: tokens stay inside; `octavo serve` has /tokenize."""
        raise UnsupportedError("tokenize: tokens stay inside the embedder; `octavo serve` answers at /tokenize")

    def start_multi_process_pool(self, *_: Any, **__: Any) -> Any:
        """Raises UnsupportedError: one process keeps all cores busy."""
        raise UnsupportedError("a pool of processes: one process keeps all cores busy; call encode without one")

    def __repr__(self) -> str:
        return f"octavo.sentence_transformers.SentenceTransformer({self.embedder!r})"

    def _named(self, name: str) -> str:
        if name not in self.prompts:
            raise NotFoundError(f"no prompt named {name!r}; there are {', '.join(self.prompts)}")
        return self.prompts[name]

    def _role(self, usual: tuple[str, ...], prompt_name: str | None, more: tuple[Any, ...], named: dict[str, Any]) -> str | None:
        if prompt_name is not None or named.get("prompt") is not None or (more and more[0] is not None):
            return prompt_name
        return next((name for name in usual if name in self.prompts), None)

    def _prompt(self, name: str | None, text: str | None) -> str:
        if text is not None:
            if name is not None:
                warnings.warn("prompt and prompt_name are given; prompt is used", UserWarning, stacklevel=3)
            return text
        if name is None:
            name = self.default_prompt_name
        return "" if name is None else self._named(name)

    def _vectors(self, texts: list[str], prompt: str, normalize: bool, truncate: int | None, bar: bool) -> NDArray[np.float32]:
        dim = self.embedder.dim
        kept = self.truncate_dim if truncate is None else truncate
        if kept is not None and kept < 1:
            raise InvalidInputError(f"truncate_dim is {kept}; it can be 1 or more, or None")
        kept = dim if kept is None else min(kept, dim)
        vectors: NDArray[np.float32] = self.embedder.encode(
            texts,
            prompt=prompt,
            normalize=True if normalize else None,
            # Cut vectors are as long as they are: the model's own normalisation was before.
            dimensions=kept if normalize else None,
            max_length=self._max_length,
            show_progress=bar,
        )
        return vectors if vectors.shape[1] == kept else np.ascontiguousarray(vectors[:, :kept])


def _given(sentences: str | Iterable[str] | None, inputs: str | Iterable[str] | None) -> str | Iterable[str]:
    if (sentences is None) == (inputs is None):
        raise TypeError("the texts are given once: as the first argument, as sentences or as inputs")
    return inputs if sentences is None else sentences  # type: ignore[return-value]


def _dtype(precision: str | None) -> Precision:
    names: tuple[Precision, ...] = ("float32", "int8", "binary", "ubinary")
    for name in names:
        if name == (precision or "float32"):
            return name
    if precision == "uint8":
        raise UnsupportedError("precision is 'uint8', which needs ranges of the texts at hand; there is 'int8', by a scale a vector")
    raise InvalidInputError(f"precision is {precision!r}; it can be {', '.join(names)}")


def _check_device(device: Any) -> None:
    for one in device if isinstance(device, list) else [device]:
        if one is not None and str(one).partition(":")[0] != "cpu":
            raise UnsupportedError(f"device is {str(one)!r}; there is 'cpu'")


def _torch() -> Any:
    import torch

    return torch


def _is_tensor(value: Any) -> bool:
    first = value[0] if isinstance(value, list) and value else value
    return type(first).__module__.partition(".")[0] == "torch"


def _array(value: Any) -> NDArray[np.float32]:
    if isinstance(value, list) and value:
        return np.stack([_array(one) for one in value])
    return np.asarray(value.detach().float().cpu().numpy() if _is_tensor(value) else value, np.float32)


def _as_given(scores: NDArray[np.float32], *given: Any) -> Any:
    return _torch().from_numpy(scores) if any(map(_is_tensor, given)) else scores
