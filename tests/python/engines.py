"""Runs code where Ray and Spark are, in a session of its own, of which nothing may be left."""
import json
import os
import pathlib
import signal
import subprocess
import time

import pytest

# What an engine does on a machine without network, and says to nobody.
QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_DATA_DISABLE_PROGRESS_BARS": "1", "RAY_AUTH_MODE": "disabled",
         "RAY_worker_niceness": "0",
         "SPARK_LOCAL_IP": "127.0.0.1", "no_proxy": "*"}


def left_of(session):
    """Processes of a session: pid -> what it is."""
    found = {}
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                if int(fields[3]) == session and fields[0] != "Z":
                    found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except (OSError, IndexError):
                continue
    return found


def run(python, code, arguments, folder, timeout=300, expect=0, environment=None):
    """What the code prints as its last line, JSON; its exit code has to be `expect`. Half a minute after its end all that
    it started is gone; after a SIGKILL it may be left."""
    output = folder / "output.txt"
    with open(output, "w") as log:
        process = subprocess.Popen([python, "-c", code, json.dumps(arguments, default=str)], stdout=log, stderr=subprocess.STDOUT,
                                   stdin=subprocess.DEVNULL, cwd=folder, start_new_session=True,
                                   env={**os.environ, **QUIET, "HOME": str(folder), **(environment or {})})
    try:
        code = process.wait(timeout)
        said = output.read_text()
        assert code == expect, said[-6000:]
        until = time.monotonic() + 30
        while expect == 0 and left_of(process.pid):
            assert time.monotonic() < until, f"left behind: {left_of(process.pid)}"
            time.sleep(0.1)
    finally:
        for pid in left_of(process.pid):
            os.kill(pid, signal.SIGKILL)
    return json.loads(said.splitlines()[-1]) if expect == 0 else said


def interpreter():
    """The Python of OCTAVO_ENGINES_PYTHON."""
    python = os.environ.get("OCTAVO_ENGINES_PYTHON", "")
    if not pathlib.Path(python).is_file():
        reason = "no Ray and Spark here: scripts/setup.sh makes them"
        if os.environ.get("OCTAVO_REQUIRE_ORACLES"):
            pytest.fail(f"OCTAVO_REQUIRE_ORACLES is set, but {reason}", pytrace=False)
        pytest.skip(reason)
    return python
