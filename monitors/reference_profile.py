"""What a reference is to the drift engine: its profile, how its rows hang together, its seasons."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

import numpy as np
import pyarrow as pa

from monitors.dependence import Dependence, measured
from monitors.profiles.plan import Ints, Kind, Plan
from monitors.profiles.planning import SAMPLE, make_plan
from monitors.profiles.profile import Profile
from monitors.profiles.tally import count
from spec.drift import SEASONS
from spec.model import ModelSpec
from spec.performance import Task

PREDICTION = "prediction"
"""Column of the scores beside the features: P(positive), the value, or the index of the likeliest class."""

MAX_PAIRED = 64
"""Numeric columns, the prediction among them, up to which their correlations are counted."""

_MAX_WINDOWS = 800  # the newest; the dispersion between so many is known to a few percent
_TICK = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class ReferenceProfile:
    """The counts that windows are compared with.

    Parameters
    ----------
    profile
        Of all rows of the reference, by the plan that was taken from them: features and `prediction`.
    dependence
        How the rows hang together in time; nothing is known where their times are not.
    seasons
        The profile of each slot of the season that the spec names, by its number (see `slot`).
    """

    profile: Profile
    dependence: Dependence = Dependence()  # noqa: RUF009 - immutable
    seasons: Mapping[int, Profile] = field(default_factory=dict)


def made(spec: ModelSpec, rows: pa.Table, times: Ints | None = None) -> ReferenceProfile:
    """Count the rows of a reference.

    Parameters
    ----------
    rows
        Features and `prediction`, as `frames.arrow` makes them.
    times
        Event times in microseconds since the epoch, shape (rows,); None if they are not known: rows then
        count as independent, and there are no seasons.
    """
    plan = _plan(spec, rows)
    whole = _count(plan, rows)
    if times is None:
        return ReferenceProfile(whole)
    windows = dict(_newest_windows(plan, rows, times // (spec.monitor.window // _TICK)))
    dependence = measured(windows, whole, spec.monitor.data_drift.over, _season(spec))
    return ReferenceProfile(whole, dependence, dict(_seasons(spec, plan, rows, times)))


def _season(spec: ModelSpec) -> int | None:
    """Return the windows of the season that windows are compared within, if there is one."""
    seasonal = spec.monitor.data_drift.reference.seasonal
    return None if seasonal is None else SEASONS[seasonal] // spec.monitor.window


def slot(spec: ModelSpec, time_us: Ints) -> Ints:
    """Return the number of the window of the season, from 0, that times (µs since the epoch) lie in."""
    season = SEASONS[spec.monitor.data_drift.reference.seasonal or "week"]
    return np.asarray(time_us % (season // _TICK) // (spec.monitor.window // _TICK))


def _plan(spec: ModelSpec, rows: pa.Table) -> Plan:
    kinds = {name: Kind(feature.type.value) for name, feature in spec.compared.items()}
    kinds[PREDICTION] = Kind.CATEGORICAL if spec.task is Task.MULTICLASS else Kind.NUMERIC
    paired = sum(kind is Kind.NUMERIC for kind in kinds.values()) <= MAX_PAIRED
    if rows.num_rows > SAMPLE:
        rows = rows.take(np.sort(np.random.default_rng(0).choice(rows.num_rows, SAMPLE, replace=False)))
    return make_plan(
        rows.select([name for name in rows.schema.names if name in kinds]), kinds=kinds, pairs=paired
    )


def _newest_windows(plan: Plan, rows: pa.Table, index: Ints) -> Iterator[tuple[int, Profile]]:
    for window in np.unique(index)[-_MAX_WINDOWS:]:
        yield int(window), _count(plan, rows.filter(pa.array(index == window)))


def _seasons(spec: ModelSpec, plan: Plan, rows: pa.Table, times: Ints) -> Iterator[tuple[int, Profile]]:
    if spec.monitor.data_drift.reference.seasonal is None:
        return
    slots = slot(spec, times)
    for number in np.unique(slots):
        yield int(number), _count(plan, rows.filter(pa.array(slots == number)))


def _count(plan: Plan, rows: pa.Table) -> Profile:
    return count(plan, rows.schema, rows.to_batches())
