"""One version in memory: an ONNX Runtime session that is known to fit the spec, and warm."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from serving.protocol import Prediction
from serving.session import open_session, provider_of
from spec import DataError, FeatureType, ModelSpec, Problem, Task, TrimtabError
from spec.serving import Provider

_ELEMENT = {
    FeatureType.NUMERIC: "tensor(float)",
    FeatureType.BOOLEAN: "tensor(float)",
    FeatureType.CATEGORICAL: "tensor(string)",
}
_CLASSIFIER = ("label", "probabilities")
_REGRESSOR = ("variable",)
_RESULT = {"label": "tensor(int64)", "probabilities": "tensor(float)", "variable": "tensor(float)"}
_WARM_UP_RUNS = 20
_WARM_UP_S = 0.5
_MANY_ROWS = 64
_GAIN_S = 10e-6


class NoAnswer(TrimtabError):
    """The model ran and answered something that is not a finite number."""


class OnnxModel:
    """A session that answers a slot's requests.

    Parameters
    ----------
    providers
        What runs it, the best first; the CPU where none of them is there.

    Raises
    ------
    DataError
        When the file is no ONNX model or its graph is not what the spec says, with every difference.
    """

    def __init__(self, file: Path, spec: ModelSpec, providers: Sequence[Provider] = ("cpu",)) -> None:
        self._spec = spec
        self._session = open_session(file, providers, spec.serving.threads)
        problems = list(_differences(self._session, file, spec))
        if problems:
            raise DataError(problems)
        self._outputs = list(_REGRESSOR if spec.task is Task.REGRESSION else _CLASSIFIER)
        self.provider = provider_of(self._session)
        """What it runs on."""
        self.size_bytes = sum(part.stat().st_size for part in file.parent.glob(f"{file.name}*"))
        self._check_shapes(file)
        self.row_seconds = self._seconds(1)
        """Median time of a one-row prediction."""
        self.gains_together = self.row_seconds - self._seconds(_MANY_ROWS) / _MANY_ROWS > _GAIN_S
        """Whether a row among many takes so much less than a row alone that requests are worth joining."""

    def predict(self, feeds: dict[str, NDArray[Any]]) -> Prediction:
        """Score rows.

        Raises
        ------
        TrimtabError
            When the model fails; `NoAnswer` when it answers something that is not a finite number.
        """
        try:
            results = self._session.run(self._outputs, feeds)
        except Exception as error:
            msg = f"The model failed: {error}"
            raise TrimtabError(msg) from error
        scores = results[-1]
        if not np.isfinite(scores).all():
            msg = "The model answered something that is not a finite number"
            raise NoAnswer(msg)
        if self._spec.task is Task.REGRESSION:
            return Prediction(None, scores.reshape(-1, 1))
        return Prediction(results[0].tolist(), scores)

    def _check_shapes(self, file: Path) -> None:
        """Score rows of zeros; the first runs allocate, and a graph that cannot run must show it now."""
        for rows in (1, _MANY_ROWS):
            scores = self.predict(self._zero_rows(rows)).scores
            if scores.shape != (rows, self._width()):
                must = f"must score {rows} rows as [{rows}, {self._width()}]"
                raise DataError([Problem(f"{file}: {self._outputs[-1]}", must, str(list(scores.shape)))])

    def _seconds(self, rows: int) -> float:
        """Return the median time of a prediction of so many rows."""
        feeds = self._zero_rows(rows)
        seconds: list[float] = []
        while len(seconds) < _WARM_UP_RUNS and sum(seconds) < _WARM_UP_S:
            started = time.perf_counter()
            self.predict(feeds)
            seconds.append(time.perf_counter() - started)
        return float(np.median(seconds))

    def _width(self) -> int:
        classes = self._spec.data.target.classes
        return {Task.BINARY: 2, Task.REGRESSION: 1}.get(self._spec.task, len(classes or ()))

    def _zero_rows(self, rows: int) -> dict[str, NDArray[Any]]:
        text = np.full((rows, 1), "", dtype=object)
        numbers = np.zeros((rows, 1), dtype=np.float32)
        return {
            name: text if feature.type is FeatureType.CATEGORICAL else numbers
            for name, feature in self._spec.features.items()
        }


def _differences(session: ort.InferenceSession, file: Path, spec: ModelSpec) -> Iterator[Problem]:
    graph = {node.name: node for node in session.get_inputs()}
    for name, feature in spec.features.items():
        where, element = f"{file}: input {name}", _ELEMENT[feature.type]
        if name not in graph:
            known = ", ".join(graph)
            yield Problem(where, "must exist for the feature of that name", f"inputs {known}")
            continue
        node = graph[name]
        if node.type != element:
            yield Problem(where, f"must be {element} for a {feature.type} feature", node.type)
        if len(node.shape) != 2 or isinstance(node.shape[0], int) or node.shape[1] != 1:  # noqa: PLR2004
            yield Problem(where, "must have the shape [rows, 1] with any number of rows", str(node.shape))
    for name in graph.keys() - spec.features.keys():
        hint = "Retrain the model, or put the feature back into the YAML"
        yield Problem(f"{file}: input {name}", "must be a feature of the spec", "no such feature", hint)
    outputs = {node.name: node.type for node in session.get_outputs()}
    for name in _REGRESSOR if spec.task is Task.REGRESSION else _CLASSIFIER:
        if name not in outputs:
            listed = ", ".join(sorted(outputs))
            yield Problem(f"{file}: output {name}", f"must exist for {spec.task}", f"outputs {listed}")
        elif outputs[name] != _RESULT[name]:
            yield Problem(f"{file}: output {name}", f"must be {_RESULT[name]}", outputs[name])
