#!/usr/bin/env python3
"""Search with FAISS (pip install faiss-cpu), in 32, 8 and 1 bit a number:

    examples/databases/with_faiss.py MODEL PASSAGES QUERIES --store FOLDER

  float32   an HNSW graph over the vectors themselves
  binary    an HNSW graph over their signs, 1/32 of the bytes; its best 100 are put in order by the int8 vectors, 1/4 of
            the bytes, so that no float32 vector has to be kept at all
"""

import faiss
import numpy as np
from corpus import K, Clock, arguments, batches, embed_queries, exact, kept_vectors, report, show_hits
from numpy.typing import NDArray

import octavo

CANDIDATES = 100  # of the binary index, for each query


def rescore(
    wanted: NDArray[np.float32], candidates: NDArray[np.int64], int8: NDArray[np.int8], lengths: NDArray[np.float32]
) -> list[list[int]]:
    """The K candidates whose int8 vectors have the largest cosine with the query's float32 vector, best first.

    An int8 vector has a scale of its own, so its length says nothing: the product is divided by it.
    """
    best = []
    for query, numbers in zip(wanted, candidates):
        numbers = numbers[numbers >= 0]  # faiss fills up with -1 where it found fewer
        scores = int8[numbers] @ query / lengths[numbers]
        best.append(numbers[np.argsort(-scores, kind="stable")[:K]].tolist())
    return best


def main() -> None:
    a = arguments(__doc__)
    embedder = octavo.Embedder(a.model)
    queries, wanted = embed_queries(embedder, a.queries)
    nearest = exact(kept_vectors(embedder, a.passages), wanted)

    # The vectors have length 1 (corpus.py asks for it with normalize=True): their inner product is the cosine.
    index = faiss.IndexHNSWFlat(embedder.dim, 32, faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction = 100
    with Clock() as built:
        for _, vectors in batches(embedder, a.passages):
            index.add(vectors)
    faiss.write_index(index, str(a.store / "float32.faiss"))
    index.hnsw.efSearch = 64
    with Clock() as searched:
        _, numbers = index.search(wanted, K)
    found = numbers.tolist()
    show_hits(queries, found, a.passages)
    report("HNSW over float32", found, nearest, built, searched, (a.store / "float32.faiss").stat().st_size)

    # faiss counts the bits that differ; "ubinary" is what it reads, the signs, eight in a byte.
    bits = faiss.IndexBinaryHNSW(8 * octavo.as_dtype(wanted, "ubinary").shape[1], 32)
    bits.hnsw.efConstruction = 100
    parts = []
    with Clock() as built:
        for _, vectors in batches(embedder, a.passages):
            bits.add(octavo.as_dtype(vectors, "ubinary"))
            parts.append(octavo.as_dtype(vectors, "int8"))
    int8 = np.concatenate(parts)
    faiss.write_index_binary(bits, str(a.store / "binary.faiss"))
    np.save(a.store / "int8.npy", int8)
    lengths = np.sqrt(np.einsum("ij,ij->i", int8, int8, dtype=np.float32))
    bits.hnsw.efSearch = 2 * CANDIDATES
    with Clock() as searched:
        _, candidates = bits.search(octavo.as_dtype(wanted, "ubinary"), CANDIDATES)
    report("HNSW over binary", candidates[:, :K].tolist(), nearest, built, searched, (a.store / "binary.faiss").stat().st_size)
    with Clock() as searched:
        _, candidates = bits.search(octavo.as_dtype(wanted, "ubinary"), CANDIDATES)
        found = rescore(wanted, candidates, int8, lengths)
    size = (a.store / "binary.faiss").stat().st_size + int8.nbytes
    report("HNSW over binary, ordered by int8", found, nearest, built, searched, size)


if __name__ == "__main__":
    main()
