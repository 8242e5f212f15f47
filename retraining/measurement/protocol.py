"""The Open Inference Protocol V2 in JSON, from a client's side."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from retraining.dataset.rows import FloatArray
from spec import FeatureType, ModelSpec, Refused, Task

_DATATYPES = {
    FeatureType.NUMERIC: "FP32",
    FeatureType.BOOLEAN: "BOOL",
    FeatureType.CATEGORICAL: "BYTES",
}


def request(spec: ModelSpec, inputs: pd.DataFrame) -> bytes:
    """Return the body of a request.

    Parameters
    ----------
    inputs
        [n ≥ 1, features], as of `retraining.dataset.rows.inputs`; what is missing there is null here.
    """
    return json.dumps({"inputs": list(_tensors(spec, inputs))}).encode()


def scores(task: Task, body: bytes) -> FloatArray:
    """Return the scores of an answer, as of `retraining.graphs.scorer.Scorer.predict`.

    Raises
    ------
    Refused
        The body is no answer of a model of this task.
    """
    wanted = "value" if task is Task.REGRESSION else "probabilities"
    try:
        tensors = {tensor["name"]: tensor for tensor in json.loads(body)["outputs"]}
        found = np.array(tensors[wanted]["data"], "float64").reshape(tensors[wanted]["shape"])
    except (ValueError, KeyError, TypeError) as error:
        msg = f"The model server's answer holds no {wanted}: {body[:200]!r}"
        raise Refused(msg) from error
    return found[:, 1] if task is Task.BINARY else found


def _tensors(spec: ModelSpec, inputs: pd.DataFrame) -> Iterator[dict[str, Any]]:
    for name, feature in spec.features.items():
        data = _values(feature.type, inputs[name])
        yield {"name": name, "shape": [len(data)], "datatype": _DATATYPES[feature.type], "data": data}


def _values(kind: FeatureType, column: pd.Series[Any]) -> list[object]:
    if kind is FeatureType.CATEGORICAL:
        return [value or None for value in column]
    spell = bool if kind is FeatureType.BOOLEAN else _shortest
    return [None if np.isnan(value) else spell(value) for value in column.to_numpy()]


def _shortest(value: np.float32) -> float:
    """Return the shortest decimal that is this value in single precision, as callers send it."""
    return float(str(value))
