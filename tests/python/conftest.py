"""Fixtures of the Python package's tests: those of tests/oracle, whose program is called `program` here
because `octavo` is the package, and a model. Environment (set by ctest): OCTAVO_BIN, OCTAVO_MODELS as there;
PYTHONPATH, where the package under test is; OCTAVO_WHEELS, the files of requirements-wheel.txt;
OCTAVO_CMAKE_CACHE, of the build under test; OCTAVO_ADAPTERS_PYTHON and OCTAVO_ENGINES_PYTHON,
interpreters with requirements-adapters.txt and requirements-engines.txt."""
import importlib.util
import json
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
