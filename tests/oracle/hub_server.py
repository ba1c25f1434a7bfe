"""A server on loopback that speaks the API of the Hugging Face hub, and that breaks when it is told to.

    with FakeHub() as hub:
        hub.add("org/name", {"config.json": b"{}", "model.safetensors": weights})   # .safetensors etc. are in LFS
        hub.faults.append(once(lambda r: r.path.startswith("/cdn/"), cut_after(1000)))
        pull(env=hub.environment(cache))

Large files lie on a store of another host (127.0.0.2), behind signed addresses, as the hub's do. `hub.seen` has every
request: host, method, path, headers.
"""
import hashlib
import http.server
import json
import os
import re
import socket
import ssl
import threading
import time
import urllib.parse

LFS = re.compile(r".*\.(safetensors|onnx|gguf|bin|data|onnx_data)$")


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def git_sha1(content):
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


class Seen:
    def __init__(self, host, handler):
        self.host, self.method, self.path = host, handler.command, handler.path
        self.headers = {k.lower(): v for k, v in handler.headers.items()}


class Repository:
    def __init__(self, files, lfs):
        self.files, self.lfs = files, lfs
        listed = json.dumps(sorted((p, sha256(c)) for p, c in files.items()))
        self.commit = hashlib.sha1(listed.encode()).hexdigest()

    def etag(self, path):
        return sha256(self.files[path]) if path in self.lfs else git_sha1(self.files[path])

    def tree(self):
        out = [{"type": "directory", "oid": "0" * 40, "size": 0, "path": p}
               for p in sorted({p.rsplit("/", 1)[0] for p in self.files if "/" in p})]
        for path, content in sorted(self.files.items()):
            entry = {"type": "file", "oid": git_sha1(content), "size": len(content), "path": path}
            if path in self.lfs:
                entry["oid"] = git_sha1(b"pointer to " + sha256(content).encode())
                entry["lfs"] = {"oid": sha256(content), "size": len(content), "pointerSize": 134}
            out.append(entry)
        return out


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # An answer in one segment: Nagle and delayed acknowledgements cost 40 ms a request.
    wbufsize = -1
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        hub = self.server.hub
        seen = Seen(self.server.server_address[0], self)
        with hub.lock:
            hub.seen.append(seen)
            fault = next((f for f in hub.faults if f(seen)), None)
        try:
            if fault is None or fault.action(self) is False:
                self.answer(hub, seen)
            self.wfile.flush()
        except (BrokenPipeError, ConnectionResetError, ssl.SSLError):
            self.close_connection = True

    def reply(self, status, body=b"", headers=()):
        self.send_response(status)
        for name, value in dict(headers).items():
            self.send_header(name, value)
        if "Content-Length" not in dict(headers):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def json(self, document, status=200, headers=()):
        self.reply(status, json.dumps(document).encode(), {"Content-Type": "application/json", **dict(headers)})

    def error(self, status, code, message="no"):
        self.json({"error": message}, status, {"X-Error-Code": code, "X-Error-Message": message})

    def content(self, content, headers=()):
        """All of it, or the bytes of Range."""
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if not asked or not self.server.hub.ranges:
            return self.reply(200, content, {**({"Accept-Ranges": "bytes"} if self.server.hub.ranges else {}),
                                             **dict(headers)})
        first, last = int(asked[1]), min(int(asked[2] or len(content)), len(content) - 1)
        if first >= len(content):
            return self.reply(416, b"", {"Content-Range": f"bytes */{len(content)}"})
        self.reply(206, content[first:last + 1],
                   {"Content-Range": f"bytes {first}-{last}/{len(content)}", **dict(headers)})

    def answer(self, hub, seen):
        # As a proxy it is asked for whole addresses.
        path = urllib.parse.unquote(re.sub(r"^http://[^/]+", "", seen.path).split("?")[0])
        if found := re.fullmatch(r"/cdn/([0-9a-f]{64})", path):
            if "sig=" + hub.signature not in seen.path:
                return self.error(403, "", "Request has expired")
            return self.content(hub.blobs[found[1]])
        if hub.token and seen.headers.get("authorization") != "Bearer " + hub.token:
            return self.error(401, "", "Invalid credentials in Authorization header")
        if found := re.fullmatch(r"/api/models/([^/]+/[^/]+)/revision/(.+)", path):
            repository, revision = hub.find(found[1], found[2])
            if repository is None:
                return self.error(404, revision)
            return self.json({"id": found[1], "sha": repository.commit, "private": False, "gated": False,
                              "siblings": [{"rfilename": p} for p in repository.files]})
        if found := re.fullmatch(r"/api/models/([^/]+/[^/]+)/tree/([^/]+)", path):
            repository, revision = hub.find(found[1], found[2])
            if repository is None:
                return self.error(404, revision)
            entries, size = hub.tree(repository), hub.page_size
            at = int(urllib.parse.parse_qs(seen.path.partition("?")[2]).get("cursor", ["0"])[0])
            link = {"Link": f'<{hub.endpoint}{path}?recursive=true&cursor={at + size}>; rel="next"'}
            return self.json(entries[at:at + size], headers=link if at + size < len(entries) else {})
        if found := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            repository, revision = hub.find(found[1], found[2])
            if repository is None:
                return self.error(404, revision)
            if found[3] not in repository.files:
                return self.error(404, "EntryNotFound")
            content = repository.files[found[3]]
            about = {"X-Repo-Commit": repository.commit, "ETag": f'"{repository.etag(found[3])}"'}
            if found[3] not in repository.lfs:
                return self.content(content, about)
            about.update({"X-Linked-Etag": about["ETag"], "X-Linked-Size": str(len(content))})
            about["Location"] = f"{hub.store}/cdn/{sha256(content)}?sig={hub.signature}"
            return self.reply(302, b"", about)
        self.error(404, "")


class Quiet(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, *_):
        pass


class FakeHub:
    def __init__(self, certificate=None):
        self.lock = threading.Lock()
        self.seen, self.faults, self.repositories, self.blobs = [], [], {}, {}
        self.token, self.signature, self.ranges, self.page_size = "", "s1", True, 1000
        self.tree = lambda repository: repository.tree()
        self.servers = []
        for host in ("127.0.0.1", "127.0.0.2"):
            server = Quiet((host, 0), Handler)
            server.hub = self
            if certificate and host == "127.0.0.1":
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                context.load_cert_chain(certificate)
                server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
            self.servers.append(server)
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        scheme = "https" if certificate else "http"
        self.endpoint = f"{scheme}://127.0.0.1:{self.servers[0].server_port}"
        self.store = f"http://127.0.0.2:{self.servers[1].server_port}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for server in self.servers:
            server.shutdown()
            server.server_close()

    def add(self, name, files, revision="main", lfs=None):
        files = {p: c if isinstance(c, bytes) else c.encode() for p, c in files.items()}
        lfs = {p for p in files if LFS.match(p)} if lfs is None else lfs
        repository = Repository(files, lfs)
        self.repositories.setdefault(name, {})[revision] = repository
        self.blobs.update({sha256(files[p]): files[p] for p in lfs})
        return repository

    def find(self, name, revision):
        known = self.repositories.get(name)
        if known is None:
            return None, "RepoNotFound"
        found = known.get(revision) or next((r for r in known.values() if r.commit == revision), None)
        return found, "RevisionNotFound"

    def environment(self, cache, **more):
        kept = {k: v for k, v in os.environ.items()
                if not re.match(r"(HF_|HUGGING|TRANSFORMERS_|SSL_CERT|.*_proxy$)", k, re.I)}
        return {**kept, "HF_ENDPOINT": self.endpoint, "HF_HOME": str(cache), "HF_HUB_DISABLE_XET": "1",
                "HF_HUB_DISABLE_TELEMETRY": "1", **more}

    def paths(self, method=None, like=""):
        return [s.path for s in self.seen if method in (None, s.method) and re.search(like, s.path)]


class Fault:
    """`action(handler)` takes the place of the answer (or returns False: the usual answer after all)."""

    def __init__(self, where, action, times):
        self.where, self.action, self.times = where, action, times

    def __call__(self, seen):
        if self.times <= 0 or not self.where(seen):
            return False
        self.times -= 1
        return True


def fault(like, action, times=1, method=None):
    return Fault(lambda s: re.search(like, s.path) and method in (None, s.method), action, times)


def status(number, headers=(), body=b"trouble"):
    return lambda handler: handler.reply(number, body, headers)


def api_error(number, code, message="no"):
    return lambda handler: handler.error(number, code, message)


def cut_after(count, content):
    """Promises what was asked for, sends `count` bytes of it and closes the connection."""

    def action(handler):
        asked = re.fullmatch(r"bytes=(\d+)-(\d+)", handler.headers.get("Range", ""))
        first, last = (int(asked[1]), int(asked[2])) if asked else (0, len(content) - 1)
        headers = {"Content-Length": str(last - first + 1)}
        if asked:
            headers["Content-Range"] = f"bytes {first}-{last}/{len(content)}"
        handler.reply(206 if asked else 200, content[first:first + min(count, last - first + 1)], headers)
        handler.wfile.flush()
        handler.close_connection = True
        handler.connection.shutdown(socket.SHUT_RDWR)

    return action


def endless(handler):
    """More and more bytes, no length."""
    handler.send_response(200)
    handler.end_headers()
    handler.close_connection = True
    for _ in range(100_000):
        handler.wfile.write(b"x" * 65536)


def silent(seconds):
    def action(handler):
        time.sleep(seconds)
        handler.close_connection = True

    return action
