"""What the examples beside this file share. None of it is needed to use a database: it keeps the vectors, so that
three examples compute them once, and it measures what an index finds.

    a = arguments(__doc__)
    for texts, vectors in batches(embedder, a.passages):
        ...                                   # into the database
    with Clock() as clock:
        ...                                   # found: [queries, 10] numbers of passages
    report("HNSW over float32", found, nearest, clock, size)
"""

import argparse
import hashlib
import itertools
import pathlib
import sys
import time
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

import octavo

K = 10  # hits of a query


def arguments(description: str | None, database: bool = False) -> argparse.Namespace:
    """MODEL PASSAGES QUERIES --store FOLDER: a model folder, files of lines, and where the database lies. With `database`
    the address of one that runs already may stand in the folder's place."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="a model folder, as octavo build makes it")
    parser.add_argument("passages", type=pathlib.Path, help="what to search in, a text a line")
    parser.add_argument("queries", type=pathlib.Path, help="what to search for, a text a line")
    place = parser.add_mutually_exclusive_group(required=True)
    place.add_argument("--store", type=pathlib.Path, metavar="FOLDER", help="where the database goes, a new folder")
    if database:
        place.add_argument("--database", metavar="ADDRESS", help="of a database that runs already")
    a = parser.parse_args()
    if a.store is None:
        return a
    a.store.mkdir(parents=True, exist_ok=True)
    if any(a.store.iterdir()):
        sys.exit(f"{a.store}: holds something already; name a new folder, or empty this one")
    return a


def lines(file: pathlib.Path) -> Iterator[str]:
    with open(file, encoding="utf-8", newline="\n") as texts:
        yield from (line.rstrip("\r\n") for line in texts)


def prompt(embedder: octavo.Embedder, *names: str) -> str | None:
    """The first of the names that the model has a prompt for: many models want one before queries."""
    return next((name for name in names if name in embedder.prompt_names), None)


def embed_queries(embedder: octavo.Embedder, file: pathlib.Path) -> tuple[list[str], NDArray[np.float32]]:
    """The queries and their vectors, [n, dim]."""
    queries = list(lines(file))
    return queries, embedder.encode(queries, prompt_name=prompt(embedder, "query"), normalize=True)


def kept_vectors(embedder: octavo.Embedder, passages: pathlib.Path) -> NDArray[np.float32]:
    """float32 [n, dim], mapped from a file beside the passages, which the first call writes.

    The name has the passages' SHA-256. That the vectors are this model's is seen at the first few: the same model
    gives a text the same bits in every run and on every machine.
    """
    digest, count = hashlib.sha256(), 0
    with open(passages, "rb") as texts:
        for line in texts:
            digest.update(line)
            count += 1
    kept = passages.with_name(f"{passages.stem}.{digest.hexdigest()[:16]}.f32")
    options = {"prompt_name": prompt(embedder, "document", "passage"), "normalize": True}
    if kept.exists() and kept.stat().st_size == 4 * count * embedder.dim:
        vectors = np.memmap(kept, np.float32, "r", shape=(count, embedder.dim))
        first = embedder.encode(itertools.islice(lines(passages), 16), **options)
        if first.tobytes() == vectors[:16].tobytes():
            return vectors
    part = kept.with_suffix(".part")
    with open(part, "wb") as out:
        for array in embedder.encode_stream(lines(passages), show_progress=True, **options):
            out.write(array)
    part.replace(kept)
    return np.memmap(kept, np.float32, "r", shape=(count, embedder.dim))


def batches(
    embedder: octavo.Embedder, passages: pathlib.Path, rows: int = 1000
) -> Iterator[tuple[list[str], NDArray[np.float32]]]:
    """(texts, vectors [rows, dim]) of the passages in order: a few batches are in memory, never all."""
    texts, vectors = lines(passages), kept_vectors(embedder, passages)
    for first in range(0, len(vectors), rows):
        yield list(itertools.islice(texts, rows)), np.asarray(vectors[first : first + rows])


def exact(vectors: NDArray[np.float32], wanted: NDArray[np.float32], k: int = K) -> NDArray[np.int64]:
    """The numbers of the k passages nearest to each query, best first, by comparing all: [queries, k]."""
    scores = wanted @ vectors.T
    return np.argsort(-scores, axis=1, kind="stable")[:, :k]


class Clock:
    """Seconds of a block."""

    def __enter__(self) -> "Clock":
        self._start = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = time.perf_counter() - self._start


def recall(found: NDArray[np.int64], nearest: NDArray[np.int64]) -> float:
    """How many of the nearest were found, of 1, in whatever order. Fewer hits than asked for count as misses."""
    return float(np.mean([len(set(a) & set(b)) / len(b) for a, b in zip(found.tolist(), nearest.tolist())]))


def report(what: str, found: NDArray[np.int64], nearest: NDArray[np.int64], built: Clock, searched: Clock, size: int) -> None:
    """A line: what was found of what exact search finds, and what it took. `size` is in bytes."""
    print(
        f"{what}: recall@{K} {recall(found, nearest):.3f}, {size / 2**20:.1f} MiB, built in {built.seconds:.1f} s, "
        f"{1000 * searched.seconds / len(found):.2f} ms a query"
    )


def show_hits(queries: list[str], found: NDArray[np.int64], passages: pathlib.Path, shown: int = 3) -> None:
    """The best passages of the first few queries."""
    wanted = set(found[:shown, :shown].ravel().tolist())
    texts = {number: text for number, text in enumerate(lines(passages)) if number in wanted}
    for query, numbers in zip(queries[:shown], found.tolist()):
        print(query)
        for number in numbers[:shown]:
            print(f"    {texts[number][:110]}")
