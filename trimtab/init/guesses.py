"""What a table's columns may be to a model, from their names, types and values."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from monitors.profiles.counting import columns as stored
from monitors.profiles.plan import Family, Kind, Plan
from monitors.profiles.planning import SAMPLE, make_plan
from monitors.quality import Constraints
from spec import FeatureType, Problem, Task, did_you_mean
from trimtab.init.constraints import inferred

CLASSES = 30
"""Distinct names or whole numbers up to which a target is one of classes."""

_TARGETS = (
    "target",
    "label",
    "y",
    "class",
    "outcome",
    "response",
    "churn",
    "churned",
    "default",
    "fraud",
    "is_fraud",
    "late",
)
_TIMES = ("event_time", "timestamp", "time", "datetime", "ts", "created_at", "occurred_at", "date")
_ID = re.compile(r"(^|[_\s.-])(id|uuid|guid|key|pk)$|[a-z]I[dD]$", re.IGNORECASE)
_ID_DEFAULT, _TIME_DEFAULT = "prediction_id", "event_time"
_FEATURES = {
    Kind.NUMERIC: FeatureType.NUMERIC,
    Kind.CATEGORICAL: FeatureType.CATEGORICAL,
    Kind.BOOLEAN: FeatureType.BOOLEAN,
}


@dataclass(frozen=True, slots=True)
class Role:
    """A column that the YAML names, and how it is known: words for a comment, empty if it was given."""

    name: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class Draft:
    """What the YAML is to say.

    `features` have a type, inferred constraints and a remark each; `left_out` are columns that cannot be
    features, with the reason. `silence` is the longest time between two rows.
    """

    model: str
    task: Task
    id: Role
    time: Role
    target: Role
    classes: tuple[str, ...]
    features: tuple[tuple[str, FeatureType, Constraints, str], ...]
    left_out: dict[str, str]
    rows_a_day: float | None
    silence: timedelta | None


def draft(rows: pa.Table, given: dict[str, str], model: str) -> tuple[Draft | None, list[Problem]]:
    """Return what can be said of a sample of the data, or all that is wrong.

    Parameters
    ----------
    given
        ``id``, ``time`` and ``target`` that the command line names; empty for none.
    """
    rows = _plain(rows)
    names = rows.column_names
    problems = [
        Problem(f"--{role}", "must be a column", repr(name), did_you_mean(name, names))
        for role, name in given.items()
        if name and name not in names
    ]
    roles = [name for name in given.values() if name]
    problems += [
        Problem("--id, --time and --target", "must be three different columns", repr(name))
        for name in sorted({name for name in roles if roles.count(name) > 1})
    ]
    plan = make_plan(rows)
    target = Role(given["target"]) if given["target"] else _target(names)
    if target is None:
        hint = f"Name it with --target. Columns: {', '.join(names)}"
        problems.append(
            Problem("--target", "must name what the model predicts", "no column that is called so", hint)
        )
    elif target.name in names:
        problems += _fits(rows.column(target.name), target.name)
    if (
        given["time"]
        and given["time"] in plan.columns
        and plan.columns[given["time"]].kind is not Kind.DATETIME
    ):
        found = str(rows.schema.field(given["time"]).type)
        problems.append(Problem("--time", "must be a column of times", f"{given['time']}, {found}"))
    if problems or target is None:
        return None, problems
    time = Role(given["time"]) if given["time"] else _time(plan, target.name)
    key = Role(given["id"]) if given["id"] else _id(rows, plan, {target.name, time.name}, model)
    return _drafted(rows, plan, model, (key, time, target)), []


def task_of(values: pa.ChunkedArray) -> Task | None:
    """Return the task of a target: true and false or two numbers 0 and 1, a few classes, or a number."""
    family = stored.family(values.type)
    if family is Family.BOOLEAN:
        return Task.BINARY
    if family is Family.NUMBER and not pa.types.is_temporal(values.type):
        numbers = set(stored.numbers(values.combine_chunks()).tolist())
        return Task.BINARY if numbers <= {0, 1} else Task.REGRESSION
    if family is Family.STRING:
        found = {text.lower() for text in _names(values)}
        if found <= {"true", "false"} or found <= {"0", "1"}:
            return Task.BINARY
        return Task.MULTICLASS if 2 < len(found) <= CLASSES else None  # noqa: PLR2004 - two are binary
    return None


def _fits(values: pa.ChunkedArray, name: str) -> list[Problem]:
    where = f"--target {name}"
    if values.null_count == len(values):
        return [Problem(where, "must have values", "none")]
    if task_of(values) is not None:
        return []
    if stored.family(values.type) is None:
        return [Problem(where, "must be a number, true and false, or a class", str(values.type))]
    distinct = pc.count_distinct(values).as_py()
    must = f"must be true and false (or 1 and 0), a number, or one of 3 to {CLASSES} classes"
    hint = "Write 1 for the outcome that the model is to find and 0 for the other" if distinct == 2 else ""  # noqa: PLR2004 - binary
    return [Problem(where, must, f"{values.type} with {distinct:,} distinct values", hint)]


def _target(names: Sequence[str]) -> Role | None:
    by_name = {name.lower(): name for name in reversed(names)}
    found = next((by_name[known] for known in _TARGETS if known in by_name), None)
    return None if found is None else Role(found, "guessed by its name")


def _time(plan: Plan, target: str) -> Role:
    times = [name for name, column in plan.columns.items() if column.kind is Kind.DATETIME and name != target]
    if not times:
        return Role(_TIME_DEFAULT, "NOT in the data: send the event time with every request under this name")
    by_name = {name.lower(): name for name in reversed(times)}
    named = next((by_name[known] for known in _TIMES if known in by_name), None)
    if named is not None:
        return Role(named, "guessed by its name and type")
    why = (
        "guessed: the only column of times"
        if len(times) == 1
        else f"guessed: the first of {len(times)} columns of times"
    )
    return Role(times[0], why)


def _id(rows: pa.Table, plan: Plan, taken: set[str], model: str) -> Role:
    unique = [name for name in plan.columns if name not in taken and _is_unique(rows.column(name))]
    wanted = (f"{model}_id", "id", _ID_DEFAULT)
    named = next((name for name in wanted if name in unique), None) or next(filter(_ID.search, unique), None)
    if named is not None:
        return Role(named, "guessed by its name; every value is another")
    return Role(_ID_DEFAULT, "NOT in the data: give every request an id of its own under this name")


def _is_unique(values: pa.ChunkedArray) -> bool:
    if pa.types.is_floating(values.type) or values.null_count or stored.family(values.type) is Family.BOOLEAN:
        return False
    return bool(pc.count_distinct(values).as_py() == len(values))


def _drafted(rows: pa.Table, plan: Plan, model: str, roles: tuple[Role, Role, Role]) -> Draft:
    key, time, target = roles
    taken = {role.name for role in roles}
    features: list[tuple[str, FeatureType, Constraints, str]] = []
    left_out = {name: why for name, why in plan.skipped.items() if name not in taken}
    for name, column in plan.columns.items():
        if name in taken:
            continue
        values = rows.column(name)
        if column.kind not in _FEATURES:
            left_out[name] = f"a {column.kind.value}; derive features from it"
        elif values.null_count == len(values):
            left_out[name] = "without a value in the data"
        elif _ID.search(name) and _is_unique(values):
            left_out[name] = "an identifier: every value is another"
        else:
            feature = _FEATURES[column.kind]
            features.append((name, feature, inferred(values, feature), _remark(values, column.kind)))
    task = task_of(rows.column(target.name)) or Task.REGRESSION
    classes = _classes(rows.column(target.name)) if task is Task.MULTICLASS else ()
    return Draft(model, task, key, time, target, classes, tuple(features), left_out, *_pace(rows, time.name))


def _classes(values: pa.ChunkedArray) -> tuple[str, ...]:
    return tuple(sorted(_names(values)))


def _names(values: pa.ChunkedArray) -> list[str]:
    """Return the distinct strings."""
    return stored.decoded(values.drop_null().unique())


def _plain(rows: pa.Table) -> pa.Table:
    """Return the values themselves: Arrow cannot count the distinct ones of codes."""
    columns = [
        column if stored.family(column.type) is None else stored.plain(column.combine_chunks())
        for column in rows.columns
    ]
    return pa.table(columns, names=rows.column_names)


def _remark(values: pa.ChunkedArray, kind: Kind) -> str:
    """Return what a person should look at."""
    told = []
    distinct = pc.count_distinct(values).as_py()
    if kind is Kind.NUMERIC and pa.types.is_integer(values.type) and distinct <= 10:  # noqa: PLR2004 - codes are few
        told.append(f"{distinct} whole numbers: make it categorical if they are names")
    if kind is Kind.CATEGORICAL and distinct > 1000:  # noqa: PLR2004 - what a plan tracks
        told.append(f"{distinct:,} values")
    if distinct == 1:
        told.append("a constant in the data")
    missing = values.null_count / len(values)
    if missing >= 0.01:  # noqa: PLR2004 - less is not worth a word
        told.append(f"{missing:.0%} missing")
    return "; ".join(told)


def _pace(rows: pa.Table, time: str) -> tuple[float | None, timedelta | None]:
    """Return the rows a day and the longest silence; None without times, or if the rows are a sample only."""
    if time not in rows.column_names or len(rows) >= SAMPLE:
        return None, None
    times = np.sort(stored.numbers(rows.column(time).combine_chunks()).astype(np.float64))
    days = float(times[-1] - times[0]) / 86_400e6 if len(times) else 0.0
    if days <= 0:
        return None, None
    return len(times) / days, timedelta(microseconds=float(np.diff(times).max()))
