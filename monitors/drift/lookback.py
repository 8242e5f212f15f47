"""What a verdict on a window looks at: the last 1, 2, 4, … windows, each beside its reference."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from monitors.dependence import together
from monitors.detectors.scan import Budget, Scale, levels
from monitors.profiles.profile import Profile, merged
from monitors.reference_profile import ReferenceProfile, slot
from monitors.window_profiles import Past
from monitors.windows import EPOCH, Window
from spec import ModelSpec

_MICROSECONDS = 1e6
_ENOUGH = 0.5  # share of the windows of a rolling reference that must have rows


@dataclass(frozen=True, slots=True)
class Side:
    """The rows of one side, and how many of them a window has: they hang together inside it."""

    profile: Profile
    rows_a_window: float


@dataclass(frozen=True, slots=True)
class Look:
    """Some windows together beside their reference, and the level that their p-values must reach."""

    scale: Scale
    span: Window
    reference: Side
    current: Side


def scales(spec: ModelSpec) -> tuple[Scale, ...]:
    """Return the lookbacks of a spec, each with the level of one look at one column.

    The columns are the features that can be compared, the prediction and, where it is asked for, the
    correlation.
    """
    drift = spec.monitor.data_drift
    columns = len(spec.compared) + 1 + (drift.correlation is not None)
    budget = Budget(drift.false_alarms.count, drift.false_alarms.per)
    return levels(budget, spec.monitor.window, columns, drift.over)


def looks(spec: ModelSpec, window: Window, past: Past, counts: ReferenceProfile) -> tuple[Look, ...]:
    """Return what a verdict on a window looks at, the shortest lookback first; without rows there is no look.

    A look is due each time `scale.every` windows have closed, counted from the epoch, so that it is the same
    whoever asks and when; its verdict holds until the next. The single window is due always.
    """
    found = []
    for scale in scales(spec):
        closed = (window.end - EPOCH) // window.length
        span = window.shifted(-(closed % scale.every)).pooled(scale.length)
        current, reference = _sides(spec, span, past, counts)
        if current is not None and reference is not None:
            found.append(Look(scale, span, reference, current))
    return tuple(found)


def _sides(
    spec: ModelSpec, span: Window, past: Past, counts: ReferenceProfile
) -> tuple[Side | None, Side | None]:
    """Return the windows of a lookback, and what they are compared with."""
    against = spec.monitor.data_drift.reference
    if against.seasonal is not None:
        return _in_season(spec, span, past, counts)
    current = _together(past.within(span))
    if against.rolling is not None:
        windows = past.within(Window(span.start - against.rolling, span.start))
        rolling = _together(windows)
        if rolling is not None and len(windows) >= _ENOUGH * (against.rolling / past.length):
            return current, rolling
    return current, Side(counts.profile, counts.dependence.block_rows)


def _in_season(
    spec: ModelSpec, span: Window, past: Past, counts: ReferenceProfile
) -> tuple[Side | None, Side | None]:
    """Return the windows whose season the reference has, and the seasons of which there is a window."""
    starts = past.starts(span)
    times = np.array([start.timestamp() * _MICROSECONDS for start in starts], dtype=np.int64)
    slots = dict(zip(starts, slot(spec, times).tolist(), strict=True))
    kept = [start for start in starts if slots[start] in counts.seasons]
    if not kept:
        return None, None
    seasons = [counts.seasons[number] for number in sorted({slots[start] for start in kept})]
    reference = Side(merged(seasons), counts.dependence.block_rows)
    return _together(past.profiles[start] for start in kept), reference


def _together(profiles: Iterable[Profile]) -> Side | None:
    found = tuple(profiles)
    if not found:
        return None
    return Side(merged(found), together([profile.rows for profile in found]))
