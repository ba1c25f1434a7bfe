"""A server under test: octavo serve on a free port, spoken to through real sockets."""
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import threading

import numpy as np
import pytest


@pytest.fixture(scope="module")
def model(octavo, tiny, tmp_path_factory):
    """A folder with a tiny BERT; for modules that import it."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    octavo("import", tiny / "bert", "-o", folder)
    return folder


@pytest.fixture(scope="module")
def offline(octavo, model, tmp_path_factory):
    """offline(texts, *options) -> what octavo embed gives."""
    folder = tmp_path_factory.mktemp("offline")

    def call(texts, *options):
        lines = folder / "in.jsonl"
        lines.write_text("".join(json.dumps({"text": t}) + "\n" for t in texts))
        octavo("embed", model, "--input", lines, "--output", folder / "out.npy", *options)
        return np.load(folder / "out.npy")

    return call


def same(got, expected):
    """Whether these numbers are the same bits."""
    got = np.asarray(got, dtype=np.float32)
    return got.shape == expected.shape and got.tobytes() == expected.tobytes()


class Server:
    """`with Server(folder, "--drain", 0) as server: server.post("/v1/embeddings", {...})`."""

    def __init__(self, *arguments, drain=0, environment=None, prefix=()):
        command = [*prefix, os.environ["OCTAVO_BIN"], "serve", *arguments, "--port", 0, "--drain", drain]
        self.process = subprocess.Popen([str(a) for a in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        stdin=subprocess.DEVNULL, text=True, env={**os.environ, **(environment or {})})
        self.messages = []
        self.log = []
        for line in self.process.stderr:
            self.messages.append(line)
            if found := re.search(r"serving on http://(.*):(\d+)$", line.strip()):
                self.host, self.port = found[1].strip("[]"), int(found[2])
                break
        else:
            raise RuntimeError("".join(self.messages))
        # Nobody may have to wait because a pipe is full.
        self._readers = [threading.Thread(target=lambda to, pipe: to.extend(pipe), args=pair, daemon=True)
                         for pair in ((self.messages, self.process.stderr), (self.log, self.process.stdout))]
        for reader in self._readers:
            reader.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(60)

    def stop(self, number=signal.SIGTERM):
        """The exit code after a signal."""
        self.process.send_signal(number)
        return self.wait()

    def wait(self):
        code = self.process.wait(120)
        for reader in self._readers:
            reader.join(60)
        return code

    def connection(self):
        return http.client.HTTPConnection(self.host, self.port, timeout=120)

    def request(self, method, path, body=None, headers=None, connection=None):
        """(status, headers, body) of one request, on a connection of its own or the given one."""
        own = connection or self.connection()
        try:
            own.request(method, path, body, headers or {})
            answer = own.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            if connection is None:
                own.close()

    def get(self, path, **options):
        return self.request("GET", path, **options)

    def post(self, path, document, **options):
        """(status, document) of a JSON request; a string or bytes are sent as they are."""
        body = document if isinstance(document, (str, bytes)) else json.dumps(document)
        status, _, answer = self.request("POST", path, body, **options)
        return status, json.loads(answer)

    def raw(self, data, timeout=60, half_close=False):
        """What comes back for these bytes until the server closes the connection."""
        with socket.create_connection((self.host, self.port), timeout=timeout) as s:
            try:
                s.sendall(data)
                if half_close:
                    s.shutdown(socket.SHUT_WR)
            except OSError:
                pass  # it closed before it had read everything
            answer = b""
            try:
                while part := s.recv(65536):
                    answer += part
            except ConnectionResetError:
                pass
            return answer

    def metric(self, name):
        """The sum of a metric's series, or of the one with these labels."""
        text = self.get("/metrics")[2].decode()
        values = [float(line.rsplit(" ", 1)[1]) for line in text.splitlines()
                  if line.startswith(name) and line[len(name)] in "{ "]
        return sum(values)
