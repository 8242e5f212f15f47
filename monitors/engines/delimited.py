"""Reads CSV files: types inferred from every row, the separator from the first line."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pc

from monitors.engines.drawing import at_random, picked, spread
from monitors.engines.memory import open_table
from monitors.engines.source import Names, Source, chosen, plain_batch, reading
from monitors.profiles.planning import SAMPLE
from spec import DataError, Problem

_FORM = "CSV"
_WHOLE = 2**26  # bytes up to which a file is read at once
_BLOCK = 2**23
_SEED = 0
_SEPARATORS = ",;\t|"
_REFUSED = re.compile(r"In CSV column #(\d+).*?CSV conversion error to ([^:]+)", re.DOTALL)
_QUOTED = re.compile(rb'"[^"]*"')
_WIDER = {"null": pa.int64(), "int64": pa.float64(), "timestamp[s]": pa.timestamp("ns")}

Types = dict[str, pa.DataType]


def open_csv(path: str) -> Source:
    """Open a CSV file with a header, gzipped or not; comma, semicolon, tab and bar are known as separators.

    An empty field, and ``NA``, ``NaN``, ``null`` and the like outside of quotes, is missing. A column whose
    fields are of more than one type is of the narrowest type that holds them all: whole numbers and decimals
    are numbers, anything else is strings. A large file is read once to learn that, and again to be counted.

    Raises
    ------
    DataError
        It is not CSV, not UTF-8, or lines differ in their number of fields.
    """
    with reading(path, _FORM):
        separator = _separator(path)
        size = Path(path).stat().st_size
        if size <= _WHOLE and not _is_packed(path):
            table = pc.read_csv(path, parse_options=_parsing(separator), convert_options=_converting({}))
            _check_text(path, table.schema)
            return open_table(table, path)
        types, drawn = _settled(path, separator)
    _check_text(path, drawn.schema)

    def batches(names: Names) -> Iterator[pa.RecordBatch]:
        for batch in _read(path, separator, types):
            yield batch.select(chosen(drawn.schema, names))

    def sample(rows: int, names: Names) -> pa.Table:
        places = spread(drawn.num_rows, rows)
        part = drawn.select(chosen(drawn.schema, names))
        return pa.Table.from_batches(picked(part.to_batches(), places), part.schema)

    return Source(path, drawn.schema, size, batches, sample)


def _read(path: str, separator: str, types: Types) -> Iterator[pa.RecordBatch]:
    with reading(path, _FORM):
        yield from map(plain_batch, _opened(path, separator, types))


def _opened(path: str, separator: str, types: Types) -> pc.CSVStreamingReader:
    return pc.open_csv(
        pa.input_stream(path, compression="gzip" if _is_packed(path) else None),
        read_options=pc.ReadOptions(block_size=_BLOCK),
        parse_options=_parsing(separator),
        convert_options=_converting(types),
    )


def _is_packed(path: str) -> bool:
    return path.lower().endswith(".gz")


def _settled(path: str, separator: str) -> tuple[Types, pa.Table]:
    """Read the whole file, widening the types of columns until every row fits; return them and a sample."""
    types: Types = {}
    while True:
        try:
            reader = _opened(path, separator, types)
            types = dict(zip(reader.schema.names, reader.schema.types, strict=True))
            drawn = at_random(reader.schema, reader, SAMPLE, _SEED)
        except pa.ArrowInvalid as error:
            refused = _REFUSED.search(str(error))
            if refused is None or not types:
                raise
            name = list(types)[int(refused[1])]
            if types[name] == pa.string():
                raise
            types = types | {name: _WIDER.get(str(types[name]), pa.string())}
        else:
            return types, drawn


def _parsing(separator: str) -> pc.ParseOptions:
    return pc.ParseOptions(delimiter=separator, newlines_in_values=True)


def _converting(types: Types) -> pc.ConvertOptions:
    return pc.ConvertOptions(column_types=types, strings_can_be_null=True, quoted_strings_can_be_null=False)


def _separator(path: str) -> str:
    """Return the separator that the header has most, outside of quotes."""
    with gzip.open(path) if _is_packed(path) else Path(path).open("rb") as file:
        header = file.readline(_BLOCK)
        while header.count(b'"') % 2 and len(header) < _BLOCK and (line := file.readline(_BLOCK)):
            header += line
    bare: str = _QUOTED.sub(b"", header).decode("utf-8", errors="replace")
    return max(_SEPARATORS, key=bare.count)


def _check_text(path: str, schema: pa.Schema) -> None:
    """Arrow calls a column of bytes that are no UTF-8 binary."""
    problems = [
        Problem(f"{path}: column {field.name}", "must be UTF-8 text", "other bytes", "Save the file as UTF-8")
        for field in schema
        if pa.types.is_binary(field.type)
    ]
    if problems:
        raise DataError(problems)
