"""How far the inputs and predictions of the last windows lie from their reference, and how surely.

A column has drifted when, in some lookback, its distance matters (the spec's `effect`) **and** its p-value
for the two actual sizes is within the budget of false alarms.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from monitors import laws
from monitors.comparing.column_pair import ColumnPair
from monitors.dependence import Dependence
from monitors.drift.lookback import Look
from monitors.finding import NoData
from monitors.multivariate import correlation
from monitors.profiles.counting.cross import CrossMoments
from monitors.reference_profile import PREDICTION, ReferenceProfile
from spec import FeatureType, ModelSpec, Task
from spec.drift import DriftMethod

CORRELATION = "correlation"
"""The method of what is measured on all pairs of numeric columns together."""

PAIRS = "pairs of columns"
"""Stands for them where a column has its name."""

_SEEN = 0.25  # share of the reference's variance without which a correlation says nothing
_NO_LOOK = NoData("the window has no rows, or the reference none to compare them with")


@dataclass(frozen=True, slots=True)
class ColumnDrift:
    """What is to be said of one column.

    Of the lookbacks in which it has drifted, the one with the smallest p-value; else the longest.

    Parameters
    ----------
    method
        The distance; where the reference is constant, which has no deviation, total variation stands in for
        Wasserstein.
    score
        The distance, finite, at least 0, growing with drift; see `monitors.distances` for units and ranges.
    limit
        The score that matters.
    p_value
        How likely so large a score is when nothing has moved, in (0, 1].
    level
        The p-value that is no accident.
    lookback, since, rows
        Windows that were taken together, the start of the first, and their rows with a value.
    missing, missing_before
        Share of rows without a value in the lookback and in the reference.
    detail
        What else a reader should know: the pair whose correlation changed most.
    """

    column: str
    method: str
    score: float | NoData
    limit: float
    p_value: float = 1.0
    level: float = 0.0
    lookback: int = 1
    since: datetime | None = None
    rows: int = 0
    missing: float = 0.0
    missing_before: float = 0.0
    detail: str | None = None

    @property
    def drifted(self) -> bool:
        """Whether the score matters and is no accident; a column without a score has not drifted."""
        return isinstance(self.score, float) and self.score >= self.limit and self.p_value <= self.level


@dataclass(frozen=True, slots=True)
class Drift:
    """The drift of every feature in the model's order, of the predictions, and of the correlations.

    `correlation` is None where it is not looked at.
    """

    features: tuple[ColumnDrift, ...]
    prediction: ColumnDrift
    correlation: ColumnDrift | None = None
    rows: int = 0


def compare(spec: ModelSpec, looks: Sequence[Look], counts: ReferenceProfile) -> Drift:
    """Compare each column by its method in every lookback.

    Parameters
    ----------
    looks
        The shortest lookback first; none where there are no rows.
    counts
        Of the reference: how much its rows, and so those of a window, tell about one another.
    """
    wanted = spec.monitor.data_drift

    def column(name: str, *, is_ordered: bool) -> ColumnDrift:
        method = wanted.method if is_ordered else wanted.categorical_method
        readings = [
            _reading(look, name, method, wanted.effect, counts, is_last=look is looks[-1]) for look in looks
        ]
        return _told(readings) or ColumnDrift(name, method.value, _NO_LOOK, wanted.effect)

    features = tuple(
        column(name, is_ordered=feature.type is FeatureType.NUMERIC)
        for name, feature in spec.compared.items()
    )
    prediction = column(PREDICTION, is_ordered=spec.task is not Task.MULTICLASS)
    rows = max((look.current.profile.rows for look in looks), default=0)
    moved = {feature.column for feature in features if feature.drifted}
    shifts = [_shift(look, wanted.correlation, counts, moved) for look in looks] if wanted.correlation else []
    correlation = _told([shift for shift in shifts if shift is not None])
    return Drift(features, prediction, correlation, rows)


def _told(readings: Sequence[ColumnDrift]) -> ColumnDrift | None:
    """Return the reading that a column is told by: the surest drift, else the longest lookback."""
    drifted = [reading for reading in readings if reading.drifted]
    if drifted:
        return min(drifted, key=lambda reading: reading.p_value)
    scored = [reading for reading in readings if isinstance(reading.score, float)]
    told = scored or readings
    return told[-1] if told else None


def _reading(
    look: Look, name: str, wanted: DriftMethod, limit: float, counts: ReferenceProfile, *, is_last: bool
) -> ColumnDrift:
    """Return what one look says of a column; a p-value is asked for where it matters or will be shown."""
    sides = look.reference.profile.columns, look.current.profile.columns
    for side, columns in zip(("reference", "window"), sides, strict=True):
        if name not in columns:
            return ColumnDrift(name, wanted.value, NoData(f"the {side} does not have the column"), limit)
    before, now = (columns[name] for columns in sides)
    pair = ColumnPair(before, now)
    method = pair.method(wanted.value)
    effect = pair.effect(method)
    if isinstance(effect, NoData):
        return ColumnDrift(name, method, effect, limit)
    p_value: float | NoData = 1.0
    if is_last or effect.value >= limit:
        p_value = _p_value(look, pair, method, limit, counts.dependence)
    return ColumnDrift(
        column=name,
        method=method,
        score=effect.value,
        limit=limit,
        p_value=1.0 if isinstance(p_value, NoData) else p_value,
        level=look.scale.level,
        lookback=look.scale.length,
        since=look.span.start,
        rows=int(pair.n[1]),
        missing=1 - pair.n[1] / now.rows,
        missing_before=1 - pair.n[0] / before.rows,
    )


def _p_value(
    look: Look, pair: ColumnPair, method: str, limit: float, dependence: Dependence
) -> float | NoData:
    """Return the p-value for what the rows are worth, which hang together inside and between windows."""
    name, length = pair.reference.plan.name, look.scale.length
    of_reference = dependence.effect(name, method, look.reference.rows_a_window)
    effect = dependence.effect(name, method, look.current.rows_a_window, length)
    sizes = laws.effective_size(pair.n[0], of_reference), laws.effective_size(pair.n[1], effect)
    p_value = pair.p_value(method, sizes, limit)
    return p_value if isinstance(p_value, NoData) else dependence.p_value(p_value, length, effect)


def _shift(look: Look, limit: float, counts: ReferenceProfile, moved: Collection[str]) -> ColumnDrift | None:
    """Return the largest change of a rank correlation among those that are no accident, or 0.

    A column that has drifted by itself, or of which the look sees but one end, takes its correlations along:
    its pairs are left out.
    """
    before, now = look.reference.profile.cross, look.current.profile.cross
    if before is None or now is None:
        return None
    kept = [
        at
        for at, name in enumerate(before.names)
        if name != PREDICTION and name not in moved and _spread(now, at) >= _SEEN * _spread(before, at)
    ]
    if len(kept) < 2:  # noqa: PLR2004 - a pair
        return None
    pick, dependence = np.ix_(kept, kept), counts.dependence
    of_reference = dependence.joint_effects(look.reference.rows_a_window)
    effect = dependence.joint_effects(look.current.rows_a_window, look.scale.length)
    found = correlation.correlation(
        [before.names[at] for at in kept],
        before.spearman()[pick],
        (before.n / of_reference).astype(np.int64)[pick],
        now.spearman()[pick],
        (now.n / effect).astype(np.int64)[pick],
        threshold=limit,
    )
    if isinstance(found, NoData):
        return ColumnDrift(PAIRS, CORRELATION, found, limit)
    sure = _sure(found.pairs, look, dependence, float(np.max(effect)))
    return ColumnDrift(
        PAIRS,
        CORRELATION,
        score=max((abs(pair.shift) for pair in sure), default=0.0),
        limit=limit,
        p_value=found.p_value,
        level=look.scale.level,
        lookback=look.scale.length,
        since=look.span.start,
        rows=look.current.profile.rows,
        detail=f"{sure[0].first} × {sure[0].second}" if sure else None,
    )


def _sure(
    pairs: Sequence[correlation.PairShift], look: Look, dependence: Dependence, effect: float
) -> list[correlation.PairShift]:
    """Return the pairs that changed beyond their share of the look's level, whatever hangs together."""
    level = look.scale.level / len(pairs)
    small = [pair for pair in pairs if pair.p_value <= level]  # few blocks never make one smaller
    return [pair for pair in small if dependence.p_value(pair.p_value, look.scale.length, effect) <= level]


def _spread(moments: CrossMoments, at: int) -> float:
    """Return the variance of a column's ranks; 0 without rows."""
    n = int(moments.n[at, at])
    return int(moments.squares[at, at]) / n - (int(moments.sums[at, at]) / n) ** 2 if n else 0.0
