"""Load a file on the hardware that the spec names, or on the fastest that answers as the CPU does."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving.model import OnnxModel
from serving.session import present
from spec import FeatureType, ModelSpec, TrimtabError
from spec.serving import Provider

_logger = logging.getLogger(__name__)

_ROWS = 256
_TOLERANCE = 1e-4  # as an export may differ from what was trained


def load(file: Path, spec: ModelSpec) -> OnnxModel:
    """Open a model by the spec's `serving.providers`.

    Raises
    ------
    DataError
        When the file is no ONNX model or its graph is not what the spec says.
    """
    wanted = spec.serving.providers
    if wanted != "auto":
        return OnnxModel(file, spec, wanted)
    cpu = OnnxModel(file, spec)
    others = (_like(cpu, file, spec, provider) for provider in present() if provider != "cpu")
    fastest = min([cpu, *filter(None, others)], key=lambda model: model.row_seconds)
    _logger.info("%s runs on %s: %.0f us a row", file, fastest.provider, fastest.row_seconds * 1e6)
    return fastest


def _like(cpu: OnnxModel, file: Path, spec: ModelSpec, provider: Provider) -> OnnxModel | None:
    """Return the model on another provider if it starts there and answers as on the CPU."""
    rows = _some_rows(spec)
    ours = cpu.predict(rows).scores
    try:
        other = OnnxModel(file, spec, (provider,))
        theirs = other.predict(rows).scores
    except TrimtabError as error:
        _logger.warning("%s is not taken: %s", provider, error)
        return None
    if other.provider != provider:
        return None  # it did not start, and the log says so
    apart = float(np.abs(theirs - ours).max() / max(1.0, np.abs(ours).max()))
    if apart > _TOLERANCE:
        _logger.warning("%s is not taken: its answers differ from the CPU's by %.2g", provider, apart)
        return None
    return other


def _some_rows(spec: ModelSpec) -> dict[str, NDArray[Any]]:
    """Return random rows within what the spec states of the features."""
    draw = np.random.default_rng(0)
    rows: dict[str, NDArray[Any]] = {}
    for name, feature in spec.features.items():
        if feature.type is FeatureType.CATEGORICAL:
            rows[name] = draw.choice(np.array(feature.values or ("",), dtype=object), (_ROWS, 1))
            continue
        low = -3.0 if feature.min is None else feature.min
        high = low + 6.0 if feature.max is None else feature.max
        rows[name] = draw.uniform(low, max(low, high), (_ROWS, 1)).astype(np.float32)
    return rows
