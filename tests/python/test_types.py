"""The package's types: mypy finds nothing in it, its stubs are what the extension has, and users get both."""
import ast
import inspect
import os
import re
import subprocess
import sys

import pytest

import octavo
from conftest import SOURCE
from octavo import _workers

PACKAGE = SOURCE / "src" / "python" / "octavo"


def python(*arguments, tmp_path):
    return subprocess.run([sys.executable, *map(str, arguments)], capture_output=True, text=True, cwd=tmp_path,
                          env={**os.environ, "MYPYPATH": str(SOURCE / "src" / "python"), "MYPY_CACHE_DIR": str(tmp_path.parent / "cache")})


def test_the_package(tmp_path):
    done = python("-m", "mypy", "--config-file", SOURCE / "pyproject.toml", PACKAGE, tmp_path=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def shape_of(file):
    """Functions by name, a class's as Class.name: arguments' names and what comes back; "tuple" of one with what is in it,
    which nanobind does not know."""
    out = {}

    def look(node, prefix):
        for member in node.body:
            if isinstance(member, ast.ClassDef):
                look(member, member.name + ".")
            if isinstance(member, ast.FunctionDef):
                result = ast.unparse(member.returns)
                out[prefix + member.name] = ([a.arg for a in member.args.args], bool(member.decorator_list),
                                             "tuple" if result.startswith("tuple[") else result)

    look(ast.parse(file.read_text()), "")
    return out


def test_the_stubs(tmp_path):
    """What nanobind says of the extension."""
    done = python("-m", "nanobind.stubgen", "-q", "-m", "octavo._core", "-o", tmp_path / "made.pyi", tmp_path=tmp_path)
    assert done.returncode == 0, done.stderr
    made = shape_of(tmp_path / "made.pyi")
    assert len(made) > 100 and shape_of(PACKAGE / "_core.pyi") == made


USER = """
import numpy as np
from numpy.typing import NDArray
import octavo

embedder = octavo.Embedder("m", threads=2)
vectors: NDArray[np.float32] = embedder.encode(["a"], prompt_name="query", dtype="int8")
for part in embedder.encode_stream((str(i) for i in range(3)), rows=2):
    rows: int = part.shape[0]
report: octavo.VerifyReport = octavo.verify("m", against="n", progress=lambda stage, done, total: None)
worst: str = report.texts[report.worst].text
cosine: float = octavo.build("m", "n").smoothed.cos_min
"""


@pytest.mark.parametrize("right, wrong, code", [
    ("", "", None),
    ('dtype="int8"', 'dtype="int4"', "arg-type"),
    ("worst: str", "worst: int", "assignment"),
    ('["a"]', "[1]", "list-item"),
    ("lambda stage, done, total", "lambda stage, done", "arg-type"),
    ('"m", threads', "3, threads", "arg-type"),
])
def test_a_user(tmp_path, right, wrong, code):
    # A name of its own: mypy's cache, which all share, tells files of one name, size and second apart no further.
    user = tmp_path / f"{tmp_path.name}.py"
    user.write_text(USER.replace(right, wrong) if code else USER)
    done = python("-m", "mypy", "--strict", user.name, tmp_path=tmp_path)
    assert done.returncode == (1 if code else 0) and (not code or f"[{code}]" in done.stdout), done.stdout + done.stderr


def test_the_options_of_workers():
    """They are the arguments of Embedder and its encode, by name and type."""
    for function, kind, but in ((octavo.Embedder.encode, _workers.EncodeOptions, {"self", "texts", "batch_tokens", "show_progress"}),
                                (octavo.Embedder.__init__, _workers.OpenOptions, {"self", "model", "threads"})):
        parameters = inspect.signature(function).parameters
        assert {name: p.annotation for name, p in parameters.items() if name not in but} == kind.__annotations__


ENGINES = """
from octavo.ray import EmbedBatches, embed_parquet
from octavo.spark import embed_udf

EmbedBatches("m", prompt="q: ", dtype="int8", column="text", batch_tokens=64)
embed_udf("m", prompt_name="query", max_length=7, exact_onnx=True)
embed_parquet("a", "b", "m", output="v", nulls="keep", dimensions=8, workers=2)
"""


@pytest.mark.parametrize("right, wrong, code", [
    ("", "", None),
    ('dtype="int8"', 'dtype="int4"', "arg-type"),
    ("batch_tokens=64", "batch_token=64", "call-arg"),
    ("exact_onnx=True", "exact_onnx=3", "arg-type"),
    ("max_length=7", 'nulls="skip"', "arg-type"),
    ("dimensions=8", 'dimensions="8"', "arg-type"),
    ('nulls="keep"', "column=1", "arg-type"),
])
def test_a_user_of_engines(tmp_path, right, wrong, code):
    """Options that a function hands on are checked where it is called."""
    user = tmp_path / f"{tmp_path.name}.py"
    user.write_text(ENGINES.replace(right, wrong) if code else ENGINES)
    # Ray and Spark are not here.
    done = python("-m", "mypy", "--strict", "--config-file", SOURCE / "pyproject.toml", user.name, tmp_path=tmp_path)
    assert done.returncode == (1 if code else 0) and (not code or f"[{code}]" in done.stdout), done.stdout + done.stderr
