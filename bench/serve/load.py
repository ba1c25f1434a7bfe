"""Clients that send one request after the other over connections that stay open (a closed loop), all in one process and
one thread: asyncio's protocols on raw sockets, requests made beforehand, of an answer only the status and the length read.
That costs tens of microseconds a request, which every window counts (`load_cpu_s`). Needs nothing."""
import asyncio
import json
import math
import random
import time

SEED = 7
HEAD_END = b"\r\n\r\n"


def requests_of(texts, model):
    bodies = [json.dumps({"input": text, "model": model, "encoding_format": "base64"}).encode() for text in texts]
    return [b"POST /v1/embeddings HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n" % len(body) + body for body in bodies]


class Window:
    """Who wants what next, and what was answered when."""

    def __init__(self, requests, clients):
        self.requests, self.clients = requests, clients
        self.draw, self.waiting = random.Random(SEED), []
        self.answers = []  # (when, seconds)
        self.stopping, self.error = False, None
        self.open, self.closed = clients, asyncio.Event()

    def next(self):
        """Every text as often as every other, each time around in another order; the same order in every window."""
        if not self.waiting:
            self.waiting = list(self.requests)
            self.draw.shuffle(self.waiting)
        return self.waiting.pop()

    def fail(self, error):
        self.error, self.stopping = self.error or error, True


class Client(asyncio.Protocol):
    def __init__(self, window):
        self.window, self.got, self.wanted = window, bytearray(), None

    def connection_made(self, transport):
        self.transport = transport
        self.send()

    def send(self):
        if self.window.stopping:
            self.transport.close()
            return
        self.began = time.perf_counter()
        self.transport.write(self.window.next())

    def data_received(self, data):
        self.got += data
        if self.wanted is None:
            end = self.got.find(HEAD_END)
            if end < 0:
                return
            head = bytes(self.got[:end]).lower()
            if not head.startswith(b"http/1.1 200") or b"content-length:" not in head:
                self.window.fail(f"an answer begins with {bytes(self.got[:300])!r}")
                self.transport.close()
                return
            length = head.split(b"content-length:")[1].split(b"\r\n")[0]
            self.wanted = end + len(HEAD_END) + int(length)
        if len(self.got) >= self.wanted:
            now = time.perf_counter()
            self.window.answers.append((now, now - self.began))
            self.got.clear()
            self.wanted = None
            self.send()

    def connection_lost(self, error):
        window = self.window
        if not window.stopping:
            window.fail(f"the server closed a connection: {error}")
        window.open -= 1
        if window.open == 0:
            window.closed.set()


async def drive(port, window, warm_s, seconds, at_begin, at_end):
    loop = asyncio.get_running_loop()
    for _ in range(window.clients):
        await loop.create_connection(lambda: Client(window), "127.0.0.1", port)
    await asyncio.sleep(warm_s)
    begin, before, own = time.perf_counter(), at_begin(), time.process_time()
    await asyncio.sleep(seconds)
    end, after, own = time.perf_counter(), at_end(), time.process_time() - own
    window.stopping = True
    await asyncio.wait_for(window.closed.wait(), 60)  # what is in flight is answered, and not counted
    return begin, end, before, after, own


def percentile(values, share):
    """The smallest value that at least this share of all values does not exceed; `values` is sorted."""
    return values[max(0, math.ceil(share * len(values)) - 1)]


def run(port, requests, clients, warm_s, seconds, cpu):
    """-> what one window of `seconds` measured, after `warm_s` that count for nothing. cpu(): the server's CPU seconds."""
    window = Window(requests, clients)
    begin, end, before, after, own = asyncio.run(drive(port, window, warm_s, seconds, cpu, cpu))
    if window.error:
        raise RuntimeError(window.error)
    counted = sorted(took for when, took in window.answers if begin < when <= end)
    if not counted:
        raise RuntimeError(f"no answer in {seconds} s")
    return {"texts": len(counted), "texts_s": len(counted) / (end - begin),
            "p50": percentile(counted, 0.5), "p95": percentile(counted, 0.95), "p99": percentile(counted, 0.99),
            "server_cpu_s": after - before, "load_cpu_s": own}
