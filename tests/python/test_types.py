"""The package's types: mypy finds nothing in it, its stubs are what the extension has, and users get both."""
import ast
import os
import re
import subprocess
import sys

import pytest

from conftest import SOURCE

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
