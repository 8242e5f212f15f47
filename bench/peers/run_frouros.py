"""frouros: KSTest and ChiSquareTest for each column, with the significance level of its README, 0.001."""

from __future__ import annotations

import warnings

import numpy as np
from frouros.detectors.data_drift import ChiSquareTest, KSTest
from protocol import Request, pieces, serve

warnings.filterwarnings("ignore")
ALPHA = 0.001


def windows(request: Request) -> dict[str, object]:
    """Fit each column's detector once a reference, then compare every window."""
    answers = []
    for reference, parts, categorical in pieces(request):
        detectors = {}
        for name in reference.columns:
            detectors[name] = ChiSquareTest() if name in categorical else KSTest()
            detectors[name].fit(X=reference[name].to_numpy())
        values = np.array(
            [
                [detectors[name].compare(X=part[name].to_numpy())[0].p_value for name in reference.columns]
                for part in parts
            ],
            float,
        )
        scores = -np.log10(np.maximum(values, 1e-300))
        answers.append({"scores": scores.tolist(), "alarms": (values <= ALPHA).tolist()})
    return {"batches": answers}


if __name__ == "__main__":
    serve({"windows": windows}, "frouros")
