"""NannyML: univariate drift, PCA reconstruction (thresholds: mean ± 3 std of reference chunks), estimates."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
from nannyml import DataReconstructionDriftCalculator, UnivariateDriftCalculator
from protocol import Request, frame, pieces, serve, timed
from run_nannyml_estimates import data, estimates

warnings.filterwarnings("ignore", category=FutureWarning)


def speed(request: Request) -> dict[str, object]:
    """Time fit and calculate with every default: Jensen-Shannon, ten chunks of each side."""
    reference, current = frame(request["reference"]), frame(request["current"])

    def work() -> pd.DataFrame:
        calculator = UnivariateDriftCalculator(column_names=list(reference.columns))
        return calculator.fit(reference).calculate(current).filter(period="analysis").to_df()

    seconds, result = timed(work, request["runs"])
    alerts = result.loc[:, (slice(None), "jensen_shannon", "alert")]
    return {"seconds": seconds, "drifted": int(alerts.any().sum())}


def univariate(
    reference: pd.DataFrame, rest: pd.DataFrame, rows: int, categorical: list[str]
) -> pd.DataFrame:
    """Return a data frame of the chunks' values, thresholds and alerts."""
    calculator = UnivariateDriftCalculator(
        column_names=list(reference.columns), treat_as_categorical=categorical or None, chunk_size=rows
    )
    return calculator.fit(reference).calculate(rest).filter(period="analysis").to_df()


def windows(request: Request) -> dict[str, object]:
    """Give each window as a chunk; the reference is cut into chunks of the same size."""
    answers = []
    for reference, parts, categorical in pieces(request):
        rest = pd.concat(parts, ignore_index=True)
        found = univariate(reference, rest, len(parts[0]), categorical)
        values = found.loc[:, (slice(None), "jensen_shannon", "value")].to_numpy(float)
        upper = found.loc[:, (slice(None), "jensen_shannon", "upper_threshold")].to_numpy(float)
        alerts = found.loc[:, (slice(None), "jensen_shannon", "alert")].to_numpy(bool)
        scores = values / np.maximum(upper, 1e-9)
        answers.append({"scores": scores.tolist(), "alarms": alerts.tolist()})
    return {"batches": answers}


def reconstruction(request: Request) -> dict[str, object]:
    """Give each window as a chunk to the PCA reconstruction error; the score is in units of its threshold."""
    answers = []
    for reference, parts, _ in pieces(request):
        rest = pd.concat(parts, ignore_index=True)
        calculator = DataReconstructionDriftCalculator(
            column_names=list(reference.columns), chunk_size=len(parts[0])
        )
        found = calculator.fit(reference).calculate(rest).filter(period="analysis").to_df()
        error = found["reconstruction_error"]
        center = (error["upper_threshold"] + error["lower_threshold"]) / 2
        width = (error["upper_threshold"] - error["lower_threshold"]) / 2
        scores = ((error["value"] - center).abs() / width.clip(lower=1e-9)).to_numpy(float)
        alerts = error["alert"].to_numpy(bool)
        answers.append({"scores": scores[:, None].tolist(), "alarms": alerts[:, None].tolist()})
    return {"batches": answers}


if __name__ == "__main__":
    tasks = {"speed": speed, "windows": windows, "reconstruction": reconstruction}
    serve({**tasks, "data": data, "estimates": estimates}, "nannyml")
