"""A multilayer perceptron: scikit-learn's, on imputed, clipped, standardised numbers and one-hot categories.

Its architecture is a part of the search: 1 to 3 hidden layers, the first one's width, how fast the widths
taper, and the activation.
"""

from __future__ import annotations

import sys
from functools import cache
from typing import Any, Self

import numpy as np
import optuna
from sklearn.neural_network import MLPClassifier, MLPRegressor

from retraining.dataset.rows import FloatArray
from retraining.records import Params
from spec import ModelSpec, Task

DEFAULTS: Params = {
    "depth": 2,
    "width": 64,
    "taper": 0.5,
    "activation": "relu",
    "alpha": 1.0,
    "learning_rate_init": 2e-3,
    "batch_size": 256,
    "epochs": 10,
}


def suggest(trial: optuna.Trial) -> Params:
    """Return one trial's architecture and how to train it."""
    return {
        "depth": trial.suggest_int("depth", 1, 3),
        "width": trial.suggest_int("width", 16, 256, log=True),
        "taper": trial.suggest_float("taper", 0.5, 1.0),
        "activation": trial.suggest_categorical("activation", ["relu", "tanh", "logistic"]),
        "alpha": trial.suggest_float("alpha", 1e-4, 10.0, log=True),
        "learning_rate_init": trial.suggest_float("learning_rate_init", 3e-4, 1e-2, log=True),
        "batch_size": trial.suggest_int("batch_size", 64, 512, log=True),
        "epochs": trial.suggest_int("epochs", 5, 40, log=True),
    }


def widths(params: Params) -> tuple[int, ...]:
    """Return the units of each hidden layer: the first has `width`, each further one `taper` of the last."""
    width, taper = float(params["width"]), float(params["taper"])
    return tuple(max(1, round(width * taper**index)) for index in range(int(params["depth"])))


def model(spec: ModelSpec, params: Params) -> MLPClassifier | MLPRegressor:
    """Return the unfitted network; it sees each row `epochs` times, whatever its loss does meanwhile."""
    regression = spec.task is Task.REGRESSION
    if regression:
        _register()
    epochs = int(params["epochs"])
    kind = StandardisedMLPRegressor if regression else MLPClassifier
    return kind(
        hidden_layer_sizes=widths(params),
        activation=params["activation"],
        alpha=params["alpha"],
        learning_rate_init=params["learning_rate_init"],
        batch_size=params["batch_size"],
        max_iter=epochs + 1,
        tol=sys.float_info.max,  # no epoch ever improves by this much,
        n_iter_no_change=max(1, epochs - 1),  # so that all are without improvement, and training ends in time
        early_stopping=False,
        random_state=spec.retrain.search.seed,
    )


class StandardisedMLPRegressor(MLPRegressor):  # type: ignore[misc] # an untyped base
    """A perceptron that learns the standardised target and answers in the target's own unit.

    Adam's steps know no unit: without this, a price in cents would take a hundred times the epochs of one in
    euros. The last layer is linear, so it takes over the way back, and the model stays a plain perceptron.
    """

    def fit(self, X: Any, y: FloatArray, sample_weight: FloatArray | None = None) -> Self:  # noqa: N803 - as its parent
        """Fit on inputs [n, d] and targets [n]."""
        truth = np.asarray(y, "float64").reshape(-1)
        centre, spread = float(truth.mean()), float(truth.std()) or 1.0
        super().fit(X, (truth - centre) / spread, sample_weight)
        self.coefs_[-1] = self.coefs_[-1] * spread
        self.intercepts_[-1] = self.intercepts_[-1] * spread + centre
        return self


@cache
def _register() -> None:
    """Teach skl2onnx that the subclass converts as its parent; once a process."""
    from skl2onnx import update_registered_converter  # noqa: PLC0415 - a search without this learner does not pay
    from skl2onnx.common.shape_calculator import calculate_linear_regressor_output_shapes  # noqa: PLC0415 - as above
    from skl2onnx.operator_converters.multilayer_perceptron import (  # noqa: PLC0415 - as above
        convert_sklearn_mlp_regressor,
    )

    update_registered_converter(
        StandardisedMLPRegressor,
        StandardisedMLPRegressor.__name__,
        calculate_linear_regressor_output_shapes,
        convert_sklearn_mlp_regressor,
    )
