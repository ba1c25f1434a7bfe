"""Fixtures of the Python package's tests: those of tests/oracle, whose program is called `program` here
because `octavo` is the package, and a model. Environment (set by ctest): OCTAVO_BIN, OCTAVO_MODELS as there;
PYTHONPATH, where the package under test is; OCTAVO_WHEELS, the files of requirements-wheel.txt;
OCTAVO_CMAKE_CACHE, of the build under test; OCTAVO_ADAPTERS_PYTHON, OCTAVO_DATABASES_PYTHON, OCTAVO_ENGINES_PYTHON and
OCTAVO_MTEB_PYTHON, interpreters with the requirements-*.txt of those names (the last one with torch, too); OCTAVO_MANPAGES,
the folder with Debian's packages of manual pages."""
import importlib.util
import json
import os
import pathlib

import numpy as np
import pytest

SOURCE = pathlib.Path(__file__).resolve().parents[2]
_spec = importlib.util.spec_from_file_location("oracle_fixtures", SOURCE / "tests" / "oracle" / "conftest.py")
_oracle = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_oracle)
program, tiny, minilm = _oracle.octavo, _oracle.tiny, _oracle.minilm
runtimes_python = _oracle.runtimes_python


@pytest.fixture(scope="session")
def adapters_python():
    """adapters_python(code, *arguments) runs Python code where LangChain, LlamaIndex and Haystack are."""
    return _oracle._interpreter("OCTAVO_ADAPTERS_PYTHON", "LangChain, LlamaIndex and Haystack")


@pytest.fixture(scope="session")
def databases_python():
    """databases_python(code, *arguments) runs Python code where PostgreSQL, Qdrant and FAISS are."""
    return _oracle._interpreter("OCTAVO_DATABASES_PYTHON", "PostgreSQL, Qdrant and FAISS")


@pytest.fixture(scope="session")
def manual_pages():
    """The folder with Debian's packages of manual pages."""
    folder = pathlib.Path(os.environ.get("OCTAVO_MANPAGES", ""))
    if not all(list(folder.glob(f"{name}_*.deb")) for name in ("manpages", "manpages-dev")):
        _oracle._absent("no packages of manual pages here: scripts/setup.sh gets them")
    return folder


@pytest.fixture(scope="session")
def mteb_python():
    """mteb_python(code, *arguments) runs Python code where mteb and sentence-transformers are."""
    return _oracle._interpreter("OCTAVO_MTEB_PYTHON", "mteb and sentence-transformers")


@pytest.fixture(scope="session")
def beside_the_real_one(program, minilm, tmp_path_factory):
    """beside_the_real_one(name, prompts, **settings) -> folders with the same MiniLM for octavo, called `name`, and for
    sentence-transformers, both with these prompts and settings."""
    def make(name, prompts, **settings):
        made = tmp_path_factory.mktemp("both")
        ours, theirs = made / name, made / "theirs"
        program("import", minilm, "-o", ours)
        theirs.mkdir()
        for file in minilm.iterdir():
            (theirs / file.name).symlink_to(file)
        (theirs / "config_sentence_transformers.json").unlink()
        for folder in (ours, theirs):
            (folder / "config_sentence_transformers.json").write_text(json.dumps(
                {"prompts": prompts, "similarity_fn_name": "cosine", **settings}))
        return ours, theirs
    return make


@pytest.fixture(scope="session")
def model(program, tiny, tmp_path_factory):
    """A folder with a tiny BERT."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    program("import", tiny / "bert", "-o", folder)
    return folder


@pytest.fixture(scope="session")
def qwen3(program, tiny, tmp_path_factory):
    """A folder with a tiny Qwen3 that has prompts."""
    folder = tmp_path_factory.mktemp("models") / "qwen3"
    program("import", tiny / "qwen3", "-o", folder)
    (folder / "config_sentence_transformers.json").write_text(
        json.dumps({"prompts": {"query": "Instruct: find it\nQuery:", "document": ""}}))
    return folder


@pytest.fixture
def embed(program, tmp_path):
    """embed(model, texts, *options) -> the array that `octavo embed` writes."""

    def call(folder, texts, *options):
        (tmp_path / "in.jsonl").write_text("".join(json.dumps({"text": t}) + "\n" for t in texts))
        program("embed", folder, "--input", tmp_path / "in.jsonl", "--output", tmp_path / "out.npy", *options)
        return np.load(tmp_path / "out.npy")

    return call
