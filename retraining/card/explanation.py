"""What each feature adds to single answers: SHAP values of the served graph.

The estimate is that of `shap`'s permutation explainer. That library compiles for half a minute before its
first number, longer than many retrains take; the few lines that are needed of it are here, vectorised.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from retraining.dataset.rows import FloatArray
from retraining.gates.exam import Answer

_ROWS, _FEWEST, _BACKGROUND = 200, 10, 10
_MOST_VALUES = 5_000_000  # that are fed to the graph in all: a second or two
_BATCH = 20_000


def mean_abs_shap(answer: Answer, inputs: pd.DataFrame, seed: int = 0) -> dict[str, float]:
    """Return the mean |SHAP value| of each feature, the largest first, in the unit of the model's answer.

    Of several classes each answer counts. Up to 200 rows are explained against 10; with many features fewer,
    down to 10 against one, so that the time is bounded.

    Parameters
    ----------
    inputs
        [n ≥ 2, features], as of `retraining.dataset.rows.inputs`.
    """
    rng = np.random.default_rng(seed)
    drawn = inputs.iloc[rng.permutation(len(inputs))]
    width = inputs.shape[1]
    each = 2 * (width + 1) * width  # values that explaining one row against one takes
    against = min(max(_MOST_VALUES // (each * _FEWEST), 1), _BACKGROUND, len(drawn) // 2)
    background, rest = drawn.head(against), drawn.iloc[against:]
    asked = rest.head(min(max(_MOST_VALUES // (each * against), _FEWEST), _ROWS))
    means = np.abs(shap_values(answer, asked, background, rng)).mean(axis=(0, 2))
    named = zip(map(str, inputs.columns), map(float, means), strict=True)
    return dict(sorted(named, key=lambda item: -item[1]))


def shap_values(
    answer: Answer, rows: pd.DataFrame, background: pd.DataFrame, rng: np.random.Generator
) -> FloatArray:
    """Return the SHAP values [n, features, outputs] of rows against a background.

    Features are put in place of the background's one after another, in a random order and in its reverse, and
    each is credited with the change of the mean answer (Štrumbelj & Kononenko 2014; Lundberg & Lee 2017). The
    values of a row sum to its answer less the background's mean, and are exact for a model without
    interactions of more than two features.
    """
    count, width = rows.shape
    size = 2 * (width + 1) * len(background)
    found = []
    for start in range(0, count, step := max(1, _BATCH // size)):
        some = rows.iloc[start : start + step]
        orders = np.array([rng.permutation(width) for _ in range(len(some))])
        found.append(_credited(answer, some, background, orders))
    return np.concatenate(found)


def _credited(
    answer: Answer, rows: pd.DataFrame, background: pd.DataFrame, orders: NDArray[np.int64]
) -> FloatArray:
    """Return the SHAP values of some rows, each by its order of features [n, features] and the reverse."""
    count, width = orders.shape
    both = np.stack([orders, orders[:, ::-1]], axis=1)  # [n, 2, features]
    places = np.argsort(both, axis=2)
    taken = places[:, :, None, :] < np.arange(width + 1)[:, None]  # [n, 2, steps, features]
    scores = answer(_mixed(rows, background, taken))
    means = scores.reshape(count, 2, width + 1, len(background), -1).mean(axis=3)
    changes = np.diff(means, axis=2)  # [n, 2, features in order, outputs]
    by_feature = np.take_along_axis(changes, places[..., None], axis=2)
    return np.asarray(by_feature.mean(axis=1), "float64")


def _mixed(rows: pd.DataFrame, background: pd.DataFrame, taken: NDArray[np.bool_]) -> pd.DataFrame:
    """Return every row with every background row's values where a feature is not taken, in C order."""
    shape = (*taken.shape[:3], len(background))
    columns = {}
    for index, name in enumerate(rows.columns):
        own = rows[name].to_numpy()[:, None, None, None]
        values = np.where(taken[..., index, None], own, background[name].to_numpy())
        columns[name] = pd.Series(np.broadcast_to(values, shape).reshape(-1), dtype=rows[name].dtype)
    return pd.DataFrame(columns)
