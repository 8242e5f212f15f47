"""Features that tell the truth too well alone, as one does that is known only after the prediction.

A shallow tree on one feature is fitted on older rows and asked about newer ones. What it explains of the
truth (ROC AUC, macro over classes, or R²) is told where it is more than one honest feature ever does.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from retraining.dataset import rows
from spec import Feature, FeatureType, ModelSpec, Task

TOO_GOOD = 0.95
"""ROC AUC or R² of one feature from which on it is suspected."""
_DEPTH, _LEAF, _MOST_ROWS = 4, 20, 20_000


def suspects(spec: ModelSpec, frame: pd.DataFrame) -> dict[str, float]:
    """Return the features that alone explain the truth of newer rows, with how well; best first.

    Parameters
    ----------
    frame
        [n] labelled rows by time; the first half is learnt from, up to 20,000 rows of each half. None is
        suspected where a half lacks a class, or holds one value alone.
    """
    half = len(frame) // 2
    older, newer = frame.iloc[:half].tail(_MOST_ROWS), frame.iloc[half:].head(_MOST_ROWS)
    before, after = rows.inputs(spec, older), rows.inputs(spec, newer)
    truth, later = rows.target(spec, older), rows.target(spec, newer)
    classes = len(spec.data.target.classes or (False, True))
    least = 2 if spec.task is Task.REGRESSION else classes
    if min(len(np.unique(truth)), len(np.unique(later))) < least:
        return {}
    found = {}
    for name, feature in spec.features.items():
        learnt, asked = _numbers(feature, before[[name]], after[[name]])
        found[name] = _explained(spec, learnt, truth, asked, later)
    told = sorted(((score, name) for name, score in found.items() if score >= TOO_GOOD), reverse=True)
    return {name: score for score, name in told}


def _numbers(
    feature: Feature, before: pd.DataFrame, after: pd.DataFrame
) -> tuple[rows.FloatArray, rows.FloatArray]:
    if feature.type is FeatureType.CATEGORICAL:
        from sklearn.preprocessing import OrdinalEncoder  # noqa: PLC0415 - as in `_explained`

        codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1).fit(before)
        return codes.transform(before), codes.transform(after)
    return before.to_numpy("float64", copy=True), after.to_numpy("float64", copy=True)


def _explained(
    spec: ModelSpec,
    learnt: rows.FloatArray,
    truth: rows.FloatArray | rows.IntArray,
    asked: rows.FloatArray,
    later: rows.FloatArray | rows.IntArray,
) -> float:
    from sklearn.metrics import r2_score, roc_auc_score  # noqa: PLC0415 - only `prepare` needs it
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor  # noqa: PLC0415 - as above

    shape = {"max_depth": _DEPTH, "min_samples_leaf": _LEAF, "random_state": 0}
    if spec.task is Task.REGRESSION:
        values = DecisionTreeRegressor(**shape).fit(learnt, truth).predict(asked)
        return float(r2_score(later, values))
    scores = DecisionTreeClassifier(**shape).fit(learnt, truth).predict_proba(asked)
    if spec.task is Task.BINARY:
        return float(roc_auc_score(later, scores[:, 1]))
    return float(roc_auc_score(later, scores, multi_class="ovr"))
