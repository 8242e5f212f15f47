"""Hour, day of the week and day of the year of a moment, as the graph computes them: exactly.

A moment is a numeric feature, the time since 1970-01-01T00:00Z in seconds, minutes, hours or days. It is
served as float32, which until 2038 holds multiples of 128 s, 2 min, 1/32 h or 1/512 d: whole hours and days
are exact, and a moment in seconds is taken for one at most 64 s off, in training as in serving. From there
on nothing is rounded: the day is counted by Hinnant's ``civil_from_days`` ("chrono-Compatible Low-Level Date
Algorithms", 2013) in int64. Moments before 1900 or after 2199 count as the first or last of these.
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from onnx import TensorProto
from skl2onnx import update_registered_converter
from skl2onnx.common.data_types import FloatTensorType
from sklearn.base import BaseEstimator, TransformerMixin

from retraining.dataset.rows import IntArray

FloatMatrix = NDArray[np.float32]
SECONDS = {"s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
"""Seconds of each unit that a moment may be counted in."""
SIZES = {"hour": 24, "day_of_week": 7, "day_of_year": 366}
"""Values of each part, from 0 on: midnight, Monday, 1 January."""
_FIRST, _LAST = -2_208_988_800, 7_258_118_399  # 1900-01-01T00:00:00Z, 2199-12-31T23:59:59Z
_DAY, _HOUR = 86_400, 3600
_EPOCH = 719_468  # days from 0000-03-01, the origin of the algorithm, to 1970-01-01
_ERA, _CENTURY, _FOUR_YEARS, _YEAR = 146_097, 36_524, 1460, 365
_TO_NEW_YEAR = 306  # days from 1 March to 1 January


class CalendarParts(TransformerMixin, BaseEstimator):  # type: ignore[misc] # untyped bases
    """Turn a column of moments into parts of the calendar, in UTC; null stays null.

    Parameters
    ----------
    parts
        Keys of `SIZES`.
    unit
        Key of `SECONDS`.
    cyclic
        Sine and cosine of each part instead of its number, for models to which 23 and 0 are far apart.
    """

    def __init__(self, parts: tuple[str, ...], unit: str, *, cyclic: bool) -> None:
        self.parts = parts
        self.unit = unit
        self.cyclic = cyclic

    def fit(self, inputs: pd.DataFrame, _: object = None) -> Self:
        """Learn nothing."""
        self.n_features_in_ = inputs.shape[1]
        return self

    def transform(self, inputs: pd.DataFrame) -> FloatMatrix:
        """Return a column [n] a part, or two, of moments [n, 1]."""
        moments = np.asarray(inputs, "float32")[:, 0]
        known = ~np.isnan(moments)
        low, high = bounds(self.unit)
        clipped = np.clip(np.where(known, moments, np.float32(0)), low, high)
        found = _parts(np.floor(clipped.astype("float64") * SECONDS[self.unit]).astype("int64"))
        columns = [
            table(part)[found[part]] if self.cyclic else found[part].astype("float32")[:, None]
            for part in self.parts
        ]
        return np.where(known[:, None], np.hstack(columns), np.float32(np.nan))

    @property
    def width(self) -> int:
        """Columns that come out."""
        return len(self.parts) * (2 if self.cyclic else 1)


def bounds(unit: str) -> tuple[np.float32, np.float32]:
    """Return the first and the last moment that is told from others, in the unit."""
    return np.float32(_FIRST / SECONDS[unit]), np.float32(_LAST / SECONDS[unit])


def table(part: str) -> FloatMatrix:
    """Return sine and cosine [k, 2] of each of the k values of a part."""
    angles = 2 * np.pi * np.arange(SIZES[part]) / SIZES[part]
    return np.column_stack([np.sin(angles), np.cos(angles)]).astype("float32")


def _parts(seconds: IntArray) -> dict[str, IntArray]:
    since = seconds + _EPOCH * _DAY  # positive, so that dividing rounds down, in the graph as well
    days, of_day = since // _DAY, since % _DAY
    of_era = days % _ERA
    year = (of_era - of_era // _FOUR_YEARS + of_era // _CENTURY - of_era // (_ERA - 1)) // _YEAR
    of_year = of_era - (_YEAR * year + year // 4 - year // 100)  # from 1 March on
    leap = (year % 4 == 0) & ((year % 100 != 0) | (year == 0))
    from_march = of_year + (_YEAR - _TO_NEW_YEAR) + leap
    return {
        "hour": of_day // _HOUR,
        "day_of_week": (days + 2) % 7,
        "day_of_year": np.where(of_year < _TO_NEW_YEAR, from_march, of_year - _TO_NEW_YEAR),
    }


def register() -> None:
    """Teach skl2onnx the parts."""
    update_registered_converter(CalendarParts, CalendarParts.__name__, _shapes, _convert)


def _shapes(operator: Any) -> None:
    operator.outputs[0].type = FloatTensorType([None, operator.raw_operator.width])


def _convert(scope: Any, operator: Any, container: Any) -> None:
    made, graph = operator.raw_operator, _Nodes(scope, container)
    moments = operator.inputs[0].full_name
    unknown = graph.add("IsNaN", moments)
    zero, nan = graph.constant([0.0], "float32"), graph.constant([np.nan], "float32")
    filled = graph.add("Where", unknown, zero, moments)
    clipped = graph.add("Clip", filled, *(graph.constant(one, "float32") for one in bounds(made.unit)))
    wide = graph.add("Cast", clipped, to=TensorProto.DOUBLE)
    seconds = graph.add("Mul", wide, graph.constant([SECONDS[made.unit]], "float64"))
    whole = graph.add("Cast", graph.add("Floor", seconds), to=TensorProto.INT64)
    found = _part_nodes(graph, whole)
    columns = []
    for part in made.parts:
        if made.cyclic:
            looked_up = graph.add("Gather", graph.constant(table(part), "float32"), found[part], axis=0)
            columns.append(graph.add("Squeeze", looked_up, graph.constant([1], "int64")))
        else:
            columns.append(graph.add("Cast", found[part], to=TensorProto.FLOAT))
    together = graph.add("Concat", *columns, axis=1)
    graph.add("Where", unknown, nan, together, output=operator.outputs[0].full_name)


def _part_nodes(graph: _Nodes, seconds: str) -> dict[str, str]:
    """Add the nodes of `_parts`; return the name of each part's output [n, 1]."""
    since = graph.int("Add", seconds, _EPOCH * _DAY)
    days, of_day = graph.int("Div", since, _DAY), graph.int("Mod", since, _DAY)
    of_era = graph.int("Mod", days, _ERA)
    without = graph.add("Sub", of_era, graph.int("Div", of_era, _FOUR_YEARS))
    with_centuries = graph.add("Add", without, graph.int("Div", of_era, _CENTURY))
    counted = graph.add("Sub", with_centuries, graph.int("Div", of_era, _ERA - 1))
    year = graph.int("Div", counted, _YEAR)
    leaps = graph.add("Sub", graph.int("Div", year, 4), graph.int("Div", year, 100))
    of_year = graph.add("Sub", of_era, graph.add("Add", graph.int("Mul", year, _YEAR), leaps))
    fourth = graph.int("Equal", graph.int("Mod", year, 4), 0)
    century = graph.int("Equal", graph.int("Mod", year, 100), 0)
    ordinary = graph.add("Or", graph.add("Not", century), graph.int("Equal", year, 0))
    leap = graph.add("Cast", graph.add("And", fourth, ordinary), to=TensorProto.INT64)
    from_march = graph.add("Add", graph.int("Add", of_year, _YEAR - _TO_NEW_YEAR), leap)
    before = graph.int("Less", of_year, _TO_NEW_YEAR)
    after = graph.int("Sub", of_year, _TO_NEW_YEAR)
    return {
        "hour": graph.int("Div", of_day, _HOUR),
        "day_of_week": graph.int("Mod", graph.int("Add", days, 2), 7),
        "day_of_year": graph.add("Where", before, from_march, after),
    }


class _Nodes:
    """Adds nodes and constants under names of their own."""

    def __init__(self, scope: Any, container: Any) -> None:
        self._scope, self._container = scope, container

    def add(self, kind: str, *inputs: str, output: str | None = None, **attributes: Any) -> str:
        """Add a node with one output, and return the output's name."""
        made = output or self._scope.get_unique_variable_name(kind.lower())
        name = self._scope.get_unique_operator_name(kind)
        self._container.add_node(kind, list(inputs), [made], name=name, **attributes)
        return made

    def int(self, kind: str, left: str, right: int) -> str:
        """Add a node of an int64 and a constant."""
        return self.add(kind, left, self.constant([right], "int64"))

    def constant(self, values: Any, dtype: str) -> str:
        """Add a constant."""
        array = np.asarray(values, dtype)
        kind = {
            "float32": TensorProto.FLOAT,
            "float64": TensorProto.DOUBLE,
            "int64": TensorProto.INT64,
        }[dtype]
        name = self._scope.get_unique_variable_name("constant")
        self._container.add_initializer(name, kind, list(array.shape), array.ravel().tolist())
        return str(name)
