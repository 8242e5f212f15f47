"""What each server is asked and answers: the same rows, in the form that its documentation shows."""

from __future__ import annotations

import struct
from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import orjson
import pandas as pd
from numpy.typing import NDArray

Scores = NDArray[np.float64]
_BINARY = "Inference-Header-Content-Length"


class Wire(ABC):
    """A way to ask for the scores of rows and to read the answer.

    Parameters
    ----------
    path
        Of the POST.
    """

    def __init__(self, path: str) -> None:
        self.path = path

    def request(self, asked: pd.DataFrame) -> bytes:
        """Return a whole HTTP request."""
        body, headers = self.body(asked)
        lines = [f"POST {self.path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return "\r\n".join([*lines, "", ""]).encode() + body

    def body(self, asked: pd.DataFrame) -> tuple[bytes, dict[str, str]]:
        """Return the body, and the headers that go with it."""
        return orjson.dumps(self.content(asked)), {"Content-Type": "application/json"}

    @abstractmethod
    def content(self, asked: pd.DataFrame) -> dict[str, Any]:
        """Return the JSON of a request."""

    @abstractmethod
    def scores(self, answer: bytes, headers: dict[str, str]) -> Scores:
        """Return the probabilities [n, 2] of an answer."""


class Inference(Wire):
    """Open Inference Protocol V2, JSON."""

    def content(self, asked: pd.DataFrame) -> dict[str, Any]:
        """Return a tensor [n, 1] a feature."""
        return {"inputs": [self._tensor(name, column) for name, column in asked.items()]}

    def scores(self, answer: bytes, headers: dict[str, str]) -> Scores:
        """Read the flat data."""
        del headers
        outputs = {output["name"]: output for output in orjson.loads(answer)["outputs"]}
        return np.array(outputs["probabilities"]["data"]).reshape(-1, 2)

    @staticmethod
    def _tensor(name: object, column: pd.Series[Any]) -> dict[str, Any]:
        kind = "BYTES" if column.dtype == object else "FP32"
        return {"name": name, "shape": [len(column), 1], "datatype": kind, "data": _values(column)}


class BinaryInference(Inference):
    """Open Inference Protocol V2 with tensors as bytes, in and out."""

    def body(self, asked: pd.DataFrame) -> tuple[bytes, dict[str, str]]:
        """Put the tensors behind the JSON."""
        tensors, raw = [], []
        for name, column in asked.items():
            tensor = self._tensor(name, column)
            data = tensor.pop("data")
            raw.append(_packed(data) if tensor["datatype"] == "BYTES" else column.to_numpy("<f4").tobytes())
            tensors.append(tensor | {"parameters": {"binary_data_size": len(raw[-1])}})
        text = orjson.dumps({"inputs": tensors, "parameters": {"binary_data_output": True}})
        headers = {"Content-Type": "application/octet-stream", _BINARY: str(len(text))}
        return b"".join([text, *raw]), headers

    def scores(self, answer: bytes, headers: dict[str, str]) -> Scores:
        """Find the probabilities behind the JSON."""
        at = int(headers[_BINARY.lower()])
        for output in orjson.loads(answer[:at])["outputs"]:
            size = output["parameters"]["binary_data_size"]
            if output["name"] == "probabilities":
                dtype = {"FP32": "<f4", "FP64": "<f8"}[output["datatype"]]
                return np.frombuffer(answer[at : at + size], dtype).reshape(-1, 2).astype(np.float64)
            at += size
        message = "no probabilities in the answer"
        raise ValueError(message)


class Mlflow(Wire):
    """MLflow's scoring protocol, as tensors."""

    def content(self, asked: pd.DataFrame) -> dict[str, Any]:
        """Return an array [n, 1] a feature."""
        return {"inputs": {name: [[value] for value in _values(asked[name])] for name in asked}}

    def scores(self, answer: bytes, headers: dict[str, str]) -> Scores:
        """Read the output of that name."""
        del headers
        return np.array(orjson.loads(answer)["predictions"]["probabilities"])


class Records(Wire):
    """An object a row."""

    def content(self, asked: pd.DataFrame) -> dict[str, Any]:
        """Return a list of objects."""
        columns = [_values(asked[name]) for name in asked]
        return {"rows": [dict(zip(asked, row, strict=True)) for row in zip(*columns, strict=True)]}

    def scores(self, answer: bytes, headers: dict[str, str]) -> Scores:
        """Read the list of lists."""
        del headers
        return np.array(orjson.loads(answer)["probabilities"])


def _values(column: pd.Series[Any]) -> list[Any]:
    """Return JSON's values; a number as short as single precision needs, as its sender has it."""
    if column.dtype == object:
        return list(column)
    return [float(str(value)) for value in column.to_numpy()]


def _packed(texts: list[str]) -> bytes:
    return b"".join(struct.pack("<I", len(text.encode())) + text.encode() for text in texts)
