"""Octavo for Ray Data: Parquet in, Parquet with a column of vectors out, on all machines of a cluster.

    import ray
    from octavo.ray import EmbedBatches

    ray.data.read_parquet("texts/").map_batches(
        EmbedBatches,
        fn_constructor_kwargs={"model": "minilm-int8", "column": "text"},
        batch_format="pyarrow",
        compute=ray.data.ActorPoolStrategy(size=8),
        num_cpus=1,
    ).write_parquet("vectors/")

`embed_parquet` does the same file by file, so that a job that was interrupted goes on where it ended.
"""

import json
import os
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa
import ray
import ray.data

from octavo._embedder import Embedder
from octavo._errors import Error, InvalidInputError, NotFoundError
from octavo._parquet import Job, embed_file, jobs_of, remove_parts, waiting
from octavo._workers import Nulls, WorkerOptions, check_names, check_nulls, encode, lasting, opened, split

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["EmbedBatches", "embed_parquet"]


class EmbedBatches:
    """A callable class for Dataset.map_batches: adds a column with the vectors of a column of texts.

    Each worker process opens the model once; the workers of a machine share the memory of its
    weights. A vector has the bits of octavo.Embedder.encode, whichever worker made it, so that a
    batch that ran twice because a worker died gives the same rows.

    Args:
        model: what octavo.Embedder is opened with; the same on every machine.
        column: name of the column with the texts: strings of any Arrow type, or a dictionary of them.
        output: name of the new column. It is a fixed-size list of float32 (float16, int8, uint8, as
            `dtype` says) and lies behind the others, which stay as they are.
        nulls: "error" where a text is null, or "keep": its vector is null, too.
        threads: None for as many as Ray gave the worker CPUs (`num_cpus` of map_batches); at least 1.
        options: arguments of octavo.Embedder.encode (prompt, prompt_name, normalize, dimensions, dtype,
            max_length) and of octavo.Embedder (model_file, exact_onnx, batch_tokens, cache).

    Raises:
        InvalidInputError: `nulls` is something else. What octavo.Embedder raises comes with the first batch.
        TypeError: another option.
    """

    def __init__(
        self,
        model: str | os.PathLike[str],
        *,
        column: str = "text",
        output: str = "embedding",
        nulls: Nulls = "error",
        threads: int | None = None,
        **options: "Unpack[WorkerOptions]",
    ) -> None:
        check_nulls(nulls)
        self._column, self._output, self._nulls = column, output, nulls
        self._model = model
        self._encode, opened_with = split(options)
        self._opened_with: dict[str, Any] = {"threads": threads or _given_cpus(), **opened_with}
        # An error here would make Ray start workers again and again; with the first batch it ends the job.
        self._error: Error | None = None
        try:
            self._none = self._embedder.encode([], **self._encode)
        except Error as error:
            self._error = error

    @property
    def _embedder(self) -> Embedder:
        return opened(self._model, **self._opened_with)

    def __call__(self, batch: pa.Table) -> pa.Table:
        """The batch with the vectors behind its columns.

        Raises:
            NotFoundError: no such column.
            InvalidInputError: it holds no strings, or nulls; `output` is there already; a text that
                cannot be encoded, with its number in the batch.
            octavo.Error: as octavo.Embedder and its encode.
            TypeError: the batch is no Arrow table: map_batches wants batch_format="pyarrow".
        """
        if not isinstance(batch, pa.Table):
            raise TypeError(f'a batch is a {type(batch).__name__}; give map_batches batch_format="pyarrow"')
        self.check(batch.schema)
        texts = batch.column(self._column).to_pylist()
        vectors, missing = encode(self._embedder, texts, self._nulls, self._column, self._encode)
        # The array's memory becomes Arrow's: nothing is copied.
        values = pa.array(vectors.reshape(-1))
        mask = None if missing is None else pa.array(missing)
        column = pa.FixedSizeListArray.from_arrays(values, type=self._type, mask=mask)
        return batch.append_column(pa.field(self._output, self._type), column)

    def schema(self, schema: pa.Schema) -> pa.Schema:
        """What comes out where batches of this schema come in."""
        self.check(schema)
        return schema.append(pa.field(self._output, self._type))

    def check(self, schema: pa.Schema) -> None:
        """Raises what __call__ would for every batch of this schema."""
        if self._error:
            raise self._error
        if self._column not in schema.names:
            raise NotFoundError(f"no column {self._column!r}; there are: {', '.join(schema.names)}")
        if self._output in schema.names:
            raise InvalidInputError(f"the data has a column {self._output!r} already; choose another name with output=")
        kind = schema.field(self._column).type
        inside = kind.value_type if pa.types.is_dictionary(kind) else kind
        if not any(is_text(inside) for is_text in (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)):
            raise InvalidInputError(f"column {self._column!r} is of type {kind}; texts are strings")

    @property
    def _type(self) -> pa.DataType:
        return pa.list_(pa.from_numpy_dtype(self._none.dtype), self._none.shape[1])


class BatchOptions(WorkerOptions, total=False):
    """Arguments of EmbedBatches; the workers' `threads` are embed_parquet's to say."""

    column: str
    output: str
    nulls: Nulls


# Options that change no vector: a job may go on with others.
_SAME_BITS = ("batch_tokens", "cache")


class Embedded(NamedTuple):
    """What embed_parquet did."""

    files: int  # written now
    rows: int  # in them
    skipped: int  # files that were there already


def embed_parquet(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    model: str | os.PathLike[str],
    *,
    workers: int | None = None,
    threads: int = 1,
    rows: int = 4096,
    **options: "Unpack[BatchOptions]",
) -> Embedded:
    """Embeds a folder of Parquet files into another one, a file for each, on the cluster that Ray is
    connected to (or a local one).

    A file appears in `target` when all of its rows have their vectors, and not before; its rows
    are those of the file that it was made of, in their order, with one column more. When the
    job ends early, for whatever reason, call it again: what is there is left as it is. So the
    pieces of work are files: have more of them than workers.

    Args:
        source: a folder (or one file), as a path that all machines see or a URI of pyarrow.
        target: a folder, in the same way; made where it is missing.
        model: what octavo.Embedder is opened with; the same on every machine.
        workers: worker processes; None for as many as the cluster has CPUs when it begins.
        threads: of each worker, and the CPUs that Ray sets aside for it.
        rows: that are in memory together, and of a row group in `target`.
        options: further arguments of EmbedBatches.

    Raises:
        NotFoundError: no such source, or no Parquet file in it.
        InvalidInputError: a file in `target` was made with another model or other options, or has
            another number of rows than its source.
        TypeError: no such option.
        ray.exceptions.RayError: what a worker raised (its cause); what was written before stays.
    """
    for name, value in (("workers", workers), ("threads", threads), ("rows", rows)):
        if value is not None and value < 1:
            raise InvalidInputError(f"{name} is {value}; it can be 1 or more")
    check_names(options, BatchOptions)
    if not ray.is_initialized():
        ray.init()
    jobs = jobs_of(source, target)
    model = lasting(model)
    how = {name: value for name, value in options.items() if value is not None and name not in _SAME_BITS}
    how = {"model": model, **json.loads(json.dumps(how, default=os.fspath))}
    missing = waiting(jobs, how)
    made = 0
    if missing:
        most = workers or max(1, int(ray.cluster_resources().get("CPU", 1)) // threads)
        counts = ray.data.from_items([job._asdict() for job in missing], override_num_blocks=len(missing)).map_batches(
            _EmbedFiles,
            fn_constructor_args=(model, rows, how),
            fn_constructor_kwargs=options,
            batch_size=1,
            # A file that waits for a busy worker could be with one that has nothing to do.
            compute=ray.data.ActorPoolStrategy(size=min(most, len(missing)), max_tasks_in_flight_per_actor=1),
            num_cpus=threads,
        )
        made = sum(row["rows"] for row in counts.iter_rows())
    remove_parts(jobs)
    return Embedded(len(missing), made, len(jobs) - len(missing))


class _EmbedFiles:
    """A worker of embed_parquet."""

    def __init__(self, model: str, rows: int, how: dict[str, Any], **options: Any) -> None:
        self._embed, self._rows, self._how = EmbedBatches(model, **options), rows, how

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        jobs = [Job(*(str(part) for part in parts)) for parts in zip(*(batch[field] for field in Job._fields), strict=True)]
        return {"rows": [embed_file(job, self._embed, self._embed.schema, self._rows, self._how) for job in jobs]}


def _given_cpus() -> int | None:
    """CPUs that Ray gave this worker, at least 1; None where this is no worker."""
    if not ray.is_initialized():
        return None
    context = ray.get_runtime_context()
    if context.worker.mode != ray.WORKER_MODE:
        return None
    return max(1, int(context.get_assigned_resources().get("CPU", 1)))
