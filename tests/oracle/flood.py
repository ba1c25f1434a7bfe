"""Requests that arrive at a rate of their own, whether the server keeps up or not, and what it did meanwhile."""
import asyncio
import os
import re
import time
from dataclasses import dataclass, field

# Seconds between two looks at the server.
LOOK = 0.1
# Requests that may be under way at once: far more than a server with limits keeps.
MOST = 900


@dataclass
class Answer:
    number: int  # which of the bodies
    sent: float
    done: float
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def seconds(self):
        return self.done - self.sent


@dataclass
class Look:
    """What the server said before `late` and after `early`, and its resident bytes."""
    early: float
    late: float
    tokens: float
    resident: int


@dataclass
class Record:
    begin: float = 0.0
    end: float = 0.0
    sent: int = 0
    answers: list[Answer] = field(default_factory=list)
    looks: list[Look] = field(default_factory=list)
    failures: list[BaseException] = field(default_factory=list)  # of requests that got no answer
    lag: float = 0.0  # the most that this program was behind its own clock

    def rate(self):
        """Tokens a second while the flood ran."""
        looks = [k for k in self.looks if self.begin <= k.early and k.late <= self.end]
        return (looks[-1].tokens - looks[0].tokens) / (looks[-1].late - looks[0].early)

    def ran_between(self, answer):
        """Tokens that surely ran between a request and its answer."""
        inside = [k.tokens for k in self.looks if answer.sent <= k.early and k.late <= answer.done]
        return inside[-1] - inside[0] if inside else 0.0

    def slowest(self, tokens):
        """The longest that the server ever took for so many tokens, to the precision of its looks."""
        longest = 0.0
        for i, first in enumerate(self.looks):
            last = next((k for k in self.looks[i + 1:] if k.tokens - first.tokens >= tokens), None)
            if last is None:
                break
            longest = max(longest, last.late - first.early)
        return longest


class Connection:
    """One request after the other on one socket."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    @classmethod
    async def open(cls, host, port):
        return cls(*await asyncio.open_connection(host, port))

    async def ask(self, data):
        """(status, headers, body) of a request that is sent as it is."""
        self.writer.write(data)
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
        return int(head[0].split(" ")[1]), headers, await self.reader.readexactly(int(headers["content-length"]))

    def close(self):
        self.writer.transport.abort()


def post(path, body):
    return f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def resident(pid):
    with open(f"/proc/{pid}/statm") as f:
        return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Flood:
    def __init__(self, server, path, bodies):
        self.server = server
        self.requests = [post(path, body) for body in bodies]
        self.free = []
        self.record = Record()

    async def _one(self, number):
        connection = None
        try:
            connection = self.free.pop() if self.free else await Connection.open(self.server.host, self.server.port)
            sent = time.monotonic()
            answer = await connection.ask(self.requests[number])
            self.record.answers.append(Answer(number, sent, time.monotonic(), *answer))
            if answer[1].get("connection") != "close":
                self.free.append(connection)
                return
            connection.close()
        except asyncio.CancelledError:  # the flood is over, and with it the wait
            if connection is not None:
                connection.close()
            raise

    async def _look(self):
        connection = await Connection.open(self.server.host, self.server.port)
        while True:
            early = time.monotonic()
            _, _, text = await connection.ask(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n")
            late = time.monotonic()
            tokens = float(re.search(rb"^octavo_tokens_total (\S+)", text, re.M)[1])
            self.record.looks.append(Look(early, late, tokens, resident(self.server.process.pid)))
            await asyncio.sleep(LOOK)

    async def _run(self, rate, seconds):
        looking = asyncio.create_task(self._look())
        under_way = set()
        record = self.record

        def ended(task):
            under_way.discard(task)
            if not task.cancelled() and task.exception() is not None:
                record.failures.append(task.exception())

        record.begin = time.monotonic()
        while (now := time.monotonic()) < record.begin + seconds:
            due = int((now - record.begin) * rate) + 1
            while record.sent < due and len(under_way) < MOST:
                task = asyncio.create_task(self._one(record.sent % len(self.requests)))
                record.sent += 1
                under_way.add(task)
                task.add_done_callback(ended)
            wake = record.begin + (record.sent + 1) / rate
            await asyncio.sleep(max(0.001, min(wake - now, 0.02)))
            record.lag = max(record.lag, time.monotonic() - max(wake, now + 0.02))
        record.end = time.monotonic()
        # Whoever still waits leaves at once.
        for task in [*under_way, looking]:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
        for connection in self.free:
            connection.close()
        try:
            await looking
        except asyncio.CancelledError:
            pass
        return record

    def run(self, rate, seconds):
        """Sends `rate` requests a second, the bodies in turn; those without an answer at the end are given up."""
        return asyncio.run(self._run(rate, seconds))
