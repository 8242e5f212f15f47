"""Dense layers in 8-bit integers, by ONNX Runtime's own quantizer; inputs and outputs stay what they were."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
import pandas as pd
from onnx import TensorProto
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_dynamic,
    quantize_static,
)

from retraining.graphs.weights import MULTIPLY

_CALIBRATION_ROWS = 1000
_BATCH = 100
_OPTIONS = {
    "MatMulConstBOnly": True,
    "DefaultTensorType": TensorProto.FLOAT,  # shapes are not inferred through encoders of text
}


def dynamic(model: onnx.ModelProto, layers: Collection[str]) -> onnx.ModelProto:
    """Return a copy whose named layers hold int8 weights; activations get their scale anew in each call.

    Parameters
    ----------
    layers
        Names of nodes, see `retraining.graphs.weights.layers`.
    """

    def quantize(file: Path) -> None:
        quantize_dynamic(
            _copy(model),
            file,
            op_types_to_quantize=list(MULTIPLY),
            nodes_to_quantize=list(layers),
            per_channel=True,
            extra_options=_OPTIONS,
        )

    return _by_file(model, quantize)


def static(model: onnx.ModelProto, layers: Collection[str], inputs: pd.DataFrame) -> onnx.ModelProto:
    """Return a copy whose named layers have int8 weights, a scale a channel, and fixed uint8 activations.

    Parameters
    ----------
    inputs
        [n ≥ 1, features] rows that the activations' ranges are taken from, as of
        `retraining.dataset.rows.inputs`; 1,000 of them, evenly spaced. A later row outside the ranges is
        answered as if it lay on their edge.
    """

    def quantize(file: Path) -> None:
        quantize_static(
            _copy(model),
            file,
            _Rows(model, inputs),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=list(MULTIPLY),
            nodes_to_quantize=list(layers),
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            extra_options=_OPTIONS,
        )

    return _by_file(model, quantize)


def _by_file(model: onnx.ModelProto, quantize: Callable[[Path], None]) -> onnx.ModelProto:
    with TemporaryDirectory() as folder, _quiet():
        file = Path(folder, "model.onnx")
        quantize(file)
        made: onnx.ModelProto = onnx.load(file)
    del made.metadata_props[:]  # the quantizer's signature
    for end in ("input", "output"):  # it gives their open dimensions names
        ours, theirs = getattr(made.graph, end), getattr(model.graph, end)
        del ours[:]
        ours.extend(theirs)
    onnx.checker.check_model(made)
    return made


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the quantizer's advice out of the log: it is about image models, and there is no switch for it."""
    root = logging.getLogger()
    root.addFilter(_from_elsewhere)
    try:
        yield
    finally:
        root.removeFilter(_from_elsewhere)


def _from_elsewhere(record: logging.LogRecord) -> bool:
    return "quant" not in record.pathname


def _copy(model: onnx.ModelProto) -> onnx.ModelProto:
    """The quantizer changes what it is given."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    return copy


class _Rows(CalibrationDataReader):  # type: ignore[misc] # an untyped base
    """Rows as the quantizer reads them: batch by batch, then None."""

    def __init__(self, model: onnx.ModelProto, inputs: pd.DataFrame) -> None:
        picked = np.unique(np.linspace(0, len(inputs) - 1, _CALIBRATION_ROWS).astype("int64"))
        rows = inputs.iloc[picked]
        names = [node.name for node in model.graph.input]
        self._batches = (
            {name: block[name].to_numpy().reshape(-1, 1) for name in names}
            for start in range(0, len(rows), _BATCH)
            for block in (rows.iloc[start : start + _BATCH],)
        )

    def get_next(self) -> dict[str, Any] | None:
        """Return the next batch's inputs, each [rows, 1]."""
        return next(self._batches, None)
