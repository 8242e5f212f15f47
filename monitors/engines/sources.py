"""Opens any data as a `Source`: what is at a path, or what another library holds."""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import pyarrow as pa

from monitors.engines import arrow_files, delimited, frames, lake, memory, parquet
from monitors.engines.combined import combined, unified
from monitors.engines.partitions import partitions
from monitors.engines.source import Source, reading
from spec import DataError, Problem

FORMATS: dict[str, Callable[[str], Source]] = {
    ".parquet": parquet.open_parquet,
    ".pq": parquet.open_parquet,
    ".csv": delimited.open_csv,
    ".csv.gz": delimited.open_csv,
    ".tsv": delimited.open_csv,
    ".tsv.gz": delimited.open_csv,
    ".arrow": arrow_files.open_arrow,
    ".arrows": arrow_files.open_arrow,
    ".feather": arrow_files.open_arrow,
    ".ipc": arrow_files.open_arrow,
}
"""How a file is read, by the end of its name."""

_KNOWN = f"Known: {', '.join(FORMATS)}, a folder of them, a Delta table"
_NEIGHBOURS = 5


def open_source(data: Any) -> Source:
    """Open data to be profiled; nothing is read yet but what says the schema.

    Parameters
    ----------
    data
        A path to a Parquet, CSV or Arrow file, a folder (also one partitioned as ``key=value``) or a glob of
        files of one table, a Delta table (a folder, or a URL of an object store); an Arrow table, record
        batch, reader or dataset; a pandas or Polars frame; anything else that exports an Arrow stream.

    Raises
    ------
    DataError
        With every file that is missing, empty, unreadable or of an unknown format.
    """
    if isinstance(data, str | os.PathLike):
        return _open_path(os.fspath(data))
    if isinstance(data, pa.Table):
        return memory.open_table(data)
    if isinstance(data, pa.RecordBatch):
        return memory.open_table(pa.Table.from_batches([data]), "record batch")
    if isinstance(data, pa.RecordBatchReader):
        return memory.open_reader(data)
    return _open_foreign(data)


def _open_foreign(data: Any) -> Source:
    """Open an object of a library that need not be installed: it is known by where its type comes from."""
    name = type(data).__name__
    home = type(data).__module__.partition(".")[0]
    if home == "pandas" and name == "DataFrame":
        return frames.open_frame(data)
    if home == "polars" and name in {"DataFrame", "LazyFrame"}:
        return memory.open_polars(data)
    if home == "pyarrow" and hasattr(data, "scanner"):
        return memory.open_dataset(data)
    if hasattr(data, "__arrow_c_stream__"):
        with reading(name, "an Arrow stream"):
            return memory.open_reader(pa.RecordBatchReader.from_stream(data), name)
    must = "must be a path, an Arrow table, batch, reader or dataset, or a data frame"
    raise DataError([Problem("data", must, f"{home}.{name}")])


def _open_path(path: str) -> Source:
    if "://" in path or (Path(path) / "_delta_log").is_dir():
        return lake.open_delta(path)
    if not path:
        raise DataError([Problem("data", "must be a path", "an empty name")])
    if Path(path).is_file():
        return _open_files(path, [path])
    if Path(path).is_dir():
        files = sorted(str(file) for file in Path(path).rglob("*") if _is_data(file.relative_to(path), file))
        if not files:
            raise DataError([Problem(path, "must hold data files", "none", _KNOWN)])
        return _open_files(path, files)
    if glob.has_magic(path):
        matching = glob.glob(path, recursive=True)  # noqa: PTH207 - pathlib takes no absolute pattern
        files = sorted(file for file in matching if Path(file).is_file())
        if not files:
            raise DataError([Problem(path, "must match a file", "none", _near(Path(path)))])
        return _open_files(path, files)
    raise DataError([Problem(path, "must exist", "no such file or folder", _near(Path(path)))])


def _open_files(name: str, files: Sequence[str]) -> Source:
    """Open files of one table, each by its own format; all that cannot be opened are named."""
    opened: list[Source] = []
    problems: list[Problem] = []
    for file in files:
        try:
            opened.append(_open_file(file))
        except DataError as error:
            problems += error.problems
    if problems:
        raise DataError(problems)
    if files == [name]:
        return opened[0]
    types, constants = partitions([_folders(name, file) for file in files])
    columns = {field.name: field.type for field in unified(name, opened)} | types
    return combined(name, opened, constants, pa.schema(list(columns.items())))


def _open_file(path: str) -> Source:
    form = next((form for form in FORMATS if path.lower().endswith(form)), None)
    if form is None:
        raise DataError(
            [Problem(path, "must end as a known format", Path(path).suffix or "no ending", _KNOWN)]
        )
    if not Path(path).stat().st_size:
        raise DataError([Problem(path, "must not be empty", "0 bytes")])
    return FORMATS[form](path)


def _folders(root: str, file: str) -> tuple[str, ...]:
    """Return the folders below the root, which for a glob is what is before its first wildcard."""
    parts = Path(file).parent.parts
    fixed = [part for part in Path(root).parts if not glob.has_magic(part)]
    return parts if glob.has_magic(root) else parts[len(fixed) :]


def _is_data(inside: Path, file: Path) -> bool:
    """Leave out what engines write beside their data: ``_SUCCESS``, ``.crc``, ``_temporary/``."""
    aside = (part for part in inside.parts if part.startswith(".") or (part[0] == "_" and "=" not in part))
    return file.is_file() and not any(aside)


def _near(path: Path) -> str:
    """Return the names beside a path that is not there, closest first."""
    folder = path.parent
    if not folder.is_dir():
        return f"There is no folder {folder}"
    names = sorted(
        entry.name for entry in folder.iterdir() if entry.is_dir() or entry.name.endswith(tuple(FORMATS))
    )
    close = get_close_matches(path.name, names, n=_NEIGHBOURS, cutoff=0.6)
    if close:
        return f"Did you mean {' or '.join(map(repr, close))}?"
    return f"In that folder: {', '.join(names[:_NEIGHBOURS])}" if names else f"There is no data in {folder}"
