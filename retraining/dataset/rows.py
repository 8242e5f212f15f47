"""From a table of rows to what a model is given: the same representation in training and in serving.

Numbers and booleans become float32 with NaN for null, categories become strings with ``""`` for null.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spec import DataError, FeatureType, ModelSpec, Problem, Task, did_you_mean

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
_REAL = (FeatureType.NUMERIC, FeatureType.BOOLEAN)


def inputs(spec: ModelSpec, frame: pd.DataFrame) -> pd.DataFrame:
    """Return the features in the model's order, as the served graph gets them.

    Parameters
    ----------
    frame
        [n, …] with at least the feature columns, null where missing.

    Returns
    -------
    [n, features]; float32 for numeric and boolean, object of `str` for categorical, the same index.
    """
    columns = {}
    for name, feature in spec.features.items():
        column = frame[name]
        if feature.type in _REAL:
            columns[name] = pd.Series(column.to_numpy("float64", na_value=np.nan), frame.index).astype(
                "float32"
            )
        else:
            text = column.astype(object)
            columns[name] = text.where(text.notna(), "")
    return pd.DataFrame(columns, index=frame.index)


def target(spec: ModelSpec, frame: pd.DataFrame) -> FloatArray | IntArray:
    """Return the truth [n]: 0 or 1, the index in ``data.target.classes``, or float64 for regression."""
    column = frame[spec.data.target.name]
    if spec.task is Task.REGRESSION:
        return column.to_numpy("float64")
    if spec.task is Task.BINARY:
        return column.to_numpy("int64")
    return np.asarray(pd.Index(spec.data.target.classes or ()).get_indexer(pd.Index(column)), "int64")


def check(spec: ModelSpec, frame: pd.DataFrame, where: str) -> None:
    """Raise `DataError` with every column that is missing or holds something else than the spec says.

    The target may be missing from the frame only if the caller does not need it: give `frame` without
    checking then. Its values must not be null.
    """
    problems = [*_features(spec, frame, where), *_target(spec, frame, where)]
    if problems:
        raise DataError(problems)


def _features(spec: ModelSpec, frame: pd.DataFrame, where: str) -> Iterator[Problem]:
    for name, feature in spec.features.items():
        place = f"{where}: column {name!r}"
        if name not in frame:
            yield Problem(
                place, "must be there", "no such column", did_you_mean(name, map(str, frame.columns))
            )
        elif feature.type in _REAL and not _is_real(frame[name]):
            yield Problem(place, f"must be {feature.type}", str(frame[name].dtype))
        elif feature.type in _REAL and (count := _infinite(frame[name])):
            hint = "A value that is not known is null"
            yield Problem(place, "must be null or fit into float32", f"{count} infinite values", hint)
        elif feature.type is FeatureType.CATEGORICAL and not _is_text(frame[name]):
            hint = "A category is served as a string; convert the column with astype(str)"
            yield Problem(place, "must hold strings", str(frame[name].dtype), hint)


def _target(spec: ModelSpec, frame: pd.DataFrame, where: str) -> Iterator[Problem]:
    name = spec.data.target.name
    place = f"{where}: column {name!r}"
    if name not in frame:
        yield Problem(place, "must be there", "no such column", did_you_mean(name, map(str, frame.columns)))
        return
    column = frame[name]
    if column.isna().any():
        yield Problem(place, "must have a label in every row", f"{int(column.isna().sum())} nulls")
        return
    found = _foreign(spec, column)
    if found:
        must = {
            Task.BINARY: "must be true or false (or 1 and 0)",
            Task.MULTICLASS: f"must be one of {', '.join(spec.data.target.classes or ())}",
            Task.REGRESSION: "must be a finite number",
        }[spec.task]
        yield Problem(place, must, ", ".join(found[:5]))


def _foreign(spec: ModelSpec, column: pd.Series[Any]) -> list[str]:
    """Return the values that are no label of the task, as text."""
    if spec.task is Task.REGRESSION:
        if not _is_real(column):
            return [str(column.dtype)]
        values = column.to_numpy("float64")
        return [str(value) for value in np.unique(values[~np.isfinite(values)])]
    known = (False, True) if spec.task is Task.BINARY else spec.data.target.classes or ()
    return sorted(repr(value) for value in column.unique() if value not in known)


def _infinite(column: pd.Series[Any]) -> int:
    """Count the values that are infinite, or become so in the float32 that is served."""
    values = column.to_numpy("float64", na_value=np.nan)
    return int((np.abs(values) > np.finfo(np.float32).max).sum())


def _is_real(column: pd.Series[Any]) -> bool:
    if column.dtype == object:
        return all(isinstance(value, bool | int | float | np.number) for value in column.dropna().unique())
    return pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column)


def _is_text(column: pd.Series[Any]) -> bool:
    return all(isinstance(value, str) for value in column.dropna().unique())
