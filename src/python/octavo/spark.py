"""Octavo for Spark: a pandas UDF from texts to vectors.

    from octavo.spark import embed_udf

    embed = embed_udf("minilm-int8")
    spark.read.parquet("texts/").withColumn("embedding", embed("text")).write.parquet("vectors/")
"""

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pyspark import TaskContext
from pyspark.sql.functions import pandas_udf
from pyspark.sql.types import ArrayType, ByteType, FloatType

from octavo._errors import UnsupportedError
from octavo._workers import Nulls, WorkerOptions, check_nulls, encode, lasting, opened, split

if TYPE_CHECKING:
    from typing_extensions import Unpack

_NUMBERS = {"float32": FloatType(), "int8": ByteType(), "binary": ByteType()}


def embed_udf(
    model: str | os.PathLike[str],
    *,
    nulls: Nulls = "keep",
    threads: int | None = None,
    **options: "Unpack[WorkerOptions]",
) -> Any:
    """A function of a column of strings that gives a column of vectors, arrays of float (of byte, if
    `dtype` is "int8" or "binary").

    Each Python worker process opens the model once; those of a machine share the memory of its
    weights. The bits are those of octavo.Embedder.encode.

    Args:
        model: what octavo.Embedder is opened with; the same on every machine.
        nulls: "keep": a null gives a null, as functions of SQL do; or "error".
        threads: None for as many as `spark.task.cpus` gives each task.
        options: arguments of octavo.Embedder.encode (prompt, prompt_name, normalize, dimensions, dtype,
            max_length) and of octavo.Embedder (model_file, exact_onnx, batch_tokens, cache).

    Raises:
        TypeError: another option.
        UnsupportedError: Spark has no type for `dtype`.
        pyspark.errors.PythonException: what octavo.Embedder or its encode raised in a worker, when
            the query runs.
    """
    check_nulls(nulls)
    how, arguments = split(options)
    dtype = how.get("dtype", "float32")
    if dtype not in _NUMBERS:
        raise UnsupportedError(f"dtype is {dtype!r}, for which Spark has no type; it can be {', '.join(_NUMBERS)}")
    name = lasting(model)

    def embed(batches: Iterator[pd.Series]) -> Iterator[pd.Series]:
        embedder = opened(name, threads=threads or _given_cpus(), **arguments)
        for texts in batches:
            gaps = texts.isna()
            given = texts.astype(object).where(~gaps, None).tolist()
            vectors, missing = encode(embedder, given, nulls, str(texts.name), how)
            yield pd.Series(_rows(vectors, missing), dtype=object)

    return pandas_udf(embed, ArrayType(_NUMBERS[dtype]))


def _rows(vectors: NDArray[Any], missing: NDArray[np.bool_] | None) -> list[NDArray[Any] | None]:
    if missing is None:
        return list(vectors)
    return [None if gone else vector for vector, gone in zip(vectors, missing, strict=True)]


def _given_cpus() -> int:
    """CPUs that Spark gave this task."""
    task = TaskContext.get()
    return 1 if task is None else max(1, task.cpus())
