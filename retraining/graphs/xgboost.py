"""XGBoost's trees in a graph; imported only for one of its models. Its thresholds are float32 already."""

from __future__ import annotations

from functools import cache
from typing import Any

from onnxmltools.convert.xgboost.common import get_xgb_params
from onnxmltools.convert.xgboost.operator_converters.XGBoost import convert_xgboost
from scipy.special import logit
from skl2onnx import update_registered_converter
from skl2onnx.common.shape_calculator import (
    calculate_linear_classifier_output_shapes,
    calculate_linear_regressor_output_shapes,
)
from xgboost import XGBClassifier, XGBRegressor


@cache
def register() -> None:
    """Teach skl2onnx XGBoost; once a process."""
    options = {"zipmap": [True, False, "columns"], "nocl": [True, False]}
    for model, shapes, wanted in (
        (XGBClassifier, calculate_linear_classifier_output_shapes, options),
        (XGBRegressor, calculate_linear_regressor_output_shapes, None),
    ):
        update_registered_converter(model, f"Exact{model.__name__}", shapes, _convert, options=wanted)


def _convert(scope: Any, operator: Any, container: Any) -> None:
    convert_xgboost(scope, operator, _Based(container, operator.raw_operator))


class _Based:
    """A converter's container that gives a binary model its base score as a logit.

    The converter leaves it a probability where the first tree is a leaf of 0, as without a split.
    """

    def __init__(self, container: Any, model: Any) -> None:
        self._container, self._model = container, model

    def __getattr__(self, name: str) -> Any:
        return getattr(self._container, name)

    def add_node(self, op_type: str, inputs: Any, outputs: Any, **attributes: Any) -> Any:
        """Add a node; trees whose sum is a logit with that of the base score."""
        if attributes.get("post_transform") == "LOGISTIC":
            (score,) = get_xgb_params(self._model)["base_score"]
            attributes["base_values"] = [float(logit(score))]
        return self._container.add_node(op_type, inputs, outputs, **attributes)
