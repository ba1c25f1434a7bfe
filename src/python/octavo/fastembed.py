"""fastembed's TextEmbedding with Octavo behind it: `from octavo.fastembed import TextEmbedding`."""

import os
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from octavo._embedder import Embedder
from octavo._roles import Roles


class TextEmbedding:
    """The methods of fastembed.TextEmbedding, which need nothing of fastembed.

    Args:
        model_name: what octavo.Embedder is opened with.
        threads: None for all that this process may use.
        options: further arguments of octavo.Embedder.

    Where fastembed has it otherwise: `batch_size` is how many texts are read ahead, for batches are
    made of tokens here; `parallel` is accepted and does nothing, all threads are at work already.
    """

    def __init__(self, model_name: str | os.PathLike[str], threads: int | None = None, **options: Any) -> None:
        self.model_name = os.fspath(model_name)
        self._roles = Roles(model_name, None, None, {"threads": threads, **options})

    @property
    def embedding_size(self) -> int:
        """Numbers of a vector."""
        return self._embedder.dim

    def embed(
        self, documents: str | Iterable[str], batch_size: int = 256, parallel: int | None = None
    ) -> Iterator[NDArray[np.float32]]:
        """The vectors one by one, [dim] each, as they are asked for; without a prompt.

        Raises:
            octavo.Error, octavo.TruncationWarning: as octavo.Embedder.encode_stream.
        """
        texts = [documents] if isinstance(documents, str) else documents
        for vectors in self._embedder.encode_stream(texts, rows=batch_size):
            yield from vectors

    def query_embed(self, query: str | Iterable[str]) -> Iterator[NDArray[np.float32]]:
        """As `embed`, with the model's prompt "query" where it has one."""
        yield from self._roles.queries([query] if isinstance(query, str) else query)

    def passage_embed(self, texts: Iterable[str]) -> Iterator[NDArray[np.float32]]:
        """As `embed`, with the model's prompt "document" or "passage" where it has one."""
        yield from self._roles.documents(texts)

    @property
    def _embedder(self) -> Embedder:
        return self._roles.embedder
