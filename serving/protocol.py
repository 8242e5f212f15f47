"""The Open Inference Protocol V2: what a request says and how it is answered.

Parsed by hand from orjson's result: a validation library costs more here than the model does.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import orjson
from numpy.typing import NDArray

from serving import binary, parameters
from serving.tensors import Tensors, json_name
from serving.values import Values
from spec import ModelSpec, Problem, RequestError, Task

PLATFORM = "onnx_onnxv1"
EXTENSIONS = ("binary_tensor_data", "model_repository")
_MOST_PROBLEMS = 50

_OUTPUTS = {
    Task.BINARY: {"label": "INT64", "probabilities": "FP32"},
    Task.MULTICLASS: {"label": "BYTES", "probabilities": "FP32"},
    Task.REGRESSION: {"value": "FP32"},
}


class InferRequest(NamedTuple):
    """One request that is well-formed for the model.

    `ids` holds one prediction id a row, or is None where they follow from `id` (`parameters.ids_of`);
    `event_times` microseconds since the epoch, one a row, or is None for "now". `outputs` are the names to
    answer, in the order asked for, and whether as bytes. `timeout_s` is how long the caller waits for the
    turn, if it says so.
    """

    id: str
    ids: list[str] | None
    event_times: list[int] | None
    rows: int
    values: Values
    outputs: dict[str, bool]
    timeout_s: float | None = None


class Answer(NamedTuple):
    """A response's body; `json_bytes` of it are JSON, with bytes of tensors behind, or None: it all is."""

    body: bytes
    json_bytes: int | None


class Prediction(NamedTuple):
    """What the graph said: a label a row (None for regression) and scores [rows, k], all finite.

    `k` is the number of classes, or 1 for regression.
    """

    labels: list[int] | None
    scores: NDArray[np.float32]


class Protocol:
    """Requests and responses of one model."""

    def __init__(self, spec: ModelSpec) -> None:
        self._spec = spec
        self.model = spec.model
        self._tensors = Tensors(spec.features)
        self._outputs = _OUTPUTS[spec.task]
        self._most_rows = spec.serving.rows
        self._classes = spec.data.target.classes or ()

    def parse(self, body: bytes, fallback_id: str, json_bytes: bytes | None = None) -> InferRequest:
        """Read an inference request.

        Parameters
        ----------
        fallback_id
            The id of a request that names none.
        json_bytes
            The header that says how much of the body is JSON, with bytes of tensors behind; None: it all is.

        Raises
        ------
        RequestError
            With everything that is wrong in it.
        """
        raw = None
        if json_bytes is not None:
            body, raw = binary.split(body, json_bytes)
        try:
            content = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise RequestError([Problem("body", "must be JSON", str(error))]) from error
        if type(content) is not dict:
            raise RequestError([Problem("body", "must be a JSON object", json_name(content))])
        problems: list[Problem] = []
        if raw is not None:
            binary.fill(content, raw, problems)
        has_truths = b"true" in body or b"false" in body
        values, rows = self._tensors.read(content.get("inputs"), problems, has_truths=has_truths)
        if rows > self._most_rows:
            hint = "Send several requests"
            problems.append(Problem("inputs", f"must hold at most {self._most_rows} rows", str(rows), hint))
        rows = 0 if problems else rows  # nobody's word, until the tensors hold as many
        named = parameters.read(content, problems)
        identity = content.get("id", fallback_id)
        if type(identity) is not str or not identity:
            problems.append(Problem("id", "must be a non-empty string", repr(identity)))
        ids = parameters.ids(named, rows, problems)
        times = parameters.event_times(named, rows, problems)
        timeout_s = parameters.timeout(named, problems)
        outputs = parameters.outputs(content.get("outputs"), self._outputs, named, problems)
        if problems or values is None:
            raise RequestError(at_most(problems))
        return InferRequest(identity, ids, times, rows, values, outputs, timeout_s)

    def answer(self, request: InferRequest, prediction: Prediction, version: str) -> Answer:
        """Write the response: the requested outputs, flat and row-major, as JSON or as bytes behind it."""
        outputs, raw = [], []
        for name, as_bytes in request.outputs.items():
            output = self._output(name, prediction)
            if as_bytes:
                raw.append(binary.packed(output["datatype"], output.pop("data")))
                output["parameters"] = {"binary_data_size": len(raw[-1])}
            outputs.append(output)
        text = orjson.dumps(
            {"model_name": self.model, "model_version": version, "id": request.id, "outputs": outputs}
        )
        return Answer(b"".join((text, *raw)), len(text)) if raw else Answer(text, None)

    def metadata(self, version: str | None) -> dict[str, Any]:
        """Return the model's metadata; `version` is the live one, if any."""
        classes = 2 if self._spec.task is Task.BINARY else len(self._classes)
        shapes = {"label": [-1], "probabilities": [-1, classes], "value": [-1]}
        return {
            "name": self._spec.model,
            "versions": [] if version is None else [version],
            "platform": PLATFORM,
            "inputs": self._tensors.metadata(),
            "outputs": [
                {"name": name, "datatype": datatype, "shape": shapes[name]}
                for name, datatype in self._outputs.items()
            ],
        }

    def _output(self, name: str, prediction: Prediction) -> dict[str, Any]:
        scores = prediction.scores
        if name == "label":
            labels = prediction.labels or []
            data: list[Any] = [self._classes[label] for label in labels] if self._classes else labels
            shape = [len(data)]
        else:
            data = scores.ravel().tolist()
            shape = list(scores.shape) if name == "probabilities" else [len(data)]
        return {"name": name, "shape": shape, "datatype": self._outputs[name], "data": data}


def at_most(problems: list[Problem]) -> list[Problem]:
    """Keep an error readable when every row of a big request is wrong."""
    more = len(problems) - _MOST_PROBLEMS
    if more <= 0:
        return problems
    return [
        *problems[:_MOST_PROBLEMS],
        Problem("request", "holds more problems", f"{more} that are not shown"),
    ]
