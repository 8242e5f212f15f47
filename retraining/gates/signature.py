"""The graph takes what requests have, and answers what the model server gives back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import onnx
from onnx import TensorProto

from retraining.records import Gate
from spec import FeatureType, ModelSpec, Task

NAME = "signature"
_KINDS = {TensorProto.FLOAT: "float32", TensorProto.STRING: "string", TensorProto.INT64: "int64"}


@dataclass(frozen=True, slots=True)
class Wrong:
    """An input or output that is not as the spec wants it."""

    what: str
    must: str
    found: str

    def __str__(self) -> str:
        """One clause."""
        return f"{self.what} {self.must}" + (f"; found {self.found}" if self.found else "")


def judge(spec: ModelSpec, graph: onnx.ModelProto) -> Gate:
    """Judge inputs and outputs by name and type, against the features of the spec."""
    found = wrong(spec, graph)
    right = f"{len(spec.features)} inputs and the outputs are those of the spec"
    return Gate(name=NAME, passed=not found, reason="; ".join(map(str, found)) or right)


def wrong(spec: ModelSpec, graph: onnx.ModelProto) -> tuple[Wrong, ...]:
    """Return every input and output that is not as it must be."""
    return (*_wrong(_wanted_inputs(spec), graph.graph.input, "input"), *_outputs(spec, graph))


def _wanted_inputs(spec: ModelSpec) -> dict[str, str]:
    texts = spec.features_of(FeatureType.CATEGORICAL)
    return {name: "string" if name in texts else "float32" for name in spec.features}


def _outputs(spec: ModelSpec, graph: onnx.ModelProto) -> Iterator[Wrong]:
    regression = spec.task is Task.REGRESSION
    wanted = {"variable": "float32"} if regression else {"label": "int64", "probabilities": "float32"}
    return _wrong(wanted, graph.graph.output, "output")


def _wrong(wanted: dict[str, str], values: Iterable[Any], what: str) -> Iterator[Wrong]:
    found = {value.name: _KINDS.get(value.type.tensor_type.elem_type, "another type") for value in values}
    for name, kind in wanted.items():
        if found.get(name) != kind:
            yield Wrong(f"{what} {name!r}", f"must be {kind}", found.get(name, "none"))
    for name in sorted(found.keys() - wanted.keys()):
        yield Wrong(f"{what} {name!r}", "is not in the spec", "")
