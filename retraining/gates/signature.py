"""The graph takes what requests have, and answers what the model server gives back."""

from __future__ import annotations

from collections.abc import Iterator

import onnx
from onnx import TensorProto

from retraining.records import Gate
from spec import FeatureType, ModelSpec, Task

NAME = "signature"
_KINDS = {TensorProto.FLOAT: "float32", TensorProto.STRING: "string", TensorProto.INT64: "int64"}


def judge(spec: ModelSpec, graph: onnx.ModelProto) -> Gate:
    """Judge inputs and outputs by name and type, against the features of the spec."""
    wrong = [*_wrong(_wanted_inputs(spec), graph.graph.input, "input"), *_outputs(spec, graph)]
    reason = "; ".join(wrong) or f"{len(spec.features)} inputs and the outputs are those of the spec"
    return Gate(name=NAME, passed=not wrong, reason=reason)


def _wanted_inputs(spec: ModelSpec) -> dict[str, str]:
    texts = spec.features_of(FeatureType.CATEGORICAL)
    return {name: "string" if name in texts else "float32" for name in spec.features}


def _outputs(spec: ModelSpec, graph: onnx.ModelProto) -> Iterator[str]:
    regression = spec.task is Task.REGRESSION
    wanted = {"variable": "float32"} if regression else {"label": "int64", "probabilities": "float32"}
    return _wrong(wanted, graph.graph.output, "output")


def _wrong(wanted: dict[str, str], values: object, what: str) -> Iterator[str]:
    found = {
        value.name: _KINDS.get(value.type.tensor_type.elem_type, "another type")
        for value in values  # type: ignore[attr-defined]
    }
    for name, kind in wanted.items():
        if found.get(name) != kind:
            yield f"{what} {name!r} must be {kind}; found {found.get(name, 'none')}"
    for name in found.keys() - wanted.keys():
        yield f"{what} {name!r} is not in the spec"
