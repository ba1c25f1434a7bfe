"""The container file and the Kubernetes manifest: what they say exists, fits together, and serves. The image itself is not built
here, which needs a container engine and a registry."""
import os
import pathlib
import re
import shutil
import signal
import stat
import subprocess
import time

import pytest
import yaml

from conftest import SOURCE
from serving import Server, model  # noqa: F401

DEPLOY = SOURCE / "examples" / "deploy"


def instructions():
    """The container file's stages: lists of (instruction, arguments)."""
    text = re.sub(r"^\s*#.*\n", "", (DEPLOY / "Containerfile").read_text(), flags=re.M).replace("\\\n", " ")
    stages = []
    for line in filter(None, map(str.strip, text.splitlines())):
        word, rest = line.split(maxsplit=1)
        if word == "FROM":
            stages.append([])
        stages[-1].append((word, rest))
    return stages


@pytest.fixture(scope="module")
def manifest():
    documents = list(yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text()))
    assert [d["kind"] for d in documents] == ["Deployment", "Service"]
    return documents


def test_the_build_has_all_its_files(tmp_path):
    """The first stage's steps, in an empty folder, up to where the compiler would begin."""
    build, _ = instructions()
    for word, rest in build:
        if word == "COPY":
            *sources, target = rest.split()
            for source in sources:
                to = tmp_path / target / ("" if (SOURCE / source).is_dir() else pathlib.Path(source).name)
                if (SOURCE / source).is_dir():
                    shutil.copytree(SOURCE / source, to, dirs_exist_ok=True)
                else:
                    to.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy(SOURCE / source, to)
    commands = " && ".join(rest for word, rest in build if word == "RUN").split(" && ")
    assert [c.split(" --p")[0] for c in commands] == ["scripts/setup.sh --build-only", "cmake", "cmake --build", "cmake --install build/release"]
    for command in commands[:2]:
        done = subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    installed = (tmp_path / "build/release/cmake_install.cmake").read_text()
    for name in re.findall(rf'"{re.escape(str(tmp_path))}/([^/"]*)"', installed):
        assert (tmp_path / name).exists(), name
    shown = subprocess.run(["cmake", "-N", "-L", "build/release"], cwd=tmp_path, capture_output=True, text=True).stdout
    assert "CMAKE_BUILD_TYPE:STRING=Release" in shown and "OCTAVO_DEVELOPER:BOOL=OFF" in shown


def test_the_image_has_what_the_program_links_to():
    if shutil.which("dpkg-query") is None:
        pytest.skip("not a Debian system")
    needed = re.findall(r"\(NEEDED\).*\[(.*?)\]", subprocess.run(
        ["readelf", "-d", os.environ["OCTAVO_BIN"]], capture_output=True, text=True, check=True).stdout)
    in_every_image = {"libc6", "libgcc-s1"}
    libraries = [name for name in needed if not name.startswith(("libasan", "libubsan", "libtsan"))]
    found = subprocess.run(["dpkg-query", "-S", *libraries], capture_output=True, text=True, check=True).stdout
    packages = {next(line.split(":")[0] for line in found.splitlines() if line.endswith("/" + name)) for name in libraries}
    listed = set(re.search(r"--no-install-recommends (.*?) &&", dict(instructions()[1])["RUN"])[1].split())
    assert packages - in_every_image == listed - {"ca-certificates", "curl"}


def test_the_image_is_confined():
    said = dict(instructions()[1])
    assert said["USER"] == "10001:10001" and "--uid 10001" in said["RUN"]
    assert said["VOLUME"] in said["ENV"] and said["VOLUME"] in said["RUN"]
    assert "/health" in said["HEALTHCHECK"] and said["EXPOSE"] in said["HEALTHCHECK"]


def test_the_manifest_fits_together(manifest, octavo):
    deployment, service = manifest
    pod = deployment["spec"]["template"]["spec"]
    server, (build,) = pod["containers"][0], pod["initContainers"]
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert deployment["spec"]["selector"]["matchLabels"] == labels == service["spec"]["selector"]
    port = next(p for p in server["ports"] if p["name"] == "http")
    assert service["spec"]["ports"][0]["targetPort"] == port["name"]
    assert f"--port={port['containerPort']}" in server["args"] and "--host=0.0.0.0" in server["args"]
    assert build["args"][-1] in server["args"] and build["image"] == server["image"]
    version = octavo("--version").stdout.split()[-1]
    assert server["image"] == f"octavo:{version}"
    flags = [a.split("=")[0] for a in server["args"] if a.startswith("--")]
    help_text = octavo("serve", "--help").stdout
    assert all(re.search(rf"(?<![\w-]){flag}(?![\w-])", help_text) for flag in flags), flags
    # What is in flight may end before the pod is killed.
    seconds = {f: int(v) for f, v in (a.split("=") for a in server["args"] if a.startswith(("--drain", "--grace")))}
    assert pod["terminationGracePeriodSeconds"] > sum(seconds.values())
    assert seconds["--drain"] >= 2 * server["readinessProbe"]["periodSeconds"]
    assert server["readinessProbe"]["httpGet"] == server["startupProbe"]["httpGet"] == {"path": "/health", "port": "http"}
    assert float(server["resources"]["limits"]["cpu"]).is_integer()
    for container in (server, build):
        rights = container["securityContext"]
        assert rights["readOnlyRootFilesystem"] and not rights["allowPrivilegeEscalation"] and rights["capabilities"] == {"drop": ["ALL"]}
        volumes = {v["name"] for v in pod["volumes"]}
        assert {m["name"] for m in container["volumeMounts"]} <= volumes
    uid = dict(instructions()[1])["USER"].split(":")[0]
    assert pod["securityContext"]["runAsNonRoot"] and str(pod["securityContext"]["runAsUser"]) == uid
    # The folders that are written to are those of the image.
    cache = next(m["mountPath"] for m in server["volumeMounts"] if m["name"] == "cache")
    assert dict(instructions()[1])["VOLUME"] == cache


def test_it_serves_as_the_pod_does(manifest, model, tmp_path):  # noqa: F811
    """The manifest's own arguments, as a user without rights where nothing but the cache can be written; then the pod's end."""
    server = manifest[0]["spec"]["template"]["spec"]["containers"][0]
    keys = tmp_path / "keys"
    keys.write_text("secret\n")
    cache = tmp_path / "cache"
    cache.mkdir()
    values = {"$(THREADS)": "1", "/keys/keys": str(keys), "--host=0.0.0.0": "--host=127.0.0.1"}
    arguments = []
    for argument in server["args"][2:]:
        for name, value in values.items():
            argument = argument.replace(name, value)
        arguments += [] if argument.startswith(("--port", "--drain")) else [argument]
    home = tmp_path / "home"
    home.mkdir()
    home.chmod(stat.S_IRUSR | stat.S_IXUSR)
    with Server(model, *arguments, drain=1, environment={"OCTAVO_CACHE": str(cache), "HOME": str(home)}) as running:
        assert running.get("/health")[0] == 200
        assert running.post("/v1/embeddings", {"input": "a"})[0] == 401
        status, answer = running.post("/v1/embeddings", {"input": "a"}, headers={"Authorization": "Bearer secret"})
        assert status == 200 and len(answer["data"]) == 1
        if probe := shutil.which("curl"):
            check = yaml.safe_load(dict(instructions()[1])["HEALTHCHECK"].split(" CMD ")[1])
            check = [probe, *check[1:-1], check[-1].replace(":8080", f":{running.port}")]
            assert subprocess.run(check).returncode == 0
            running.process.send_signal(signal.SIGTERM)
            time.sleep(0.3)
            assert subprocess.run(check, stderr=subprocess.DEVNULL).returncode != 0
        else:
            running.process.send_signal(signal.SIGTERM)
        assert running.wait() == 0
    assert list(home.iterdir()) == [] and len(list(cache.iterdir())) > 0
