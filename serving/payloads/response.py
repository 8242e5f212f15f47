"""The scores of a logged response: V1 (`predictions`) or V2 (`outputs`)."""

from __future__ import annotations

from math import prod
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from serving.payloads.request import json_object
from serving.tensors import json_name
from spec import ModelSpec, Problem, RequestError, Task

_NAMES = ("probabilities", "predict_proba", "value")
_FLOATS = ("FP64", "FP32", "FP16")
_MATRIX = 2
_ROUNDING = 1e-6
_LABELS = "Serve probabilities: labels say nothing of how sure the model is"


class Scores(NamedTuple):
    """What the log holds of a response's outputs; `values` lie flat, row by row."""

    rows: int
    values: list[float]
    version: str | None
    """V2's ``model_version``."""


class Responses:
    """Reads the responses of one model."""

    def __init__(self, spec: ModelSpec) -> None:
        self._task = spec.task
        self._classes = len(spec.data.target.classes or ())

    def read(self, data: bytes) -> Scores:
        """Read a response's body.

        Raises
        ------
        RequestError
            It holds no scores of this model's task.
        """
        content = json_object(data)
        version = content.get("model_version")
        if "predictions" in content:
            where, found = "predictions", _array("predictions", content["predictions"])
        else:
            where, found = _output(content.get("outputs"))
        scores = self._scores(where, found)
        known = version if isinstance(version, str) and version else None
        return Scores(len(scores), scores.ravel().tolist(), known)

    def _scores(self, where: str, found: NDArray[Any]) -> NDArray[np.float64]:
        """Return [rows, k] as the log has them: P(positive), P(class), …, or the value."""
        if found.ndim == 1:
            found = found[:, np.newaxis]
        allowed = {Task.BINARY: (1, 2), Task.MULTICLASS: (self._classes,), Task.REGRESSION: (1,)}[self._task]
        if found.ndim != _MATRIX or found.shape[1] not in allowed or not len(found):
            must = f"must hold {' or '.join(map(str, allowed))} values a row for a {self._task} model"
            raise RequestError([Problem(where, must, f"shape {list(found.shape)}")])
        scores = found.astype(np.float64)
        if not np.isfinite(scores).all():
            raise RequestError([Problem(where, "must hold finite numbers", "others")])
        if self._task is Task.REGRESSION:
            return scores
        if found.dtype.kind in "iu":
            raise RequestError([Problem(where, "must hold probabilities", "whole numbers", _LABELS)])
        if (scores < -_ROUNDING).any() or (scores > 1 + _ROUNDING).any():
            raise RequestError([Problem(where, "must hold probabilities", "values beyond 0 and 1", _LABELS)])
        scores = scores.clip(0, 1)
        return scores[:, -1:] if self._task is Task.BINARY else scores


def _output(outputs: object) -> tuple[str, NDArray[Any]]:
    """Return V2's output of the scores: by its name, or the only one of floating-point numbers."""
    if not isinstance(outputs, list):
        raise RequestError([Problem("outputs", "must be a list of tensors", json_name(outputs))])
    tensors = {
        str(one.get("name")): one
        for one in outputs
        if isinstance(one, dict) and one.get("datatype") in _FLOATS
    }
    name = next((name for name in _NAMES if name in tensors), None)
    if name is None and len(tensors) == 1:
        name = next(iter(tensors))
    if name is None:
        must = f"must hold one tensor of {', '.join(_FLOATS)}, or one named {', '.join(_NAMES)}"
        raise RequestError([Problem("outputs", must, ", ".join(tensors) or "none", _LABELS)])
    where, tensor = f"outputs: {name}", tensors[name]
    values = _array(f"{where}.data", tensor.get("data")).astype(np.float64)
    shape: Any = tensor.get("shape")
    is_shape = isinstance(shape, list) and all(type(edge) is int and edge >= 0 for edge in shape)
    if not is_shape or prod(shape) != values.size:
        must = f"must be a shape of {values.size} values"
        raise RequestError([Problem(f"{where}.shape", must, repr(shape)[:60])])
    return where, values.reshape(shape)


def _array(where: str, values: object) -> NDArray[Any]:
    """Return numbers as they are nested."""
    must = "must be a list of numbers, or of lists of as many numbers each"
    if not isinstance(values, list):
        raise RequestError([Problem(where, must, json_name(values))])
    try:
        found = np.array(values)
    except (ValueError, OverflowError) as error:
        raise RequestError([Problem(where, must, str(error))]) from error
    if found.dtype.kind not in "iuf":
        raise RequestError([Problem(where, must, "something else")])
    return found
