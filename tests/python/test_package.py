"""`pip install .` in a clean environment, a wheel in another one without a compiler, and one of the stable ABI under several
Pythons; all offline, from the files of requirements-wheel.txt. Compiles what the build under test compiled, so that ccache has it."""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import zipfile

import numpy as np
import pytest

from conftest import SOURCE


def cached(name):
    """A variable of the build under test."""
    found = re.search(rf"^{name}:[A-Z]+=(.*)$", pathlib.Path(os.environ["OCTAVO_CMAKE_CACHE"]).read_text(), re.M)
    return found[1] if found else ""


@pytest.fixture(scope="module")
def wheels():
    folder = pathlib.Path(os.environ["OCTAVO_WHEELS"])
    if not folder.is_dir():
        if "OCTAVO_REQUIRE_ORACLES" in os.environ:
            pytest.fail(f"no {folder}: scripts/setup.sh makes it", pytrace=False)
        pytest.skip("no wheels here: scripts/setup.sh gets them")
    return folder


def run(*command, **environment):
    env = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PIP_FIND_LINKS")} | environment
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, env=env, cwd=environment.get("PWD"))
    assert done.returncode == 0, f"{command}\n{done.stdout[-4000:]}\n{done.stderr[-8000:]}"
    return done.stdout


def environment(folder, interpreter=sys.executable):
    run(interpreter, "-m", "venv", "--without-pip", folder)
    return folder / "bin" / "python"


def pip(python, wheels, *arguments, **environment):
    # With the options of the build under test, so that nothing but `formats` (whose messages are others) is compiled anew.
    names = ("CMAKE_CXX_COMPILER", "CMAKE_CXX_COMPILER_LAUNCHER", "CMAKE_CXX_FLAGS_RELWITHDEBINFO", "OCTAVO_CARGO_TARGET_DIR")
    same = ["build-dir=build/package-{wheel_tag}", f"cmake.build-type={cached('CMAKE_BUILD_TYPE')}", "cmake.define.OCTAVO_DEVELOPER=ON",
            *[f"cmake.define.{name}={cached(name)}" for name in names if cached(name)]]
    run(sys.executable, "-m", "pip", "--python", python, *arguments, "--no-index", "--find-links", wheels, "-q",
        *[f"-C{setting}" for setting in same], **environment)


def other_python(version):
    """An interpreter of that version, of the system or of pyenv; skips where there is none."""
    name = f"python{version}"
    own = sorted(pathlib.Path.home().glob(f".pyenv/versions/{version}.*/bin/{name}"))
    for found in (*own, shutil.which(name)):
        if found and subprocess.run([found, "-c", "import venv, sysconfig, os; os.stat(sysconfig.get_paths()['include'] + '/Python.h')"],
                                    capture_output=True).returncode == 0:
            return found
    pytest.skip(f"no Python {version} with its headers here")


def readme_lines():
    blocks = re.findall(r"^```python\n(.*?)^```", (SOURCE / "README.md").read_text(), re.M | re.S)
    assert len(blocks) == 1 and len(blocks[0].strip().splitlines()) == 5
    return blocks[0]


def test_pip_install_and_the_lines_of_the_readme(program, tiny, wheels, tmp_path):
    python = environment(tmp_path / "clean")
    pip(python, wheels, "install", SOURCE)
    program("build", tiny / "bert", "-o", tmp_path / "minilm-int8", "--min-cos", -1)
    said = run(python, "-W", "error", "-c", readme_lines(), PWD=str(tmp_path))
    assert re.fullmatch(r"\(2, 36\) [-\d.]+\n", said), said
    installed = run(python, "-c", "import octavo, os; print(*sorted(os.listdir(os.path.dirname(octavo.__file__))))").split()
    sources = {p.name for p in (SOURCE / "src" / "python" / "octavo").iterdir() if p.suffix in (".py", ".pyi", ".typed")}
    assert {n for n in installed if n.endswith((".py", ".pyi", ".typed"))} == sources
    assert sum(".so" in n for n in installed) == 2 and set(installed) - sources - {"__pycache__"} == {n for n in installed if ".so" in n}


def test_a_wheel_without_a_compiler(program, tiny, wheels, tmp_path):
    pip(sys.executable, wheels, "wheel", SOURCE, "--no-deps", "-w", tmp_path)
    wheel, = tmp_path.glob("octavo-*.whl")
    shown = run(sys.executable, "-m", "auditwheel", "show", wheel)
    assert re.search(r'consistent with the\s+following platform tag:\s+"manylinux_2_\d+_x86_64"', shown), shown
    with zipfile.ZipFile(wheel) as archive:
        library, = (n for n in archive.namelist() if n.endswith(".so"))
        beside = {n.removeprefix("octavo/") for n in archive.namelist() if re.search(r"\.so\.\d+$", n)}
        (tmp_path / "_core.so").write_bytes(archive.read(library))
        metadata = archive.read(next(n for n in archive.namelist() if n.endswith("METADATA"))).decode()
    assert re.findall(r"^Requires-Dist: (.*)$", metadata, re.M) == ["numpy>=1.23"]
    needed = set(re.findall(r"\(NEEDED\).*\[(.*?)\]", run("readelf", "-d", tmp_path / "_core.so")))
    everywhere = {"libc.so.6", "libm.so.6", "libstdc++.so.6", "libgcc_s.so.1", "ld-linux-x86-64.so.2"}
    assert len(beside) == 1 and beside <= needed <= everywhere | beside, needed
    seen = [line.split()[-1] for line in run("nm", "-D", "--defined-only", tmp_path / "_core.so").splitlines()]
    assert [name for name in seen if "octavo" in name or "onnx" in name or "protobuf" in name or "EVP" in name] == []
    assert "PyInit__core" in seen

    python = environment(tmp_path / "clean")
    empty = tmp_path / "empty"
    empty.mkdir()
    run(sys.executable, "-m", "pip", "--python", python, "install", "-q", "--no-index", "--find-links", wheels, wheel, PATH=empty)
    assert shutil.which("cc", path=str(empty)) is None
    program("import", tiny / "bert", "-o", tmp_path / "m")
    code = f"""
import octavo
print(octavo.Embedder({str(tmp_path / 'm')!r}).encode("a").shape)
print(*{{line.split()[-1] for line in open("/proc/self/maps") if "protobuf" in line or "crypto" in line or "onnx" in line}})
"""
    shape, libraries = run(python, "-W", "error", "-c", code, PATH=empty).splitlines()
    assert shape == "(36,)" and [pathlib.Path(p).name for p in libraries.split()] == list(beside)
    assert libraries.startswith(str(tmp_path / "clean"))


STABLE = """
import sys, numpy as np, octavo
np.save(sys.argv[2], octavo.Embedder(sys.argv[1], cache=False).encode(sys.argv[3:]))
print(octavo._core.__file__)
"""


def test_one_wheel_from_3_12_on(program, minilm, embed, wheels, tmp_path):
    """Built with 3.12 it is one of the stable ABI, and gives what the program gives there and in 3.13, with numpy beside it."""
    pythons = {version: other_python(version) for version in ("3.12", "3.13")}
    for version in pythons:
        if not list(wheels.glob(f"numpy-*-cp{version.replace('.', '')}-*.whl")):
            if "OCTAVO_REQUIRE_ORACLES" in os.environ:
                pytest.fail(f"no numpy of Python {version} in {wheels}: scripts/setup.sh gets it", pytrace=False)
            pytest.skip(f"no numpy of Python {version} in {wheels}")
    pip(pythons["3.12"], wheels, "wheel", SOURCE, "--no-deps", "-w", tmp_path)
    wheel, = tmp_path.glob("octavo-*.whl")
    assert re.fullmatch(r"octavo-[0-9.]+-cp312-abi3-linux_x86_64\.whl", wheel.name), wheel.name
    program("import", minilm, "-o", tmp_path / "m")
    program("quantize", tmp_path / "m" / "model.onnx", tmp_path / "m" / "model.int8.onnx")
    texts = ["how do I reset my password?", "I forgot my login", "\u00fcber \u4f60\u597d"]
    expected = embed(tmp_path / "m", texts)
    for version, interpreter in pythons.items():
        python = environment(tmp_path / version, interpreter)
        run(sys.executable, "-m", "pip", "--python", python, "install", "-q", "--no-index", "--find-links", wheels, wheel)
        said = run(python, "-W", "error", "-c", STABLE, tmp_path / "m", tmp_path / f"{version}.npy", *texts).strip()
        assert said.startswith(str(tmp_path / version)) and said.endswith("/_core.abi3.so"), said
        got = np.load(tmp_path / f"{version}.npy")
        assert got.shape == (3, 384) and got.tobytes() == expected.tobytes(), version
