"""The rows of a logged request: V1 (`instances`) or V2 (`inputs`), as columns of the log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from serving import parameters
from serving.payloads.halves import Asked
from serving.protocol import at_most
from serving.tensors import Column, Tensors, json_name
from spec import FeatureType, ModelSpec, Problem, RequestError, did_you_mean
from spec.private import Tokens

_DATATYPE = {FeatureType.NUMERIC: "FP64", FeatureType.CATEGORICAL: "BYTES", FeatureType.BOOLEAN: "BOOL"}
_TRUTH: dict[float, bool] = {0: False, 1: True}


class Requests:
    """Reads the requests of one model.

    Parameters
    ----------
    tokens
        What stands for private values; they are replaced here, before anything is kept.
    """

    def __init__(self, spec: ModelSpec, tokens: Tokens | None) -> None:
        self._spec = spec
        self._features = spec.features
        self._tensors = Tensors(spec.features)
        self._tokens = tokens
        self._most_rows = spec.serving.rows

    def read(self, data: bytes, identity: str, sent: int) -> Asked:
        """Read a request's body.

        Parameters
        ----------
        identity
            Prediction id of a request that names none.
        sent
            Event time of a request that names none, in microseconds since the epoch.

        Raises
        ------
        RequestError
            With everything that is wrong in it.
        """
        content = json_object(data)
        problems: list[Problem] = []
        inputs: object
        named: dict[str, Any]
        if "instances" in content:
            inputs, named = self._of_instances(content["instances"], problems)
        else:
            inputs = self._of_matrix(content.get("inputs"), problems)
            named = dict(parameters.read(content, problems))
            own = content.get("id")
            identity = own if isinstance(own, str) and own else identity
        if problems:
            raise RequestError(at_most(problems))
        columns, rows = self._tensors.columns(inputs, problems)
        if rows > self._most_rows:
            problems.append(Problem("request", f"must hold at most {self._most_rows} rows", str(rows)))
        rows = 0 if problems else rows
        ids = parameters.ids(named, rows, problems) or parameters.ids_of(identity, rows)
        times = parameters.event_times(named, rows, problems)
        if problems:
            raise RequestError(at_most(problems))
        return Asked(sent, ids, times or [sent] * rows, self._kept(columns))

    def _kept(self, columns: Mapping[str, Column]) -> dict[str, list[Any]]:
        kept = {name: list(columns[name]) for name in self._spec.logged.features}
        if self._tokens is not None:
            for name in self._tokens.names:
                kept[name] = [self._tokens.of_value(name, value) for value in columns[name]]
        return kept

    def _of_instances(self, instances: object, problems: list[Problem]) -> tuple[list[Any], dict[str, Any]]:
        """Return V1's instances as tensors, and the ids and event times that they hold, if they do."""
        if type(instances) is not list or not instances:
            problems.append(Problem("instances", "must be a list of rows", json_name(instances)))
            return [], {}
        about = [name for name in (self._spec.data.id, self._spec.data.time) if name not in self._features]
        rows = [self._row(at, row, about, problems) for at, row in enumerate(instances)]
        if problems:
            return [], {}
        named: dict[str, Any] = {}
        for name, parameter in ((self._spec.data.id, "ids"), (self._spec.data.time, "event_times")):
            if name in about and all(type(row) is dict and row.get(name) is not None for row in instances):
                values = [row[name] for row in instances]
                named[parameter] = list(map(str, values)) if parameter == "ids" else values
        return self._as_tensors(list(zip(*rows, strict=True))), named

    def _row(self, at: int, row: object, about: Sequence[str], problems: list[Problem]) -> list[Any]:
        """Return an instance's values in the features' order."""
        names = list(self._features)
        if isinstance(row, dict):
            for name in row.keys() - self._features.keys() - set(about):
                hint = did_you_mean(name, names)
                problems.append(
                    Problem(f"instances[{at}]", "must be a feature of the model", repr(name), hint)
                )
            missing = [name for name in names if name not in row]
            problems += [Problem(f"instances[{at}].{name}", "must be given", "nothing") for name in missing]
            return [row.get(name) for name in names]
        if isinstance(row, list) and len(row) == len(names):
            return row
        must = f"must be an object, or a list of {len(names)} values in the order {', '.join(names)}"
        found = f"{len(row)} values" if isinstance(row, list) else json_name(row)
        problems.append(Problem(f"instances[{at}]", must, found))
        return []

    def _of_matrix(self, inputs: object, problems: list[Problem]) -> object:
        """Return V2's only tensor [rows, features] as a tensor a feature; any other inputs as they are."""
        width = len(self._features)
        match inputs:
            case [{"shape": [int(rows), int(wide)], "data": list(data), **rest}] if wide == width:
                if width == 1 and rest.get("name") in self._features:
                    return inputs
            case _:
                return inputs
        flat = [value for row in data for value in (row if type(row) is list else [row])]
        if rows < 1 or len(flat) != rows * width:
            problems.append(Problem("inputs[0].data", f"must hold {rows} × {width} values", str(len(flat))))
            return []
        return self._as_tensors([flat[at::width] for at in range(width)])

    def _as_tensors(self, columns: Sequence[Sequence[Any]]) -> list[dict[str, Any]]:
        """Name columns in the features' order; a truth value that a table of numbers holds is 0 or 1."""
        return [
            {
                "name": name,
                "shape": [len(column)],
                "datatype": _DATATYPE[feature.type],
                "data": list(map(_truth, column)) if feature.type is FeatureType.BOOLEAN else list(column),
            }
            for (name, feature), column in zip(self._features.items(), columns, strict=True)
        ]


def json_object(data: bytes) -> dict[str, Any]:
    """Read a payload.

    Raises
    ------
    RequestError
        It is no JSON object.
    """
    try:
        content = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        hint = "Tensors as bytes cannot be read: KServe does not send along where they begin"
        raise RequestError([Problem("data", "must be JSON", str(error), hint)]) from error
    if not isinstance(content, dict):
        raise RequestError([Problem("data", "must be a JSON object", json_name(content))])
    return content


def _truth(value: object) -> object:
    return _TRUTH.get(value, value) if isinstance(value, int | float) else value
