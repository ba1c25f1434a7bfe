"""Folders of Parquet files, one file out for each that goes in: written whole, and known again."""

import json
import os
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from octavo._errors import InvalidInputError, NotFoundError

# Key of a file's metadata: how its vectors were made.
_KEY = b"octavo"


class Job(NamedTuple):
    """A file to be made of another one of the same name (with folders in it)."""

    source: str  # folder, a path or a URI
    target: str
    name: str


def jobs_of(source: str | os.PathLike[str], target: str | os.PathLike[str]) -> list[Job]:
    """One for each Parquet file in a folder and below it (or for a single file), by name. Names that
    start with a dot or an underscore are not data.

    Raises:
        NotFoundError: nothing there.
        InvalidInputError: the target lies inside of the source, or the other way around.
    """
    source, target = _absolute(source), _absolute(target)
    for inner, outer in ((target, source), (source, target)):
        if (inner + "/").startswith(outer + "/"):
            raise InvalidInputError(f"{inner} lies inside of {outer}: texts and vectors want folders of their own")
    system, path = fs.FileSystem.from_uri(source)
    found = system.get_file_info(path)
    if found.type == fs.FileType.NotFound:
        raise NotFoundError(f"{source}: no such file or folder")
    if found.is_file:
        return [Job(source.rpartition("/")[0], target, found.base_name)]
    files = system.get_file_info(fs.FileSelector(path, recursive=True))
    inside = (file.path[len(path.rstrip("/")) + 1 :] for file in files if file.is_file and file.extension == "parquet")
    names = sorted(name for name in inside if not any(part.startswith((".", "_")) for part in name.split("/")))
    if not names:
        raise NotFoundError(f"{source}: no file *.parquet in it")
    return [Job(source, target, name) for name in names]


def waiting(jobs: list[Job], how: dict[str, Any]) -> list[Job]:
    """Those whose target is not there. Of the others it is known that they were made of as many rows
    in this way.

    Raises:
        InvalidInputError: one was made in another way or of other rows.
    """
    # Each is a few reads of some kilobytes, which far away take their time.
    with ThreadPoolExecutor(32) as pool:
        done = list(pool.map(lambda job: _is_done(job, how), jobs))
    return [job for job, is_done in zip(jobs, done, strict=True) if not is_done]


def _is_done(job: Job, how: dict[str, Any]) -> bool:
    system, path = _at(job.target, job.name)
    if system.get_file_info(path).type == fs.FileType.NotFound:
        return False
    made = pq.read_metadata(path, filesystem=system)
    then = json.loads((made.metadata or {}).get(_KEY, b"{}"))
    names = [name for name in {**how, **then} if then.get(name) != how.get(name)]
    other = [f"{name} {then.get(name)!r} instead of {how.get(name)!r}" for name in names]
    from_system, from_path = _at(job.source, job.name)
    if (rows := pq.read_metadata(from_path, filesystem=from_system).num_rows) != made.num_rows:
        other.append(f"{made.num_rows} rows instead of {rows}")
    if other:
        raise InvalidInputError(f"{path} is there already, made with {', '.join(other)}; remove it, or choose another folder")
    return True


def embed_file(
    job: Job,
    embed: Callable[[pa.Table], pa.Table],
    schema_of: Callable[[pa.Schema], pa.Schema],
    rows: int,
    how: dict[str, Any],
) -> int:
    """Makes the target, `rows` rows at a time; it appears whole, by a rename, or not at all.

    Returns:
        How many rows it has: exactly those of the source, in their order.
    """
    system, path = _at(job.target, job.name)
    folder, _, name = path.rpartition("/")
    system.create_dir(folder, recursive=True)
    # A worker that was given up may still be writing: every try has a name of its own.
    beside = f"{folder}/.{name}.{uuid.uuid4().hex}.part"
    done = 0
    from_system, from_path = _at(job.source, job.name)
    try:
        with pq.ParquetFile(from_path, filesystem=from_system) as file:
            schema = schema_of(file.schema_arrow)
            schema = schema.with_metadata({**(schema.metadata or {}), _KEY: json.dumps(how).encode()})
            # A dictionary of numbers that hardly repeat is work for nothing.
            texts = file.schema_arrow.names
            with pq.ParquetWriter(beside, schema, filesystem=system, use_dictionary=texts) as writer:
                for batch in file.iter_batches(batch_size=rows):
                    made = embed(pa.Table.from_batches([batch]))
                    writer.write_table(made.replace_schema_metadata(schema.metadata))
                    done += made.num_rows
            if done != file.metadata.num_rows:
                raise InvalidInputError(f"{from_path}: its end says {file.metadata.num_rows} rows, but it has {done}")
        if isinstance(system, fs.LocalFileSystem):
            _sync(beside)
        system.move(beside, path)
    except BaseException:
        if system.get_file_info(beside).type != fs.FileType.NotFound:
            system.delete_file(beside)
        raise
    return done


def remove_parts(jobs: list[Job]) -> None:
    """Removes what workers that were killed left beside the targets."""
    folders: dict[tuple[str, str], set[str]] = {}
    for job in jobs:
        below, _, name = job.name.rpartition("/")
        folders.setdefault((job.target, below), set()).add(name)
    for (target, below), names in folders.items():
        system, path = _at(target, below)
        for file in system.get_file_info(fs.FileSelector(path)):
            name = file.base_name
            if name.startswith(".") and name.endswith(".part") and name[1:].rsplit(".", 2)[0] in names:
                system.delete_file(file.path)


def _absolute(path: str | os.PathLike[str]) -> str:
    text = os.fspath(path)
    return text.rstrip("/") if "://" in text else os.path.realpath(text)


def _at(folder: str, name: str) -> tuple[fs.FileSystem, str]:
    """A name is one of the file system: in a URI some characters would mean something else."""
    system, path = fs.FileSystem.from_uri(folder)
    return system, f"{path.rstrip('/')}/{name}".rstrip("/")


def _sync(path: str) -> None:
    """What is renamed is on the disk, and so is its name's folder."""
    for name in (path, os.path.dirname(path)):
        descriptor = os.open(name, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
