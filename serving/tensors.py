"""Named tensors of a request, checked against the model's features and turned into columns."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving.values import Values
from spec import Feature, FeatureType, Problem, did_you_mean

Column = list[Any] | NDArray[Any]
"""One feature's values: as JSON has them, or numbers or truth values that came as bytes, NaN for null."""

_INTEGERS = {f"{sign}INT{bits}": bits for sign in ("", "U") for bits in (8, 16, 32, 64)}
_FLOATS = ("FP64", "FP32", "FP16")
_NULL: type = type(None)
_DATATYPES: dict[FeatureType, dict[str, frozenset[type]]] = {
    FeatureType.NUMERIC: dict.fromkeys(_FLOATS, frozenset({int, float, _NULL}))
    | dict.fromkeys(_INTEGERS, frozenset({int, _NULL})),
    FeatureType.CATEGORICAL: {"BYTES": frozenset({str, _NULL})},
    FeatureType.BOOLEAN: {"BOOL": frozenset({bool, _NULL})},
}
_WORDS = {
    FeatureType.NUMERIC: "numbers or null",
    FeatureType.CATEGORICAL: "strings or null",
    FeatureType.BOOLEAN: "true, false or null",
}
_JSON_NAMES = {
    str: "a string",
    bool: "a boolean",
    int: "an integer",
    float: "a number",
    list: "a list",
    dict: "an object",
    _NULL: "null",
}


class Tensors:
    """The checks of one model's features, prepared once."""

    def __init__(self, features: Mapping[str, Feature]) -> None:
        self._kinds = {name: feature.type for name, feature in features.items()}
        self._accepted = {name: _DATATYPES[kind] for name, kind in self._kinds.items()}
        self._names = list(features)
        categorical = FeatureType.CATEGORICAL
        self._usual = [
            (
                {sent: allowed for sent, allowed in self._accepted[name].items() if sent not in _INTEGERS},
                kind is FeatureType.NUMERIC,
            )
            for name, kind in self._kinds.items()
        ]
        self._text = [name for name, kind in self._kinds.items() if kind is categorical]
        self._numbers = [name for name, kind in self._kinds.items() if kind is not categorical]

    def metadata(self) -> list[dict[str, Any]]:
        """Describe the inputs; the datatype is the one a feature is best sent as."""
        return [
            {"name": name, "datatype": next(iter(accepted)), "shape": [-1, 1]}
            for name, accepted in self._accepted.items()
        ]

    def read(self, inputs: object, problems: list[Problem], *, has_truths: bool) -> tuple[Values | None, int]:
        """Check the tensors of a request against the features, and turn them into values.

        Parameters
        ----------
        inputs
            The request's ``inputs``: a tensor a feature, shape [rows] or [rows, 1], flat or nested data.
        problems
            Everything that is wrong is added here; the result is only meaningful if nothing was.
        has_truths
            Whether ``true`` or ``false`` may be among the data; where they are not, what can be packed as a
            number is one, which costs less than to ask each for its type.

        Returns
        -------
        tuple
            The values, and the number of rows ≥ 1.
        """
        if not has_truths and type(inputs) is list:
            usual = self._as_usual(inputs, are_checked=False)
            values = self._packed(*usual) if usual is not None else None
            if usual is not None and values is not None:
                return values, usual[1]
        known = len(problems)
        columns, rows = self.columns(inputs, problems)
        return (None if problems[known:] else self.values(columns, rows, problems)), rows

    def columns(self, inputs: object, problems: list[Problem]) -> tuple[dict[str, Column], int]:
        """Check the tensors of a request as `read` does; return the values as they came.

        Returns
        -------
        tuple
            One column of `rows` values for each feature, in the features' order; and `rows` ≥ 1.
        """
        if type(inputs) is not list:
            problems.append(Problem("inputs", "must be a list of tensors", json_name(inputs)))
            return {}, 0
        usual = self._as_usual(inputs, are_checked=True)
        if usual is not None:
            return usual
        found: dict[str, Column | None] = dict.fromkeys(self._kinds)
        seen: set[str] = set()
        rows, good_shape = 0, None
        for index, tensor in enumerate(inputs):
            name = tensor.get("name") if type(tensor) is dict else None
            if type(name) is not str or name not in found or name in seen:
                problems.append(self._misnamed(index, tensor))
                continue
            seen.add(name)
            shape = tensor.get("shape")
            count = rows if shape == good_shape and rows else _rows(name, shape, rows, problems)
            if count and not rows:
                rows, good_shape = count, shape
            column = self._column(name, tensor, problems)
            if column is not None and count and _fits(name, column, count, problems):
                found[name] = column
        missing = (f"inputs: {name}" for name in found if name not in seen)
        problems += [Problem(where, "must be given", "no tensor of that name") for where in missing]
        return {name: column for name, column in found.items() if column is not None}, rows

    def values(self, found: Mapping[str, Column], rows: int, problems: list[Problem]) -> Values:
        """Turn columns into values; what is beyond single precision is added to `problems`."""
        values = self._packed(found, rows)
        if values is not None:
            return values
        exact = np.empty((len(self._numbers), rows))
        for at, name in enumerate(self._numbers):
            exact[at] = found[name]
        with np.errstate(over="ignore"):
            numbers = exact.astype(np.float32)
        infinite = np.isinf(numbers)
        for name, row in zip(self._numbers, infinite, strict=True):
            if row.any():
                value = found[name][int(row.argmax())]
                sent = value.item() if isinstance(value, np.generic) else value
                problems.append(Problem(f"inputs: {name}", "must fit a 32-bit float", repr(sent)))
        return Values(self._numbers, exact, numbers, {name: list(found[name]) for name in self._text})

    def _packed(self, found: Mapping[str, Column], rows: int) -> Values | None:
        """Return what `values` would, in less time; None where a value is null, no number, or too large."""
        columns = [found[name] for name in self._numbers]
        count = len(columns) * rows
        try:
            # NumPy would take a string for the number that it spells: lists are packed, which refuses it.
            if columns and type(columns[0]) is not list and list not in map(type, columns):
                exact = np.array(columns, dtype=np.float64).reshape(-1, rows)
            else:
                packed = struct.pack(f"<{count}d", *chain.from_iterable(columns))
                exact = np.frombuffer(packed).reshape(-1, rows)
            if rows == 1:
                single = struct.pack(f"<{count}f", *exact[:, 0].tolist())
                numbers = np.frombuffer(single, np.float32).reshape(-1, 1)
            else:
                with np.errstate(over="raise"):
                    numbers = exact.astype(np.float32)
        except (struct.error, OverflowError, FloatingPointError, TypeError, ValueError):
            return None
        if np.isinf(numbers).any():
            return None
        return Values(self._numbers, exact, numbers, {name: list(found[name]) for name in self._text})

    def _as_usual(self, inputs: list[Any], *, are_checked: bool) -> tuple[dict[str, Column], int] | None:
        """Return what `columns` would of tensors as nearly all clients send them; None of any others.

        Usual are all features in order, of one shape, flat, numbers as floating point. Whether lists of
        numbers hold numbers is looked at only if they `are_checked`.
        """
        columns: list[Column] = []
        try:
            shape = inputs[0]["shape"]
            rows = _rows("", shape, 0, [])
            if not rows or [tensor["name"] for tensor in inputs] != self._names:
                return None
            for (usual, is_number), tensor in zip(self._usual, inputs, strict=True):
                column, allowed = tensor["data"], usual[tensor["datatype"]]
                if len(column) != rows or tensor["shape"] != shape:
                    return None
                if type(column) is list:
                    if (are_checked or not is_number) and not allowed.issuperset(map(type, column)):
                        return None
                elif type(column) is not np.ndarray:
                    return None
                columns.append(column)
        except (KeyError, TypeError, IndexError):
            return None
        return dict(zip(self._names, columns, strict=True)), rows

    def _misnamed(self, index: int, tensor: object) -> Problem:
        where = f"inputs[{index}]"
        if not isinstance(tensor, dict):
            must = "must be a tensor {name, shape, datatype, data}"
            return Problem(where, must, json_name(tensor))
        name = tensor.get("name")
        if not isinstance(name, str):
            return Problem(f"{where}.name", "must be the name of a feature", json_name(name))
        if name in self._kinds:
            return Problem(f"{where}: {name}", "must be given once", "a second tensor of that name")
        return Problem(where, "must be a feature of the model", repr(name), did_you_mean(name, self._kinds))

    def _column(self, name: str, tensor: Mapping[str, Any], problems: list[Problem]) -> Column | None:
        """Return the tensor's values as a flat list of the right JSON types, or None."""
        accepted = self._accepted[name]
        sent = tensor.get("datatype")
        allowed = accepted.get(sent) if type(sent) is str else None
        if allowed is None:
            must = f"must be {', '.join(accepted)} for a {self._kinds[name]} feature"
            problems.append(Problem(f"inputs: {name}.datatype", must, _shown(sent)))
        data = tensor.get("data")
        if type(data) is np.ndarray:
            return data if allowed is not None else None
        if type(data) is not list:
            problems.append(_no_data(name, tensor))
            return None
        if data and type(data[0]) is list:
            data = _flat(name, data, tensor.get("shape"), problems)
        if allowed is None or data is None:
            return None
        if not allowed.issuperset(map(type, data)):
            wrong = next(index for index, value in enumerate(data) if type(value) not in allowed)
            must = f"must hold {'whole ' if sent in _INTEGERS else ''}{_WORDS[self._kinds[name]]}"
            problems.append(Problem(f"inputs: {name}.data[{wrong}]", must, _shown(data[wrong])))
            return None
        return data if sent not in _INTEGERS or _in_range(name, str(sent), data, problems) else None


def json_name(value: object) -> str:
    """Name a JSON value's type the way JSON does."""
    return _JSON_NAMES[type(value)]


def _rows(name: str, shape: object, rows: int, problems: list[Problem]) -> int:
    """Return the rows that the shape tells of, or 0 if it is wrong."""
    match shape:
        case [int(count)] | [int(count), 1] if type(count) is int and count > 0:
            if rows in (0, count):
                return count
            must = f"must have as many rows as the first tensor, {rows}"
        case _:
            must = "must be [rows] or [rows, 1] with at least one row"
    problems.append(Problem(f"inputs: {name}.shape", must, _shown(shape)))
    return 0


def _no_data(name: str, tensor: Mapping[str, Any]) -> Problem:
    parameters = tensor.get("parameters")
    if isinstance(parameters, dict) and "binary_data_size" in parameters:
        hint = "Name the bytes of the JSON in the header Inference-Header-Content-Length"
        return Problem(f"inputs: {name}", "must carry its data", "a binary tensor without that header", hint)
    return Problem(f"inputs: {name}.data", "must be a list of values", json_name(tensor.get("data")))


def _flat(name: str, data: list[Any], shape: object, problems: list[Problem]) -> list[Any] | None:
    """Flatten data that is nested as its shape [rows, 1] says."""
    if isinstance(shape, list) and len(shape) == 1:
        problems.append(
            Problem(f"inputs: {name}.data", f"must be flat for the shape {shape}", "nested lists")
        )
        return None
    for index, row in enumerate(data):
        if type(row) is not list or len(row) != 1:
            must = "must be a list of one value, as the first row is"
            problems.append(Problem(f"inputs: {name}.data[{index}]", must, _shown(row)))
            return None
    return [row[0] for row in data]


def _in_range(name: str, sent: str, data: list[Any], problems: list[Problem]) -> bool:
    bits = _INTEGERS[sent]
    low, high = (0, 2**bits - 1) if sent[0] == "U" else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    for index, value in enumerate(data):
        if value is not None and not low <= value <= high:
            problems.append(Problem(f"inputs: {name}.data[{index}]", f"must fit {sent}", repr(value)))
            return False
    return True


def _fits(name: str, column: Column, count: int, problems: list[Problem]) -> bool:
    if len(column) == count:
        return True
    must = f"must hold {count} value{'' if count == 1 else 's'}, as the shape says"
    problems.append(Problem(f"inputs: {name}.data", must, f"{len(column)}"))
    return False


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."  # noqa: PLR2004 - keeps an error one line long
