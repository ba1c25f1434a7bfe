#!/usr/bin/env python3
"""What vectors of fewer bits find of what float32 ones find, with your model and your texts, and nothing but numpy:

    examples/databases/fewer_bits.py MODEL PASSAGES QUERIES

Every form is searched exactly, so that what is missing is missing because of the bits, not of an index.
"""

import numpy as np
from corpus import K, arguments, embed_queries, exact, kept_vectors, recall
from numpy.typing import NDArray

import octavo

DIFFERENT_BITS = np.array([number.bit_count() for number in range(256)], np.uint8)


def best(scores: NDArray[np.generic], k: int) -> NDArray[np.int64]:
    """The numbers of the k largest, largest first."""
    return np.argsort(-scores.astype(np.float32), kind="stable")[:k]


def main() -> None:
    a = arguments(__doc__, store=False)
    embedder = octavo.Embedder(a.model)
    _, wanted = embed_queries(embedder, a.queries)
    vectors = kept_vectors(embedder, a.passages)
    nearest = exact(vectors, wanted)

    float16, int8, bits = (octavo.as_dtype(vectors, dtype) for dtype in ("float16", "int8", "ubinary"))
    # An int8 vector has a scale of its own: divided by its length, the product with the query is the cosine again.
    lengths = np.sqrt(np.einsum("ij,ij->i", int8, int8, dtype=np.float32))
    found: dict[str, list[list[int]]] = {"float16": [], "int8": [], "binary": [], "binary, 100 by int8": [], "binary, 100 by float32": []}
    for query, query_bits in zip(wanted, octavo.as_dtype(wanted, "ubinary")):
        found["float16"].append(best(float16.astype(np.float32) @ query, K).tolist())
        found["int8"].append(best(int8 @ query / lengths, K).tolist())
        candidates = best(-DIFFERENT_BITS[bits ^ query_bits].sum(axis=1, dtype=np.int32), 100)
        found["binary"].append(candidates[:K].tolist())
        ordered = best(int8[candidates] @ query / lengths[candidates], K)
        found["binary, 100 by int8"].append(candidates[ordered].tolist())
        found["binary, 100 by float32"].append(candidates[best(vectors[candidates] @ query, K)].tolist())

    bytes_each = [float16[0].nbytes, int8[0].nbytes, bits[0].nbytes, bits[0].nbytes + int8[0].nbytes, bits[0].nbytes + vectors[0].nbytes]
    print(f"float32: {vectors[0].nbytes} bytes a vector")
    for (what, numbers), size in zip(found.items(), bytes_each):
        print(f"{what}: recall@{K} {recall(numbers, nearest):.3f}, {size} bytes a vector")


if __name__ == "__main__":
    main()
