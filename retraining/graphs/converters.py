"""Converters whose split thresholds are exact for float32 inputs.

Libraries compare a float32 value with a float64 threshold; a tree of ONNX holds float32 thresholds, and the
converters of LightGBM and of histogram boosting round them to the nearest. Where that rounds up onto a
value that occurs (prices do that), the value goes the other way. Rounded down, ``x <= t`` stays what
it was for every float32 x.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import cache
from itertools import chain
from typing import Any

import numpy as np
from lightgbm import LGBMClassifier, LGBMRegressor
from numpy.typing import ArrayLike
from onnxmltools.convert.lightgbm.operator_converters.LightGbm import convert_lightgbm
from skl2onnx import update_registered_converter
from skl2onnx.common.shape_calculator import (
    calculate_linear_classifier_output_shapes,
    calculate_linear_regressor_output_shapes,
)
from skl2onnx.operator_converters.random_forest import (
    convert_sklearn_random_forest_classifier,
    convert_sklearn_random_forest_regressor_converter,
)
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from retraining.dataset.rows import FloatArray
from retraining.graphs import calendar_parts

_Convert = Callable[[Any, Any, Any], None]
_CLASS_SHAPES = calculate_linear_classifier_output_shapes
_VALUE_SHAPES = calculate_linear_regressor_output_shapes
_NOT_A_SPLIT = {"LEAF", "BRANCH_EQ"}


@cache
def register() -> None:
    """Teach skl2onnx LightGBM, exact thresholds and parts of the calendar; once a process."""
    classifier = {"zipmap": [True, False, "columns"], "nocl": [True, False], "raw_scores": [True, False]}
    regressor = {"raw_scores": [True, False], "split": None}
    histogram = classifier | {"output_class_labels": [False, True]}
    forest = convert_sklearn_random_forest_classifier
    values = convert_sklearn_random_forest_regressor_converter
    for model, convert, options in (
        (LGBMClassifier, _lightgbm, classifier),
        (LGBMRegressor, _lightgbm, regressor),
        (HistGradientBoostingClassifier, _histogram(forest), histogram),
        (HistGradientBoostingRegressor, _histogram(values), regressor),
    ):
        shapes = _VALUE_SHAPES if options is regressor else _CLASS_SHAPES
        update_registered_converter(model, f"Exact{model.__name__}", shapes, convert, options=options)
    calendar_parts.register()


def _lightgbm(scope: Any, operator: Any, container: Any) -> None:
    convert_lightgbm(scope, operator, _Floored(container))


def _histogram(convert: _Convert) -> _Convert:
    """Return a converter that is given a model with floored thresholds, which its own rounding keeps."""

    def converter(scope: Any, operator: Any, container: Any) -> None:
        given = operator.raw_operator
        operator.raw_operator = copy.deepcopy(given)
        try:
            trees = operator.raw_operator._predictors  # noqa: SLF001 - the converter reads them too
            for tree in chain.from_iterable(trees):
                tree.nodes["num_threshold"] = floor32(tree.nodes["num_threshold"])
            convert(scope, operator, container)
        finally:
            operator.raw_operator = given

    return converter


def floor32(thresholds: ArrayLike) -> FloatArray:
    """Return for each float64 threshold the largest float32 that is not above it, in float64."""
    given = np.asarray(thresholds, "float64")
    with np.errstate(over="ignore", under="ignore"):
        nearest = given.astype("float32")
        down = np.nextafter(nearest, np.float32(-np.inf))
    return np.where(nearest > given, down, nearest).astype("float64")


class _Floored:
    """A converter's container that floors thresholds while they still are float64."""

    def __init__(self, container: Any) -> None:
        self._container = container

    def __getattr__(self, name: str) -> Any:
        return getattr(self._container, name)

    def add_node(self, op_type: str, inputs: Any, outputs: Any, **attributes: Any) -> Any:
        """Add a node; those of trees with floored ``nodes_values``."""
        if "nodes_values" in attributes:
            values, modes = np.asarray(attributes["nodes_values"], "float64"), attributes["nodes_modes"]
            splits = np.asarray([_text(mode) not in _NOT_A_SPLIT for mode in modes])
            attributes["nodes_values"] = np.where(splits, floor32(values), values).tolist()
        return self._container.add_node(op_type, inputs, outputs, **attributes)


def _text(mode: str | bytes) -> str:
    return mode.decode() if isinstance(mode, bytes) else mode
