"""Octavo for Haystack.

    from octavo.haystack import OctavoDocumentEmbedder, OctavoTextEmbedder

    pipeline.add_component("embedder", OctavoTextEmbedder("minilm-int8"))
"""

from dataclasses import replace
from typing import Any

from haystack import Document, component, default_from_dict, default_to_dict

from octavo._roles import Roles


@component
class OctavoTextEmbedder:
    """Embeds a query.

    Args:
        model: what octavo.Embedder is opened with.
        prompt_name: name of a prompt; None for "query" where the model has it.
        options: further arguments of octavo.Embedder.

    Raises:
        octavo.Error: as octavo.Embedder and its encode; when the component warms up or runs.
    """

    def __init__(self, model: str, prompt_name: str | None = None, options: dict[str, Any] | None = None) -> None:
        self.model, self.prompt_name, self.options = model, prompt_name, options
        self._roles: Roles | None = None

    def warm_up(self) -> None:
        """Opens the model."""
        if self._roles is None:
            self._roles = Roles(self.model, self.prompt_name, None, self.options or {})

    @component.output_types(embedding=list[float], meta=dict[str, Any])
    def run(self, text: str) -> dict[str, Any]:
        """{"embedding": floats of the text, "meta": {"model": its name}}"""
        if not isinstance(text, str):
            raise TypeError(f"text is a {type(text).__name__}; documents are for OctavoDocumentEmbedder")
        self.warm_up()
        assert self._roles is not None
        return {"embedding": self._roles.queries([text])[0].tolist(), "meta": {"model": self.model}}

    def to_dict(self) -> dict[str, Any]:
        """The component as Haystack keeps it."""
        return default_to_dict(self, model=self.model, prompt_name=self.prompt_name, options=self.options)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "OctavoTextEmbedder":
        """The other way."""
        return default_from_dict(cls, data)


@component
class OctavoDocumentEmbedder:
    """Embeds documents: the metadata fields that are named, and the content.

    Args:
        model: what octavo.Embedder is opened with.
        prompt_name: name of a prompt; None for "document" or "passage" where the model has it.
        meta_fields_to_embed: metadata put before the content.
        embedding_separator: what stands between them.
        options: further arguments of octavo.Embedder.

    Raises:
        octavo.Error: as octavo.Embedder and its encode; when the component warms up or runs.
    """

    def __init__(
        self,
        model: str,
        prompt_name: str | None = None,
        meta_fields_to_embed: list[str] | None = None,
        embedding_separator: str = "\n",
        options: dict[str, Any] | None = None,
    ) -> None:
        self.model, self.prompt_name, self.options = model, prompt_name, options
        self.meta_fields_to_embed = meta_fields_to_embed or []
        self.embedding_separator = embedding_separator
        self._roles: Roles | None = None

    def warm_up(self) -> None:
        """Opens the model."""
        if self._roles is None:
            self._roles = Roles(self.model, None, self.prompt_name, self.options or {})

    @component.output_types(documents=list[Document], meta=dict[str, Any])
    def run(self, documents: list[Document]) -> dict[str, Any]:
        """{"documents": copies that have their embedding, "meta": {"model": its name}}"""
        if not isinstance(documents, list) or any(not isinstance(d, Document) for d in documents):
            raise TypeError("documents is no list of Documents; a text is for OctavoTextEmbedder")
        self.warm_up()
        assert self._roles is not None
        vectors = self._roles.documents(map(self._text, documents)).tolist()
        made = [replace(document, embedding=vector) for document, vector in zip(documents, vectors, strict=True)]
        return {"documents": made, "meta": {"model": self.model}}

    def _text(self, document: Document) -> str:
        fields = [document.meta.get(field) for field in self.meta_fields_to_embed]
        parts = [str(field) for field in fields if field is not None]
        return self.embedding_separator.join([*parts, document.content or ""])

    def to_dict(self) -> dict[str, Any]:
        """The component as Haystack keeps it."""
        return default_to_dict(
            self,
            model=self.model,
            prompt_name=self.prompt_name,
            meta_fields_to_embed=self.meta_fields_to_embed,
            embedding_separator=self.embedding_separator,
            options=self.options,
        )

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "OctavoDocumentEmbedder":
        """The other way."""
        return default_from_dict(cls, data)
