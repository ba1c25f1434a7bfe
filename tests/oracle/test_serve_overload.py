"""octavo serve at ten times what it can do: who is turned away learns it at once, who is not waits no longer than the queue is
long, memory stands still, every answer has the bytes of a quiet server's, and a second later all is as before.

Every bound comes from what the same run measured. OCTAVO_OVERLOAD_SECONDS is how long each flood lasts, 8 if it is not set."""
import json
import os
import statistics
import time

import pytest

from flood import Flood
from serving import Server

SECONDS = float(os.environ.get("OCTAVO_OVERLOAD_SECONDS", 8))
TIMES = 10  # the capacity
OWN = 120  # tokens of a text: long enough for the model's work to be what counts
BATCH = 512
QUEUE = 2048
REQUESTS = 8
TEXTS = 16
# Resident bytes that an allocator may still gather after a quarter of the flood.
SLACK = 16e6


@pytest.fixture(scope="module")
def folder(octavo, minilm, tmp_path_factory):
    made = tmp_path_factory.mktemp("models") / "minilm"
    octavo("import", minilm, "-o", made)
    return made


WORDS = ("the", "water", "of", "a", "house", "and", "light", "for", "time", "people", "in", "music", "world", "stone", "under")


def texts():
    """Texts of OWN tokens, no two the same: each of these words is one token of the model's vocabulary."""
    return [" ".join(WORDS[(i * 7 + n * (1 + i % 13)) % len(WORDS)] for n in range(OWN - 2)) for i in range(TEXTS)]


def bodies():
    return [json.dumps({"input": text}).encode() for text in texts()]


def ask(server, body, connection):
    start = time.monotonic()
    status, _, answer = server.request("POST", "/v1/embeddings", body, connection=connection)
    assert status == 200, answer
    return time.monotonic() - start, answer


def alone(server, seconds, connection):
    """How long single requests take while nobody else asks."""
    end = time.monotonic() + seconds
    took = []
    while time.monotonic() < end or len(took) < 5:
        took.append(ask(server, bodies()[len(took) % TEXTS], connection)[0])
    return took


def percentile(values, share):
    values = sorted(values)
    return values[min(len(values) - 1, int(share * len(values)))]


# What may run between a request and its answer: the tokens of all that the limit lets in, the batch that ran when it came, and
# those behind it that share its own batch.
@pytest.mark.parametrize("limit, value, bound", [
    ("--max-queue-tokens", QUEUE, QUEUE + 2 * BATCH), ("--max-requests", REQUESTS, REQUESTS * OWN + BATCH),
])
def test_ten_times_the_capacity(folder, limit, value, bound, capsys):
    def say(what):  # also where a test that passes is quiet
        with capsys.disabled():
            print(what)

    sanitizer = {"ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=4"}
    with Server(folder, "--threads", 1, "--max-batch-tokens", BATCH, limit, value, "--no-access-log", "--idle-timeout", 3600,
                environment=sanitizer) as server:
        connection = server.connection()
        expected = [ask(server, body, connection)[1] for body in bodies()]
        assert len(set(expected)) == TEXTS and all(json.loads(e)["usage"]["prompt_tokens"] == OWN for e in expected)
        quiet = alone(server, 2, connection)
        capacity = 1 / statistics.median(quiet)  # requests a second, one after the other

        # On a slow machine as long as the queue needs to turn over a few times.
        seconds = max(SECONDS, 4 * bound / (OWN * capacity))
        flood = Flood(server, "/v1/embeddings", bodies()).run(TIMES * capacity, seconds)
        # In the second after its end and after the batch that still ran; and again when it is long past, as a machine that has
        # become slower is not the server's fault.
        over = time.monotonic()
        soon = []
        while time.monotonic() < over + 1 + flood.slowest(BATCH) or len(soon) < 3:
            soon.append(ask(server, bodies()[len(soon) % TEXTS], connection)[0])
        later = alone(server, 2, connection)

        assert not flood.failures
        accepted = [a for a in flood.answers if a.status == 200]
        refused = [a for a in flood.answers if a.status == 429]
        assert len(accepted) + len(refused) == len(flood.answers)
        assert len(accepted) >= 10 and len(refused) > len(flood.answers) / 2
        for answer in refused:
            assert 1 <= int(answer.headers["retry-after"]) <= 60
            assert json.loads(answer.body)["error"]["code"] == "rate_limit_exceeded"
        assert all(a.body == expected[a.number] for a in accepted)

        # While a request was there the server ran no more than could stand before it ...
        assert max(flood.ran_between(a) for a in accepted) <= bound
        # ... and so took no longer than it took for that at its slowest, the precision of both clocks aside.
        p99 = percentile([a.seconds for a in accepted], 0.99)
        longest = flood.slowest(bound)
        refusal = percentile([a.seconds for a in refused], 0.5)
        say(f"\n{limit} {value}: capacity {capacity:.1f} requests/s, {flood.sent / seconds:.0f} a second for {seconds:.0f} s, "
            f"{len(accepted)} accepted, {len(refused)} refused\n"
            f"accepted p50 {percentile([a.seconds for a in accepted], 0.5):.3f} s, p99 {p99:.3f} s, bound {longest:.3f} s "
            f"({bound} tokens at {flood.rate():.0f} a second are {bound / flood.rate():.3f} s)\n"
            f"refused p50 {1000 * refusal:.1f} ms, p99 {1000 * percentile([a.seconds for a in refused], 0.99):.1f} ms; "
            f"alone {1000 * statistics.median(quiet):.0f} ms (at most {1000 * max(quiet):.0f}), in the second after the flood "
            f"{1000 * min(soon):.0f} ms, later {1000 * statistics.median(later):.0f} ms; lag {1000 * flood.lag:.0f} ms")
        assert longest > 0, "the flood was too short for the queue to turn over"
        assert p99 <= longest + flood.lag
        # To be turned away is cheaper than the work would have been.
        assert refusal < min(quiet)

        looks = [k for k in flood.looks if k.late <= flood.end]
        quarter = max(k.resident for k in looks if k.late <= flood.begin + seconds / 4)
        say(f"resident {quarter / 1e6:.1f} MB in the first quarter, {looks[-1].resident / 1e6:.1f} MB at the end")
        assert looks[-1].resident <= quarter + SLACK
        assert min(soon) <= max(quiet + later)
        assert server.metric("octavo_rejected_total") >= len(refused)
        connection.close()
        assert server.stop() == 0
