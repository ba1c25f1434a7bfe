#!/usr/bin/env python3
"""Search with Qdrant's engine inside the process (pip install qdrant-edge-py), without a server:

    examples/databases/with_qdrant.py MODEL PASSAGES QUERIES --store FOLDER

  float32   an HNSW graph over the vectors themselves
  int8      the same graph over 8-bit numbers that Qdrant makes of them, 1/4 of the memory; the float32 vectors stay on disk,
            and put the best in order

A Qdrant server (package qdrant-client) has the same distances, thresholds and quantization.
"""

import pathlib

import qdrant_edge as qdrant
from corpus import K, Clock, arguments, batches, embed_queries, exact, kept_vectors, report, show_hits

import octavo


def create(folder: pathlib.Path, dim: int, quantization: qdrant.ScalarQuantizationConfig | None) -> qdrant.EdgeShard:
    folder.mkdir()
    return qdrant.EdgeShard.create(
        str(folder),
        qdrant.EdgeConfig(
            # The vectors have length 1 (corpus.py asks for it), so Dot is the cosine, and no length has to be looked at.
            vectors=qdrant.EdgeVectorParams(size=dim, distance=qdrant.Distance.Dot, quantization_config=quantization),
            # Both thresholds are in KB of vectors; below them everything is compared, without an index.
            hnsw_config=qdrant.HnswIndexConfig(m=16, ef_construct=100, full_scan_threshold=1000),
            optimizers=qdrant.EdgeOptimizersConfig(indexing_threshold=1000),
        ),
    )


def fill(shard: qdrant.EdgeShard, embedder: octavo.Embedder, passages: pathlib.Path) -> None:
    first = 0
    for texts, vectors in batches(embedder, passages):
        points = [
            qdrant.Point(id, vector, {"text": text}) for id, (vector, text) in enumerate(zip(vectors.tolist(), texts), first)
        ]
        shard.update(qdrant.UpdateOperation.upsert_points(points))
        first += len(points)
    shard.optimize()  # builds the index; a server does it by itself, in the background
    shard.flush()


def search(shard: qdrant.EdgeShard, vector: list[float]) -> list[int]:
    # Quantized vectors give twice as many as asked for, of which the float32 ones choose; without quantization it says nothing.
    choose = qdrant.QuantizationSearchParams(rescore=True, oversampling=2.0)
    params = qdrant.SearchParams(hnsw_ef=100, quantization=choose)
    request = qdrant.SearchRequest(qdrant.Query.Nearest(vector), limit=K, params=params)
    return [int(hit.id) for hit in shard.search(request)]


def vector_bytes(folder: pathlib.Path) -> int:
    """What vectors, graph and quantized vectors take on disk, without texts and the log of changes."""
    return sum(file.stat().st_blocks * 512 for file in folder.glob("segments/*/vector_*/**/*") if file.is_file())


def main() -> None:
    a = arguments(__doc__)
    embedder = octavo.Embedder(a.model)
    queries, wanted = embed_queries(embedder, a.queries)
    nearest = exact(kept_vectors(embedder, a.passages), wanted)
    int8 = qdrant.ScalarQuantizationConfig(qdrant.ScalarType.Int8, quantile=0.99)
    for name, quantization in (("float32", None), ("int8", int8)):
        shard = create(a.store / name, embedder.dim, quantization)
        with Clock() as built:
            fill(shard, embedder, a.passages)
        with Clock() as searched:
            found = [search(shard, vector) for vector in wanted.tolist()]
        if name == "float32":
            show_hits(queries, found, a.passages)
            print(f"{shard.info().indexed_vectors_count} of {shard.info().points_count} vectors are in the graph")
        report(f"HNSW over {name}", found, nearest, built, searched, vector_bytes(a.store / name))
        shard.close()


if __name__ == "__main__":
    main()
