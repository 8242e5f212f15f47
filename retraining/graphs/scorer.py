"""Score rows with an ONNX model exactly as the model server does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pandas as pd
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as state

from retraining.dataset.rows import FloatArray
from spec import DataError, Problem, Refused, Task

_BATCH = 10_000
_FAILURES = (
    state.Fail,
    state.InvalidArgument,
    state.InvalidGraph,
    state.NotImplemented,
    state.RuntimeException,
)


class Scorer:
    """An ONNX Runtime session of a model's graph.

    Parameters
    ----------
    task
        What the outputs mean.
    model
        The file, or its bytes.
    threads
        Threads of one call; 1 is what the model server uses.

    Raises
    ------
    Refused
        On construction or by a call: ONNX Runtime cannot execute the graph.
    """

    def __init__(self, task: Task, model: Path | bytes, *, threads: int = 1) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 4  # failures are raised; no need to print them too
        source = model if isinstance(model, bytes) else str(model)
        try:
            self._session = ort.InferenceSession(source, options, providers=["CPUExecutionProvider"])
        except _FAILURES as error:
            msg = f"ONNX Runtime cannot load the model: {' '.join(str(error).split())}"
            raise Refused(msg) from error
        self._task = task
        self._names = [node.name for node in self._session.get_inputs()]

    def feeds(self, inputs: pd.DataFrame) -> dict[str, NDArray[Any]]:
        """Return the graph's inputs, each [n, 1], from what `retraining.dataset.rows.inputs` made."""
        absent = [name for name in self._names if name not in inputs]
        if absent:
            hint = "The version was trained with other features than the spec names"
            must = f"must be among the features {', '.join(map(str, inputs.columns))}"
            raise DataError([Problem(f"input {name!r} of the model", must, hint=hint) for name in absent])
        return {name: inputs[name].to_numpy().reshape(-1, 1) for name in self._names}

    def call(self, feeds: dict[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """Run the graph once: [label, probabilities] or [variable]."""
        try:
            outputs: list[NDArray[Any]] = self._session.run(None, feeds)
        except _FAILURES as error:
            msg = (
                f"The ONNX graph fails on rows that the pipeline may be sent: {' '.join(str(error).split())}"
            )
            raise Refused(msg) from error
        return outputs

    def predict(self, inputs: pd.DataFrame) -> FloatArray:
        """Return P(positive) [n], the class probabilities [n, k] or the value [n], in float64."""
        return self._in_batches(inputs, self._score)

    def labels(self, inputs: pd.DataFrame) -> FloatArray:
        """Return the graph's own label [n], or the value for regression."""
        return self._in_batches(inputs, lambda outputs: np.asarray(outputs[0], "float64").reshape(-1))

    def _in_batches(self, inputs: pd.DataFrame, pick: Any) -> FloatArray:
        starts = range(0, max(len(inputs), 1), _BATCH)
        batches = [pick(self.call(self.feeds(inputs.iloc[start : start + _BATCH]))) for start in starts]
        return np.concatenate(batches)

    def _score(self, outputs: list[NDArray[Any]]) -> FloatArray:
        scores = np.asarray(outputs[-1], "float64")
        if self._task is Task.BINARY:
            return scores[:, 1]
        return scores if self._task is Task.MULTICLASS else scores.reshape(-1)
