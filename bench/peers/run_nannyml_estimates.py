"""NannyML's estimates of performance without labels, window by window: CBPE and DLE with every default."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nannyml
from protocol import Request, frame

KINDS = {"binary": "classification_binary", "multiclass": "classification_multiclass"}
_ONE_CHUNK = 10**9


def data(_: Request) -> dict[str, object]:
    """Tell where the data sets of the package lie."""
    return {"folder": str(Path(nannyml.__file__).parent / "datasets" / "data")}


def estimates(request: Request) -> dict[str, object]:
    """Estimate each window of each data set; a set names its columns.

    The windows of a set are one frame with a column `window`. The answer holds, by set and metric, the values
    and NannyML's sampling errors of the windows in order.
    """
    return {"sets": {each["name"]: _of_set(each) for each in request["sets"]}}


def _of_set(each: dict[str, Any]) -> dict[str, dict[str, list[float]]]:
    reference, windows = frame(each["reference"]), frame(each["windows"])
    estimator = _estimator(each).fit(reference)
    found: dict[str, dict[str, list[float]]] = {name: {"value": [], "error": []} for name in each["metrics"]}
    for _, window in windows.groupby("window", sort=True):
        result = estimator.estimate(window.drop(columns="window").reset_index(drop=True))
        row = result.filter(period="analysis").to_df().iloc[0]
        for name in each["metrics"]:
            found[name]["value"].append(float(row[(name, "value")]))
            found[name]["error"].append(float(row[(name, "sampling_error")]))
    return found


def _estimator(each: dict[str, Any]) -> Any:
    shared = {"y_pred": "y_pred", "y_true": "y_true", "metrics": each["metrics"], "chunk_size": _ONE_CHUNK}
    if each["task"] == "regression":
        return nannyml.DLE(feature_column_names=each["features"], **shared)
    scores = each["scores"]
    proba = scores if each["task"] == "multiclass" else scores["1"]
    return nannyml.CBPE(y_pred_proba=proba, problem_type=KINDS[each["task"]], **shared)
