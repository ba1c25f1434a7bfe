"""What a model folder says to sentence-transformers: prompts and how vectors are compared."""

import json
import os
import pathlib
import re
from dataclasses import dataclass
from typing import Any

from octavo._errors import InvalidInputError, NotFoundError


@dataclass(frozen=True)
class Settings:
    """Of config_sentence_transformers.json. `default_prompt` is None when the model has none."""

    prompts: dict[str, str]
    default_prompt: str | None
    similarity: str


def model_folder(model: str) -> pathlib.Path:
    """The folder that octavo.Embedder(model) reads: itself, or a snapshot in the hub's cache."""
    if os.path.exists(model):
        return pathlib.Path(model)
    repository, _, revision = model.partition("@")
    place = _hub_cache() / ("models--" + repository.replace("/", "--"))
    revision = revision or "main"
    if not re.fullmatch(r"[0-9a-f]{40}", revision):
        try:
            revision = (place / "refs" / revision).read_text().strip()
        except OSError as error:
            raise NotFoundError(f"{model}: {error}; get it with `octavo pull {model}`") from None
    return place / "snapshots" / revision


def read_settings(folder: pathlib.Path) -> Settings:
    """The settings of a model that octavo.Embedder has opened, which has checked their form."""
    config = _object(folder / "config_sentence_transformers.json")
    given = config.get("prompts") or {}
    similarity = config.get("similarity_fn_name") or "cosine"
    return Settings(
        prompts={name: text for name, text in given.items() if text is not None},
        default_prompt=config.get("default_prompt_name") or None,
        similarity=str(similarity),
    )


def _read(file: pathlib.Path) -> Any:
    try:
        return json.loads(file.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise InvalidInputError(f"{file}: {error}") from None


def _object(file: pathlib.Path) -> dict[str, Any]:
    read = _read(file)
    if read is not None and not isinstance(read, dict):
        raise InvalidInputError(f"{file}: is not an object")
    return read or {}


def _hub_cache() -> pathlib.Path:
    """As the hub's Python client and src/hub look for it."""
    environment = os.environ
    given = environment.get("HF_HUB_CACHE") or environment.get("HUGGINGFACE_HUB_CACHE")
    if given:
        return pathlib.Path(given).expanduser()
    home = environment.get("HF_HOME") or os.path.join(environment.get("XDG_CACHE_HOME") or "~/.cache", "huggingface")
    return pathlib.Path(home).expanduser() / "hub"
