"""What a reference is to the drift engine: its profile, how its rows hang together, its seasons."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import numpy as np
import pyarrow as pa

from monitors import laws
from monitors.cross import CrossMoments
from monitors.distances import METHODS
from monitors.finding import NoData
from monitors.plan import Floats, Ints, Kind, NumericPlan, Plan
from monitors.planning import SAMPLE, make_plan
from monitors.profile import Column, NumericColumn, Profile
from monitors.tally import count
from spec.drift import SEASONS
from spec.model import ModelSpec, Task

PREDICTION = "prediction"
"""Column of the scores beside the features: P(positive), the value, or the index of the likeliest class."""

MAX_PAIRED = 64
"""Numeric columns, the prediction among them, up to which their correlations are counted."""

_MAX_BLOCKS = 400  # the newest; the dispersion of so many is known to a few percent
_STRAIGHT = 1 - 1e-9  # a correlation of 1 has no Fisher's z
_TICK = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Dispersion:
    """The design effects of one column, each at least 1: so many rows of a window tell as much as one.

    `cells` is for distances without order, `ordered` for those that know it.
    """

    cells: float = 1.0
    ordered: float = 1.0

    def of(self, method: str) -> float:
        """Return the design effect that a distance of `monitors.distances` has."""
        return self.ordered if METHODS[method].ordered else self.cells


@dataclass(frozen=True, slots=True)
class ReferenceProfile:
    """The counts that windows are compared with.

    Parameters
    ----------
    profile
        Of all rows of the reference, by the plan that was taken from them: features and `prediction`.
    dispersion
        By column, from blocks of one window's length; a column that is not named has 1.
    joint
        The design effects of the rank correlations of two numeric columns, shape (columns, columns); None
        where they are not counted.
    block_rows
        Mean rows of such a block; 0 where the times of the rows are not known.
    seasons
        The profile of each slot of the season that the spec names, by its number (see `slot`).
    """

    profile: Profile
    dispersion: Mapping[str, Dispersion] = field(default_factory=dict)
    joint: Floats | None = None
    block_rows: float = 0.0
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
    blocks = list(_newest_blocks(plan, rows, times // (spec.monitor.window // _TICK)))
    dispersion = {name: _dispersion([block.columns[name] for block in blocks]) for name in plan.columns}
    return ReferenceProfile(
        whole,
        dispersion,
        _joint(whole.cross, [block.cross for block in blocks if block.cross is not None]),
        float(np.mean([block.rows for block in blocks])),
        dict(_seasons(spec, plan, rows, times)),
    )


def slot(spec: ModelSpec, time_us: Ints) -> Ints:
    """Return the number of the window of the season, from 0, that times (µs since the epoch) lie in."""
    season = SEASONS[spec.monitor.data_drift.reference.seasonal or "week"]
    return np.asarray(time_us % (season // _TICK) // (spec.monitor.window // _TICK))


def coarse(column: Column) -> Floats:
    """Return the counts that unordered distances compare: the coarse groups, or the values and all others."""
    if isinstance(column, NumericColumn):
        return np.bincount(column.plan.groups, weights=column.counts).astype(np.float64)
    return np.append(column.counts, column.others.sum()).astype(np.float64)


def _plan(spec: ModelSpec, rows: pa.Table) -> Plan:
    kinds = {name: Kind(feature.type.value) for name, feature in spec.features.items()}
    kinds[PREDICTION] = Kind.CATEGORICAL if spec.task is Task.MULTICLASS else Kind.NUMERIC
    paired = sum(kind is Kind.NUMERIC for kind in kinds.values()) <= MAX_PAIRED
    if rows.num_rows > SAMPLE:
        rows = rows.take(np.sort(np.random.default_rng(0).choice(rows.num_rows, SAMPLE, replace=False)))
    return make_plan(rows, kinds=kinds, pairs=paired)


def _newest_blocks(plan: Plan, rows: pa.Table, index: Ints) -> Iterator[Profile]:
    for block in np.unique(index)[-_MAX_BLOCKS:]:
        yield _count(plan, rows.filter(pa.array(index == block)))


def _seasons(spec: ModelSpec, plan: Plan, rows: pa.Table, times: Ints) -> Iterator[tuple[int, Profile]]:
    if spec.monitor.data_drift.reference.seasonal is None:
        return
    slots = slot(spec, times)
    for number in np.unique(slots):
        yield int(number), _count(plan, rows.filter(pa.array(slots == number)))


def _dispersion(blocks: list[Column]) -> Dispersion:
    counts = np.stack([coarse(block) for block in blocks])
    ordered = isinstance(blocks[0].plan, NumericPlan)
    found = laws.design_effect(counts)
    ranked = laws.design_effect(counts, ordered=ordered)
    if isinstance(found, NoData) or isinstance(ranked, NoData):
        return Dispersion()
    return Dispersion(found, ranked)


def _joint(whole: CrossMoments | None, blocks: Sequence[CrossMoments]) -> Floats | None:
    """Return how much more the blocks' rank correlations vary than those of as many independent rows would.

    The mean over blocks of (n - 3)(z_block - z)² / (1 + r²/2) with z = atanh r of all rows: 1 for independent
    ones. Two columns may each differ little between blocks and still go together in another way in each, as
    the hour and the wind of a day do.
    """
    if whole is None:
        return None
    rho = whole.spearman()
    each = np.stack([block.spearman() for block in blocks])
    rows = np.maximum(np.stack([block.n for block in blocks]) - 3, 0)
    z, of_all = (np.arctanh(np.clip(side, -_STRAIGHT, _STRAIGHT)) for side in (each, rho))
    apart = rows * (z - of_all) ** 2 / (1 + rho**2 / 2)
    known = np.isfinite(apart)
    found = np.where(known, apart, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    return np.asarray(np.maximum(found, 1.0))


def _count(plan: Plan, rows: pa.Table) -> Profile:
    return count(plan, rows.schema, rows.to_batches())
