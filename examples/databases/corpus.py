"""What the examples beside this file share. None of it is needed to use a database: it keeps the vectors, so that
three examples compute them once, and it measures what an index finds.

    a = arguments(__doc__)
    for texts, vectors in batches(embedder, a.passages):
        ...                                   # into the database
    with Clock() as searched:
        ...                                   # found: for each query, the numbers of 10 passages
    report("HNSW over float32", found, nearest, built, searched, size)
"""

import argparse
import hashlib
import itertools
import pathlib
import sys
import time
from collections.abc import Iterator, Sized

import numpy as np
from numpy.typing import NDArray

import octavo

K = 10  # hits of a query


def arguments(description: str | None, store: bool = True, database: bool = False) -> argparse.Namespace:
    """MODEL PASSAGES QUERIES: a model folder and files of lines; --store FOLDER: where the database goes. With `database`
    the address of one that runs already may stand in the folder's place."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="a model folder, as octavo build makes it")
    parser.add_argument("passages", type=pathlib.Path, help="what to search in, a text a line")
    parser.add_argument("queries", type=pathlib.Path, help="what to search for, a text a line")
    place = parser.add_mutually_exclusive_group(required=store)
    if store:
        place.add_argument("--store", type=pathlib.Path, metavar="FOLDER", help="where the database goes, a new folder")
    if database:
        place.add_argument("--database", metavar="ADDRESS", help="of a database that runs already")
    a = parser.parse_args()
    if store and a.store is not None:
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
    if count == 0:
        sys.exit(f"{passages}: is empty; it needs a passage a line")
    kept = passages.with_name(f"{passages.stem}.{digest.hexdigest()[:16]}.f32")
    role = prompt(embedder, "document", "passage")
    if kept.exists() and kept.stat().st_size == 4 * count * embedder.dim:
        vectors = np.memmap(kept, np.float32, "r", shape=(count, embedder.dim))
        first = embedder.encode(itertools.islice(lines(passages), 16), prompt_name=role, normalize=True)
        if first.tobytes() == vectors[:16].tobytes():
            return vectors
    part = kept.with_suffix(".part")
    with open(part, "wb") as out:
        for array in embedder.encode_stream(lines(passages), prompt_name=role, normalize=True, show_progress=True):
            array.tofile(out)
    part.replace(kept)
    return np.memmap(kept, np.float32, "r", shape=(count, embedder.dim))


def batches(
    embedder: octavo.Embedder, passages: pathlib.Path, rows: int = 1000
) -> Iterator[tuple[list[str], NDArray[np.float32]]]:
    """(texts, vectors [rows, dim]) of the passages in order: a few batches are in memory, never all."""
    texts, vectors = lines(passages), kept_vectors(embedder, passages)
    for first in range(0, len(vectors), rows):
        yield list(itertools.islice(texts, rows)), np.asarray(vectors[first : first + rows])


class Clock:
    """Seconds of a block."""

    def __enter__(self) -> "Clock":
        self._start = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = time.perf_counter() - self._start

    def each(self, what: Sized) -> float:
        """Milliseconds for one of them."""
        return 1000 * self.seconds / len(what)


def exact(vectors: NDArray[np.float32], wanted: NDArray[np.float32]) -> list[list[int]]:
    """The numbers of the K passages nearest to each query, best first, by comparing all. Prints how long that takes."""
    with Clock() as searched:
        nearest = [np.argsort(-(vectors @ query), kind="stable")[:K].tolist() for query in wanted]
    print(f"exact search among {len(vectors)} with numpy: {vectors.nbytes / 2**20:.1f} MiB, {searched.each(nearest):.2f} ms a query")
    return nearest


def recall(found: list[list[int]], nearest: list[list[int]]) -> float:
    """How many of the nearest were found, of 1, in whatever order."""
    return sum(len(set(a) & set(b)) for a, b in zip(found, nearest)) / sum(map(len, nearest))


def report(what: str, found: list[list[int]], nearest: list[list[int]], built: Clock, searched: Clock, size: int) -> None:
    """A line: what was found of what exact search finds, and what it took. `size` is in bytes."""
    print(
        f"{what}: recall@{K} {recall(found, nearest):.3f}, {size / 2**20:.1f} MiB, built in {built.seconds:.1f} s, "
        f"{searched.each(found):.2f} ms a query"
    )


def show_hits(queries: list[str], found: list[list[int]], passages: pathlib.Path, shown: int = 3) -> None:
    """The best passages of the first few queries."""
    wanted = {number for numbers in found[:shown] for number in numbers[:shown]}
    texts = {number: text for number, text in enumerate(lines(passages)) if number in wanted}
    for query, numbers in zip(queries[:shown], found):
        print(query)
        for number in numbers[:shown]:
            print(f"    {texts[number][:110]}")
