"""Rows that cannot be right are told at the door: what `features` of the spec state, checked on each request.

Only what a row can break by itself is checked: `min`, `max`, `values`, and `nulls: 0`. Shares, uniqueness and
units are the monitors' work. One row is compared in Python, which is faster than NumPy for a single one; a
batch at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple
from urllib.parse import quote

import numpy as np

from serving.protocol import InferRequest
from serving.tensors import Column
from serving.values import Values
from spec import Feature, FeatureType, ModelSpec, Problem
from spec.quality import Door

HEADER = b"x-trimtab-quality"
_MOST_IN_HEADER = 20
_SHOWN_VALUES = 5


class Breach(NamedTuple):
    """Rows of a request that break one constraint, a key in the spec; `row` and `found` are the first's."""

    feature: str
    check: str
    rows: int
    row: int
    found: object


class Constraints:
    """What one model's features state, prepared once.

    Parameters
    ----------
    features
        By name, in the model's order.
    """

    def __init__(self, features: Mapping[str, Feature]) -> None:
        self._features = features
        self._numbers = [
            (
                name,
                -np.inf if one.min is None else one.min,
                np.inf if one.max is None else one.max,
                one.nulls == 0,
            )
            for name, one in features.items()
            if one.type is not FeatureType.CATEGORICAL
            and (one.min is not None or one.max is not None or one.nulls == 0)
        ]
        with np.errstate(over="ignore"):  # a bound beyond single precision is none
            self._lows, self._highs = (
                np.array([number[at] for number in self._numbers], dtype=np.float64).astype(np.float32)
                for at in (1, 2)
            )
        self._required = np.array([is_required for *_, is_required in self._numbers], dtype=bool)
        self._text = [
            (name, frozenset(one.values if one.nulls == 0 else (*one.values, None)))
            for name, one in features.items()
            if one.values is not None
        ]
        self._filled = [
            name
            for name, one in features.items()
            if one.type is FeatureType.CATEGORICAL and one.values is None and one.nulls == 0
        ]

    @property
    def checks(self) -> tuple[tuple[str, str], ...]:
        """Every feature and check that can be broken."""
        return tuple(
            (name, check)
            for name, one in self._features.items()
            for check in ("min", "max", "values", "nulls")
            if (getattr(one, check) == 0 if check == "nulls" else getattr(one, check) is not None)
        )

    def broken(self, request: InferRequest) -> list[Breach]:
        """Return what a request breaks; nothing nearly always, and then fast.

        The numbers of a batch are compared as the model sees them, in single precision: what breaks a bound
        by less than that is let in.
        """
        columns = request.columns
        wrong = self._one_row(columns) if request.rows == 1 else self._batch(columns, request.values)
        if not wrong:
            return []
        return [found for name in self._features if name in wrong for found in self._of(name, columns[name])]

    def problems(self, breaches: list[Breach]) -> Iterator[Problem]:
        """Tell the caller what must hold, and what was found."""
        for breach in breaches:
            more = f" and {breach.rows - 1} rows more" if breach.rows > 1 else ""
            where = f"inputs: {breach.feature}.data[{breach.row}]"
            yield Problem(where, self._must(breach), f"{breach.found!r}{more}")

    def _one_row(self, columns: Mapping[str, Column]) -> list[str]:
        """Return the names of the features that are wrong."""
        wrong = []
        for name, low, high, is_required in self._numbers:
            value = columns[name][0]
            if value is None:
                if is_required:
                    wrong.append(name)
            elif value < low or value > high:
                wrong.append(name)
        wrong += [name for name, allowed in self._text if columns[name][0] not in allowed]
        return wrong + [name for name in self._filled if columns[name][0] is None]

    def _batch(self, columns: Mapping[str, Column], asked: Values) -> list[str]:
        wrong = [name for name, allowed in self._text if not allowed.issuperset(columns[name])]
        wrong += [name for name in self._filled if None in columns[name]]
        if self._numbers:
            at = [asked.names.index(name) for name, *_ in self._numbers]
            values = asked.numbers[at].T
            odd = (values < self._lows) | (values > self._highs) | (np.isnan(values) & self._required)
            wrong += [self._numbers[at][0] for at in np.flatnonzero(odd.any(axis=0))]
        return wrong

    def _of(self, name: str, column: Column) -> Iterator[Breach]:
        found: dict[str, list[int]] = {}
        for row, value in enumerate(column):
            check = _broken_by(self._features[name], value)
            if check is not None:
                found.setdefault(check, []).append(row)
        for check, rows in found.items():
            yield Breach(name, check, len(rows), rows[0], column[rows[0]])

    def _must(self, breach: Breach) -> str:
        feature = self._features[breach.feature]
        match breach.check:
            case "min":
                return f"must be at least {feature.min:g}"
            case "max":
                return f"must be at most {feature.max:g}"
            case "nulls":
                return "must have a value"
        values = feature.values or ()
        shown = ", ".join(values[:_SHOWN_VALUES])
        return f"must be one of {shown}{', …' if len(values) > _SHOWN_VALUES else ''}"


def constraints(spec: ModelSpec) -> Constraints | None:
    """Return what is checked at a model's door; None if nothing is: `door` is off, or nothing is stated."""
    if spec.monitor.quality.door is Door.OFF:
        return None
    found = Constraints(spec.features)
    return found if found.checks else None


def header(breaches: list[Breach]) -> tuple[bytes, bytes]:
    """Return the response header that flags a request: ``feature;check=rows``, names percent-encoded."""
    told = [f"{quote(breach.feature)};{breach.check}={breach.rows}" for breach in breaches[:_MOST_IN_HEADER]]
    more = len(breaches) - _MOST_IN_HEADER
    return HEADER, ", ".join([*told, *([f"and {more} more"] if more > 0 else [])]).encode("ascii")


def _broken_by(feature: Feature, value: object) -> str | None:
    """Return the constraint that a value breaks."""
    if value is None:
        return "nulls" if feature.nulls == 0 else None
    if isinstance(value, str):
        return "values" if feature.values is not None and value not in feature.values else None
    if isinstance(value, int | float):
        if feature.min is not None and value < feature.min:
            return "min"
        if feature.max is not None and value > feature.max:
            return "max"
    return None
