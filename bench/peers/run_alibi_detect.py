"""alibi-detect: TabularDrift, KS and χ² tests with Bonferroni over the features."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
from alibi_detect.cd import TabularDrift
from protocol import Request, pieces, serve

warnings.filterwarnings("ignore")


def coded(frames: list[pd.DataFrame], categorical: list[str]) -> list[np.ndarray]:
    """Return matrices in which a category is its number among the sorted values of all frames."""
    values = {name: pd.Index(sorted(set().union(*(each[name] for each in frames)))) for name in categorical}
    return [
        np.column_stack(
            [
                values[name].get_indexer(each[name]).astype(float) if name in values else each[name]
                for name in each.columns
            ]
        )
        for each in frames
    ]


def windows(request: Request) -> dict[str, object]:
    """A column's alarm is its own p < .05; a window's alarm is p < .05 / features for any of them."""
    answers = []
    for reference, parts, categorical in pieces(request):
        known, *others = coded([reference, *parts], categorical)
        places = {list(reference.columns).index(name): None for name in categorical}
        detector = TabularDrift(known, p_val=0.05, categories_per_feature=places or None)
        found = [detector.predict(each, drift_type="batch")["data"] for each in others]
        values = np.array([each["p_val"] for each in found], float)
        answers.append(
            {
                "scores": (-np.log10(np.maximum(values, 1e-300))).tolist(),
                "alarms": (values < 0.05).tolist(),
                "window_alarms": [bool(each["is_drift"]) for each in found],
            }
        )
    return {"batches": answers}


if __name__ == "__main__":
    serve({"windows": windows}, "alibi-detect")
