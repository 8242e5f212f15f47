"""Rows that cannot be right are told at the door: what `features` of the spec state, checked on each request.

Only what a row can break by itself is checked: `min`, `max`, `values`, and `nulls: 0`. Shares, uniqueness and
units are the monitors' work. One row is compared in Python, which is faster than NumPy for a single one; a
batch at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import isnan
from typing import NamedTuple
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from serving.protocol import InferRequest
from serving.values import Values
from spec import Feature, FeatureType, ModelSpec, Problem
from spec.quality import Door

HEADER = b"x-trimtab-quality"
_MOST_IN_HEADER = 20
_SHOWN_VALUES = 5


_Odd = dict[str, NDArray[np.bool_]]


class Breach(NamedTuple):
    """Rows of a request that break one constraint, a key in the spec; `row` and `found` are the first's."""

    feature: str
    check: str
    rows: int
    row: int
    found: object


class Constraints:
    """What one model's features state, prepared once.

    Numbers are compared as the model sees them, in single precision: what breaks a bound by less is let in.

    Parameters
    ----------
    features
        By name, in the model's order.
    """

    def __init__(self, features: Mapping[str, Feature]) -> None:
        self._features = features
        numeric = [one for one in features.values() if one.type is not FeatureType.CATEGORICAL]
        with np.errstate(over="ignore"):  # a bound beyond single precision is none
            self._lows = np.array([-np.inf if one.min is None else one.min for one in numeric], np.float32)
            self._highs = np.array([np.inf if one.max is None else one.max for one in numeric], np.float32)
        self._required = np.array([one.nulls == 0 for one in numeric], dtype=bool)
        bounds = zip(self._lows.tolist(), self._highs.tolist(), self._required.tolist(), strict=True)
        self._bounds = list(bounds)
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
        """Return what a request breaks; nothing nearly always, and then fast."""
        values = request.values
        wrong = self._one_row(values) if request.rows == 1 else self._batch(values)
        if not wrong:
            return []
        return [found for name in self._features if name in wrong for found in self._of(name, values)]

    def problems(self, breaches: list[Breach]) -> Iterator[Problem]:
        """Tell the caller what must hold, and what was found."""
        for breach in breaches:
            more = f" and {breach.rows - 1} rows more" if breach.rows > 1 else ""
            where = f"inputs: {breach.feature}.data[{breach.row}]"
            yield Problem(where, self._must(breach), f"{breach.found!r}{more}")

    def _one_row(self, values: Values) -> set[str]:
        """Return the names of the features that are wrong."""
        wrong = set()
        for at, (value, (low, high, is_required)) in enumerate(
            zip(values.numbers[:, 0].tolist(), self._bounds, strict=True)
        ):
            if not low <= value <= high and (is_required or not isnan(value)):
                wrong.add(values.names[at])
        text = values.text
        wrong.update(name for name, allowed in self._text if text[name][0] not in allowed)
        wrong.update(name for name in self._filled if text[name][0] is None)
        return wrong

    def _batch(self, values: Values) -> set[str]:
        text = values.text
        wrong = {name for name, allowed in self._text if not allowed.issuperset(text[name])}
        wrong.update(name for name in self._filled if None in text[name])
        numbers = values.numbers.T
        odd = (numbers < self._lows) | (numbers > self._highs) | (np.isnan(numbers) & self._required)
        wrong.update(values.names[at] for at in np.flatnonzero(odd.any(axis=0)).tolist())
        return wrong

    def _of(self, name: str, values: Values) -> Iterator[Breach]:
        is_text = name in values.text
        column, odd = self._text_breaks(name, values) if is_text else self._number_breaks(name, values)
        for check, rows in odd.items():
            if rows.any():
                first = int(rows.argmax())
                yield Breach(name, check, int(rows.sum()), first, column[first])

    def _text_breaks(self, name: str, values: Values) -> tuple[Sequence[object], _Odd]:
        column, feature = values.text[name], self._features[name]
        missing = np.array([text is None for text in column])
        strange = np.array([feature.values is not None and text not in feature.values for text in column])
        return column, {"values": strange & ~missing, "nulls": missing & (feature.nulls == 0)}

    def _number_breaks(self, name: str, values: Values) -> tuple[Sequence[object], _Odd]:
        at = values.names.index(name)
        numbers = values.numbers[at]
        odd = {"min": numbers < self._lows[at], "max": numbers > self._highs[at]}
        odd["nulls"] = np.isnan(numbers) & self._required[at]
        return [_as_sent(value) for value in values.exact[at].tolist()], odd

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


def _as_sent(value: float) -> float | None:
    """Return a number as JSON has it."""
    return None if isnan(value) else int(value) if value.is_integer() else value
