"""Ctrl-C in the middle of the work: the signal ends the program, and nothing unfinished stays behind."""
import os
import signal
import subprocess
import time

import pytest

from serving import model


def wait_until(condition, process):
    for _ in range(3000):
        if condition():
            return
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    pytest.fail("it did not come so far in 30 s")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_embed_leaves_no_temporary(model, tmp_path, number):
    output = tmp_path / "vectors.npy"
    output.write_bytes(b"the old ones")
    process = subprocess.Popen([os.environ["OCTAVO_BIN"], "embed", model, "--input", "-", "--output", output],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process.stdin.write("a text\n" * 5000)
    process.stdin.flush()
    wait_until(lambda: len(list(tmp_path.iterdir())) > 1, process)
    process.send_signal(number)
    process.wait(30)
    assert process.returncode == -number
    assert [p.name for p in tmp_path.iterdir()] == ["vectors.npy"]
    assert output.read_bytes() == b"the old ones"


def test_build_leaves_no_work_folder(tiny, tmp_path):
    texts = tmp_path / "texts.txt"
    texts.write_text("".join(f"text number {i} of very many\n" for i in range(200000)))
    output = tmp_path / "built"
    process = subprocess.Popen([os.environ["OCTAVO_BIN"], "build", tiny / "bert", "-o", output, "--calibration", texts],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_until(lambda: output.is_dir() and any(output.iterdir()), process)
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    process.wait(30)
    assert process.returncode == -signal.SIGINT
    assert not output.exists() or list(output.iterdir()) == []


def test_a_signal_that_is_ignored_stays_ignored(model, tmp_path):
    process = subprocess.Popen(["nohup", os.environ["OCTAVO_BIN"], "embed", model, "--input", "-", "--format", "jsonl"],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process.stdin.write("a text\n")
    process.stdin.flush()
    process.stdout.readline()
    process.send_signal(signal.SIGHUP)
    out, _ = process.communicate("another\n", timeout=30)
    assert process.returncode == 0
    assert out.count("\n") == 1
