"""whylogs: profiles, then its default drift score: KS from the KLL sketch, else χ² of the frequent items."""

from __future__ import annotations

import math
import warnings

import whylogs as why
from protocol import Request, frame, pieces, serve, timed
from whylogs.viz.drift.column_drift_algorithms import calculate_drift_scores

warnings.filterwarnings("ignore")


def speed(request: Request) -> dict[str, object]:
    """Time profiling both frames and the drift scores; `profiled` times the current side alone."""
    reference, current = frame(request["reference"]), frame(request["current"])
    known = why.log(reference).view()

    def compare() -> dict[str, dict[str, object]]:
        return calculate_drift_scores(
            why.log(current).view(), why.log(reference).view(), with_thresholds=True
        )

    def profiled() -> object:
        return calculate_drift_scores(why.log(current).view(), known, with_thresholds=True)

    seconds, result = timed(compare, request["runs"])
    known_seconds, _ = timed(profiled, request["runs"])
    drifted = sum(each is not None and each["drift_category"] == "DRIFT" for each in result.values())
    return {"seconds": seconds, "profiled_seconds": known_seconds, "drifted": drifted}


def windows(request: Request) -> dict[str, object]:
    """Profile each reference once, then each window."""
    answers = []
    for reference, parts, _ in pieces(request):
        known, names = why.log(reference).view(), list(reference.columns)
        scores, alarms = [], []
        for part in parts:
            found = calculate_drift_scores(why.log(part).view(), known, with_thresholds=True)
            each = [found[name] for name in names]
            scores.append([0.0 if one is None else -math.log10(max(one["pvalue"], 1e-300)) for one in each])
            alarms.append([one is not None and one["drift_category"] == "DRIFT" for one in each])
        answers.append({"scores": scores, "alarms": alarms})
    return {"batches": answers}


if __name__ == "__main__":
    serve({"speed": speed, "windows": windows}, "whylogs")
