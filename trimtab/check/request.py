"""What `trimtab check` is asked, and whether the two files can answer it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa

from monitors.comparing.compare import Methods
from monitors.engines.source import Source
from monitors.engines.sources import open_source
from monitors.profiles.counting import columns as stored
from monitors.profiles.plan import Family, Kind
from spec import DataError, Problem, did_you_mean
from trimtab.check.vectors import holds_vectors

HELD = 2**26
"""Bytes up to which a file is read once and kept, instead of once for each question."""


@dataclass(frozen=True, slots=True)
class Request:
    """Everything that the command line says.

    Parameters
    ----------
    columns
        The columns to compare; all that both files have if empty.
    target, timestamp, segment
        Columns with a part of their own; empty for none.
    ignored
        Columns that are known to be no input: a model's id.
    optional
        Names of `target` and `timestamp` that a file need not have: a YAML names them, and truth comes late.
    kinds
        What columns are, where their types do not say.
    threshold, correlation
        The effect, and the change of a rank correlation, that matter; None for no correlations.
    words
        Whether to compare what text columns say, beside their lengths.
    vectors
        Whether to compare columns of vectors.
    joint
        Whether to compare all columns together, by a classifier.
    importances
        How much each column matters to the model: what the ranking goes by; None if nobody knows.
    weighed
        Where the importances are from, or why there are none, in words.
    """

    reference: str
    current: str
    columns: tuple[str, ...] = ()
    target: str = ""
    timestamp: str = ""
    segment: str = ""
    ignored: tuple[str, ...] = ()
    kinds: Mapping[str, Kind] = field(default_factory=dict)
    methods: Methods = field(default_factory=Methods)
    threshold: float = 0.1
    correlation: float | None = 0.2
    alpha: float = 0.05
    words: bool = True
    vectors: bool = True
    joint: bool = False
    importances: Mapping[str, float] | None = None
    weighed: str = ""
    optional: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, eq=False)
class Data:
    """One of the files: its schema, and what engines read it from (a table if it is small, else the path)."""

    name: str
    schema: pa.Schema
    rows: Any

    @property
    def names(self) -> list[str]:
        """The columns' names."""
        names: list[str] = self.schema.names
        return names


def opened(request: Request) -> tuple[Data, Data]:
    """Open both files and check that they have what is asked.

    Raises
    ------
    DataError
        With everything that is wrong with either: missing, unreadable, empty, without a shared column or one
        that was named, or with a column whose type changed.
    """
    problems: list[Problem] = []
    sides = []
    for path in (request.reference, request.current):
        try:
            sides.append(_data(path, open_source(path)))
        except DataError as error:
            problems += error.problems
    if problems:
        raise DataError(problems)
    reference, current = sides
    request = fitted(request, reference, current)
    problems += [
        Problem(side.name, "must hold rows", "none")
        for side in sides
        if isinstance(side.rows, pa.Table) and not side.rows.num_rows
    ]
    problems += _unnamed(request, reference, current)
    if not set(reference.names) & set(current.names):
        hint = f"The reference has {_some(reference.names)}"
        problems.append(
            Problem(current.name, "must share a column with the reference", _some(current.names), hint)
        )
    problems += _changed(request, reference, current)
    if problems:
        raise DataError(problems)
    return reference, current


def fitted(request: Request, reference: Data, current: Data) -> Request:
    """Return the request without the target and the time that are optional and not in both files."""
    lost = {name for name in request.optional if name not in reference.names or name not in current.names}
    target = "" if request.target in lost else request.target
    timestamp = "" if request.timestamp in lost else request.timestamp
    return replace(request, target=target, timestamp=timestamp, ignored=(*request.ignored, *lost))


def shared(request: Request, reference: Data, current: Data) -> list[str]:
    """Return the columns to be planned: those of both files, or those that were asked for, and the target."""
    apart = {request.timestamp, *request.ignored}
    found = [name for name in dict.fromkeys(reference.names) if name in current.names and name not in apart]
    if not request.columns:
        return found
    wanted = {*request.columns, request.target}
    return [name for name in found if name in wanted]


def _data(path: str, source: Source) -> Data:
    if 0 < source.size <= HELD:
        return Data(path, source.schema, _table(source))
    return Data(path, source.schema, path)


def _table(source: Source) -> pa.Table:
    """Return all rows; strings as the dictionaries that the source may give, if it always does."""
    batches = list(source.batches(None))
    if any(batch.schema != batches[0].schema for batch in batches):
        batches = [batch.cast(source.schema) for batch in batches]
    return pa.Table.from_batches(batches, batches[0].schema if batches else source.schema)


def _unnamed(request: Request, reference: Data, current: Data) -> Iterator[Problem]:
    """Yield each name of the command line that a file does not have, and a time that is none."""
    wanted = {**dict.fromkeys(request.columns, "--columns"), **dict.fromkeys(request.kinds, "--categorical")}
    wanted = dict.fromkeys(request.importances or (), "--importance") | wanted
    apart = {"--target": request.target, "--timestamp": request.timestamp, "--segment": request.segment}
    wanted |= {name: option for option, name in apart.items() if name}
    for name, option in wanted.items():
        for side in (reference, current):
            if name not in side.names:
                hint = did_you_mean(name, side.names)
                yield Problem(
                    f"{side.name}: {name}", f"must be a column, for {option}", "no such column", hint
                )
            elif option == "--timestamp" and _family(side, name) is not Family.TIME:
                found = str(side.schema.field(side.names.index(name)).type)
                yield Problem(f"{side.name}: {name}", "must be a time, for --timestamp", found)


def _changed(request: Request, reference: Data, current: Data) -> Iterator[Problem]:
    """Yield each column that cannot be compared because its type changed, or is of vectors no longer."""
    for name in shared(request, reference, current):
        if reference.names.count(name) > 1 or current.names.count(name) > 1:
            continue
        before, after = _family(reference, name), _family(current, name)
        types = [side.schema.field(name).type for side in (reference, current)]
        same = before is after and holds_vectors(types[0]) is holds_vectors(types[1])
        if not same and Family.NULL not in (before, after):
            must = f"must be {types[0]}, as in the reference"
            hint = "Convert it, or name the columns to compare with --columns"
            yield Problem(f"{current.name}: {name}", must, str(types[1]), hint)


def _family(side: Data, name: str) -> Family | None:
    return stored.family(side.schema.field(side.names.index(name)).type)


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:8])
    return shown if len(names) <= 8 else f"{shown}, … ({len(names)} in all)"  # noqa: PLR2004 - a line's worth
