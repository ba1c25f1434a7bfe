"""Octavo for LlamaIndex.

    from octavo.llama_index import OctavoEmbedding

    Settings.embed_model = OctavoEmbedding("minilm-int8")
"""

import asyncio
import os
from typing import Any, cast

from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.bridge.pydantic import PrivateAttr

from octavo._embedder import Embedder
from octavo._roles import Roles


class OctavoEmbedding(BaseEmbedding):
    """A model as LlamaIndex's BaseEmbedding. The asynchronous methods run in a thread.

    Args:
        model: an octavo.Embedder, or what it is opened with.
        query_prompt, document_prompt: names of prompts; None for "query", and "document" or
            "passage", where the model has them.
        embed_batch_size: texts that LlamaIndex hands over at once; more keep the CPU busier.
        embedder_options: further arguments of octavo.Embedder.
        others: BaseEmbedding's own.

    Raises:
        octavo.Error: as octavo.Embedder and its encode.
    """

    _roles: Roles = PrivateAttr()

    def __init__(
        self,
        model: str | os.PathLike[str] | Embedder,
        *,
        query_prompt: str | None = None,
        document_prompt: str | None = None,
        embed_batch_size: int = 256,
        embedder_options: dict[str, Any] | None = None,
        **others: Any,
    ) -> None:
        name = "octavo" if isinstance(model, Embedder) else os.path.basename(os.path.normpath(model))
        super().__init__(**{"model_name": str(name), "embed_batch_size": embed_batch_size, **others})
        self._roles = Roles(model, query_prompt, document_prompt, embedder_options or {})

    @classmethod
    def class_name(cls) -> str:
        """The name that LlamaIndex files it under."""
        return "OctavoEmbedding"

    def _get_query_embedding(self, query: str) -> list[float]:
        return cast(list[float], self._roles.queries([query])[0].tolist())

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return await asyncio.to_thread(self._get_query_embedding, query)

    def _get_text_embedding(self, text: str) -> list[float]:
        return self._get_text_embeddings([text])[0]

    async def _aget_text_embedding(self, text: str) -> list[float]:
        return await asyncio.to_thread(self._get_text_embedding, text)

    def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        return cast(list[list[float]], self._roles.documents(texts).tolist())

    async def _aget_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        return await asyncio.to_thread(self._get_text_embeddings, texts)
