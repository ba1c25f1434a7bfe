"""Octavo for mteb, the benchmark.

    import mteb
    from octavo.mteb import OctavoEncoder

    result = mteb.evaluate(OctavoEncoder("minilm-int8"), mteb.get_tasks(tasks=["STSBenchmark"]))
"""

import hashlib
import json
import os
from collections.abc import Callable
from typing import Any

from mteb.models.abs_encoder import AbsEncoder
from mteb.models.model_meta import ModelMeta, ScoringFunction
from numpy.typing import NDArray

from octavo._embedder import Embedder
from octavo._errors import InvalidInputError, UnsupportedError
from octavo.sentence_transformers import SentenceTransformer

# What a revision is made of: a model that gives these the same vectors is the same model.
_PROBES = ("how do I reset my password?", "Faust, eine Trag\u00f6die", "0x7f 3.14 -- [MASK]", "\u4f60\u597d", "")


class OctavoEncoder(AbsEncoder):
    """A model as mteb's EncoderProtocol; mteb's own rules choose among the model's prompts.

    Args:
        model_name: an octavo.Embedder, or what it is opened with.
        revision: branch, tag or commit, when the model is one of the hub.
        device: None or "cpu".
        name: under which mteb files the results, `org/model`; None for `octavo/` and the name of
            the folder or of the model on the hub.
        embed_dim: keep the first so many numbers of a vector.
        prompts: more prompts, or other texts; their names as mteb looks for them: a task's name
            or type, "query", "document", or those joined as "SciFact-query".
        options: further arguments of octavo.Embedder.

    mteb keeps results by name and revision. The revision that it sees is a hash of the vectors of
    five texts and of the prompts, so a model made anew is measured anew.

    Raises:
        octavo.Error: as octavo.Embedder.
    """

    mteb_model_meta: ModelMeta

    def __init__(
        self,
        model_name: str | os.PathLike[str] | Embedder,
        revision: str | None = None,
        *,
        device: str | None = None,
        name: str | None = None,
        embed_dim: int | None = None,
        prompts: dict[str, str] | None = None,
        **options: Any,
    ) -> None:
        if revision == "no_revision_available":  # what mteb calls none
            revision = None
        self.model = SentenceTransformer(
            model_name, device=device, prompts=prompts, truncate_dim=embed_dim, revision=revision, **options
        )
        self.model_prompts = self.model.prompts
        short = os.path.basename(os.path.normpath(self.model.embedder.model)).partition("@")[0]
        name = name or f"octavo/{short}"
        if "/" not in name:
            raise InvalidInputError(f"name is {name!r}; mteb files results under names like org/model")
        # mteb has no other ones; for None AbsEncoder asks the model itself.
        similarities = {"cosine": ScoringFunction.COSINE, "dot": ScoringFunction.DOT_PRODUCT}
        self.mteb_model_meta = ModelMeta.create_empty(
            overwrites={
                "name": name,
                "revision": _fingerprint(self.model),
                "max_tokens": self.model.max_seq_length,
                "embed_dim": self.model.get_embedding_dimension(),
                "framework": ["ONNX"],
                "similarity_fn_name": similarities.get(self.model.similarity_fn_name),
                "use_instructions": any(self.model.prompts.values()),
            }
        )

    def encode(
        self,
        inputs: Any,
        *,
        task_metadata: Any,
        hf_split: str,
        hf_subset: str,
        prompt_type: Any = None,
        **kwargs: Any,
    ) -> NDArray[Any]:
        """The vectors of a DataLoader's texts, [n, dim].

        Args:
            inputs: batches, each a dict with a list "text".
            task_metadata, prompt_type: choose the prompt.
            hf_split, hf_subset: change nothing.
            kwargs: `batch_size`, `show_progress_bar` and `precision`, as SentenceTransformer.encode.

        Raises:
            UnsupportedError: images, sounds or videos.
            octavo.Error, octavo.TruncationWarning: as SentenceTransformer.encode.
        """
        texts: list[str] = []
        for batch in inputs:
            other = sorted({"image", "audio", "video"} & set(batch))
            if other or "text" not in batch:
                raise UnsupportedError(f"task {task_metadata.name} has {', '.join(other) or 'no text'}; text is what can be embedded")
            texts.extend(batch["text"])
        by_role: dict[str, Callable[..., Any]] = {"query": self.model.encode_query, "document": self.model.encode_document}
        encode: Callable[..., Any] = by_role.get(getattr(prompt_type, "value", ""), self.model.encode)
        vectors: NDArray[Any] = encode(texts, prompt_name=self.get_prompt_name(task_metadata, prompt_type), **kwargs)
        return vectors


def _fingerprint(model: SentenceTransformer) -> str:
    digest = hashlib.sha256(model.embedder.encode(list(_PROBES)).tobytes())
    settings = [model.prompts, model.default_prompt_name, model.truncate_dim, model.similarity_fn_name]
    digest.update(json.dumps(settings, sort_keys=True).encode())
    return digest.hexdigest()[:40]
