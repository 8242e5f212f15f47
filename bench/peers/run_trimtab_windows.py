"""Ours on windows: as `trimtab check` compares two tables, and as the monitor judges a model's windows."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from hourly_model import model
from protocol import Request, pieces, serve

from monitors import reference_profile
from monitors.comparing.compare import compare
from monitors.drift import drift, lookback
from monitors.engines import profile
from monitors.finding import NoData
from monitors.profiles.profile import Profile
from monitors.window_profiles import Past
from monitors.windows import Window, window_at
from spec import ModelSpec

HOUR = timedelta(hours=1)
START = datetime(2024, 1, 1, tzinfo=UTC)

Readings = list[list[drift.ColumnDrift]]
"""Of each column, what every lookback said."""


def check(request: Request) -> dict[str, object]:
    """Compare each window by itself: effect >= 0.1 and significant among all columns at 5 %."""
    answers = []
    for reference, parts, _ in pieces(request):
        known = profile(reference)
        scores, alarms = [], []
        for part in parts:
            found = compare(known, profile(part, plan=known.plan))
            each = [found[name] for name in reference.columns]
            scores.append([0.0 if isinstance(one.effect, NoData) else one.effect.value for one in each])
            alarms.append([one.drifted for one in each])
        answers.append({"scores": scores, "alarms": alarms})
    return {"batches": answers}


def with_prediction(rows: pd.DataFrame, random: np.random.Generator) -> pa.Table:
    """Add the prediction that every model logs: noise that never moves."""
    return pa.Table.from_pandas(rows.assign(prediction=random.normal(size=len(rows))), preserve_index=False)


def score(readings: list[drift.ColumnDrift]) -> float:
    """Return how many powers of ten the p-value of the best lookback is beyond its level: 0 is an alarm."""
    known = [each for each in readings if each.level > 0]
    return max((math.log10(each.level / each.p_value) for each in known), default=-10.0)


def monitor(request: Request) -> dict[str, object]:
    """Judge windows as a model's monitor does, with a budget of one false alarm a year.

    A column's alarm asks whether the effect matters (0.1); its score does not, as no other method's does.
    """
    answers = []
    batches = [{**batch, "skip": 0} for batch in request["batches"]]  # a memory needs the windows before, too
    for batch, (reference, parts, categorical) in zip(
        request["batches"], pieces({"batches": batches}), strict=True
    ):
        spec = model(list(reference.columns), categorical, request.get("seasonal"))
        judged = list(stream(spec, batch, reference, parts))
        scores = [[score(each) for each in window] for window in judged]
        alarms = [[any(one.drifted for one in each) for each in window] for window in judged]
        answers.append({"scores": scores, "alarms": alarms})
    return {"batches": answers}


def stream(
    spec: ModelSpec, batch: dict[str, Any], reference: pd.DataFrame, parts: list[pd.DataFrame]
) -> Iterator[Readings]:
    """Yield the readings of each window after `skip`, which are only remembered.

    The reference's rows have the times that spread them over its hours.
    """
    random = np.random.default_rng(len(parts))
    passed = np.arange(len(reference)) * batch["reference_hours"] / len(reference)
    times = (START.timestamp() * 1e6 + passed * 3.6e9).astype(np.int64)
    counts = reference_profile.made(spec, with_prediction(reference, random), times)
    first = window_at(START + timedelta(days=400, hours=batch["first_hour"]), HOUR)
    past: dict[datetime, Profile] = {}
    known: dict[Window, list[drift.ColumnDrift]] = {}
    for number, part in enumerate(parts):
        window = first.shifted(number)
        past[window.start] = profile(with_prediction(part, random), plan=counts.profile.plan)
        if number < batch["skip"]:
            continue
        found = []
        for look in lookback.looks(spec, window, Past(HOUR, past), counts):
            if look.span not in known:
                known[look.span] = columns(drift.compare(spec, [look], counts))
            found.append(known[look.span])
        yield [list(each) for each in zip(*found, strict=True)]


def columns(found: drift.Drift) -> list[drift.ColumnDrift]:
    """Return the readings of the features, of the prediction and of the correlation."""
    return [
        *found.features,
        found.prediction,
        *([found.correlation] if found.correlation is not None else []),
    ]


if __name__ == "__main__":
    serve({"check": check, "windows": monitor}, "trimtab")
