"""Octavo for LangChain.

    from octavo.langchain import OctavoEmbeddings

    store = InMemoryVectorStore(OctavoEmbeddings("minilm-int8"))
"""

import os
from typing import Any, cast

from langchain_core.embeddings import Embeddings

from octavo._embedder import Embedder
from octavo._roles import Roles


class OctavoEmbeddings(Embeddings):
    """A model as LangChain's Embeddings. The asynchronous methods run in LangChain's threads.

    Args:
        model: an octavo.Embedder, or what it is opened with.
        query_prompt, document_prompt: names of prompts; None for "query", and "document" or
            "passage", where the model has them.
        options: further arguments of octavo.Embedder.

    Raises:
        octavo.Error: as octavo.Embedder and its encode.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | Embedder,
        *,
        query_prompt: str | None = None,
        document_prompt: str | None = None,
        **options: Any,
    ) -> None:
        self._roles = Roles(model, query_prompt, document_prompt, options)

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """The vectors of documents."""
        return cast(list[list[float]], self._roles.documents(texts).tolist())

    def embed_query(self, text: str) -> list[float]:
        """The vector of a query."""
        return cast(list[float], self._roles.queries([text])[0].tolist())
