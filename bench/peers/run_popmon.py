"""popmon: histograms of both frames and their stability metrics, without the HTML report."""

from __future__ import annotations

import warnings
from typing import Any

import pandas as pd
from popmon import Settings, make_histograms, stability_metrics
from protocol import Request, frame, serve, timed

warnings.filterwarnings("ignore")


def compare(reference: pd.DataFrame, current: pd.DataFrame) -> dict[str, Any]:
    """Do what `df_stability_report` does with an external reference, but for the page.

    `df_stability_metrics` of 1.4.12 refuses a reference frame,
    "should be a dict of histogrammar histograms".
    """
    settings = Settings(time_axis="date", reference_type="external")
    week, origin = pd.Timedelta("1w").value, pd.Timestamp("2024-01-01").value
    bins = {"date": {"bin_width": week, "bin_offset": origin}}
    known, features, bins, _, types = make_histograms(
        reference, time_axis="date", bin_specs=bins, ret_specs=True
    )
    hists = make_histograms(current, features=features, time_axis="date", bin_specs=bins, var_dtype=types)
    settings.features, settings.bin_specs = features, bins
    return stability_metrics(hists, settings, reference=known)


def speed(request: Request) -> dict[str, object]:
    """Time histograms and metrics; every row of a side is of one day, so there is one time slot a side."""
    reference, current = frame(request["reference"]), frame(request["current"])
    names = list(reference.columns)
    reference["date"], current["date"] = pd.Timestamp("2024-01-02"), pd.Timestamp("2024-02-01")
    seconds, result = timed(lambda: compare(reference, current), request["runs"])
    return {"seconds": seconds, "compared": len(set(names) & set(result["comparisons"]))}


if __name__ == "__main__":
    serve({"speed": speed}, "popmon")
