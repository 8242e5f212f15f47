"""Evidently: the data drift preset as documented, and the test and threshold it chooses for each column."""

from __future__ import annotations

import math

from protocol import Request, frame, pieces, serve, timed

P_VALUES = {"K-S p_value", "chi-square p_value", "Z-test p_value"}


def speed(request: Request) -> dict[str, object]:
    """Time `Report([DataDriftPreset()]).run(current, reference)` on data frames, column types inferred."""
    from evidently import Report
    from evidently.presets import DataDriftPreset

    reference, current = frame(request["reference"]), frame(request["current"])
    seconds, result = timed(lambda: Report([DataDriftPreset()]).run(current, reference), request["runs"])
    count = next(each for each in result.dict()["metrics"] if "DriftedColumnsCount" in each["metric_name"])
    return {"seconds": seconds, "drifted": int(count["value"]["count"])}


def windows(request: Request) -> dict[str, object]:
    """Ask the default test of each column (`get_stattest`), without the plots that a report adds."""
    from evidently.legacy.calculations.stattests import get_stattest
    from evidently.legacy.core import ColumnType

    answers = []
    for reference, parts, categorical in pieces(request):
        kinds = {
            name: ColumnType.Categorical if name in categorical else ColumnType.Numerical
            for name in reference.columns
        }
        scores, alarms = [], []
        for part in parts:
            results = []
            for name, kind in kinds.items():
                test = get_stattest(reference[name], part[name], kind, None)
                result = test(reference[name], part[name], kind, None)
                score = result.drift_score
                if test.display_name in P_VALUES:
                    score = -math.log10(max(score, 1e-300))
                results.append((score, bool(result.drifted)))
            scores.append([score for score, _ in results])
            alarms.append([alarm for _, alarm in results])
        answers.append({"scores": scores, "alarms": alarms})
    return {"batches": answers}


if __name__ == "__main__":
    serve({"speed": speed, "windows": windows}, "evidently")
