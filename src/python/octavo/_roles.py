"""Queries and documents, for libraries that tell them apart: each by the model's own prompt for it."""

import os
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from octavo._embedder import Embedder

# As octavo evaluate looks for them.
_QUERY = ("query",)
_DOCUMENT = ("document", "passage")


class Roles:
    """An embedder with a prompt for queries and one for documents.

    Args:
        model: an Embedder, or what it is opened with.
        query_prompt, document_prompt: names of prompts; None for "query", and "document" or
            "passage", where the model has them.
        options: further arguments of Embedder.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | Embedder,
        query_prompt: str | None,
        document_prompt: str | None,
        options: dict[str, Any],
    ) -> None:
        self.embedder = model if isinstance(model, Embedder) else Embedder(model, **options)
        self._query = self._prompt(query_prompt, _QUERY)
        self._document = self._prompt(document_prompt, _DOCUMENT)

    def queries(self, texts: Iterable[str], **options: Any) -> NDArray[np.float32]:
        return self.embedder.encode(list(texts), prompt_name=self._query, **options)

    def documents(self, texts: Iterable[str], **options: Any) -> NDArray[np.float32]:
        return self.embedder.encode(list(texts), prompt_name=self._document, **options)

    def _prompt(self, asked: str | None, usual: tuple[str, ...]) -> str | None:
        if asked is not None:
            self.embedder.encode([], prompt_name=asked)  # a wrong name is said now
            return asked
        known = self.embedder.prompt_names
        return next((name for name in usual if name in known), None)
