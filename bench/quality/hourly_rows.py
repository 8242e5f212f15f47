"""Rows of hourly windows that never drift, drawn one by one and counted by a plan."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from bench.quality.streams import CATEGORICAL, CYCLIC, NUMERIC, SIZES, frequencies, marginal
from monitors.profiles.counting.categories import BUCKETS
from monitors.profiles.plan import ColumnPlan, NumericPlan
from monitors.profiles.profile import CategoricalColumn, Column, NumericColumn

LAW = 65_536
"""Equally likely values of a law: rows of the reference and of the windows are draws of the same ones."""

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Law:
    """What a feature's rows are drawn from: for each state, `LAW` equally likely values."""

    name: str
    values: npt.NDArray[Any]
    """Shape (states, LAW); increasing along the second axis for numbers."""


def law(name: str, way: str) -> Law:
    """Return a feature's law in each state that its windows can be in."""
    if name in CATEGORICAL:
        shares = frequencies(SIZES[CATEGORICAL.index(name)])
        codes = np.searchsorted(np.cumsum(shares), (np.arange(LAW) + 0.5) / LAW).clip(max=len(shares) - 1)
        return Law(name, np.array([f"v{at:02}" for at in range(len(shares))])[codes][None])
    normal = ndtri((np.arange(LAW) + 0.5) / LAW)
    offsets = np.zeros(1)
    if name in NUMERIC[:CYCLIC] and way == "hour of day":
        offsets = 0.5 * np.sin(2 * np.pi * np.arange(24) / 24)
    elif name in NUMERIC[:CYCLIC] and way == "day effects":
        offsets = np.array([-0.2, 0.0, 0.2])
    return Law(name, np.stack([marginal(name, normal + offset) for offset in offsets]))


def states(way: str, hours: int, count: int, random: np.random.Generator) -> Ints:
    """Return the state of each hour."""
    if count == 1:
        return np.zeros(hours, dtype=np.int64)
    if way == "hour of day":
        return np.arange(hours) % 24
    return np.repeat(random.integers(count, size=-(-hours // 24)), 24)[:hours]


@dataclass(frozen=True)
class Counted:
    """What was drawn for each hour: counts (hours, bins), and the least and the greatest value."""

    counts: Ints
    least: Floats
    most: Floats


def windows(found: Law, plan: ColumnPlan, state: Ints, rows: int, random: np.random.Generator) -> Counted:
    """Draw `rows` rows for each hour and count them by the plan."""
    drawn = random.integers(LAW, size=(len(state), rows), dtype=np.uint16)
    if isinstance(plan, NumericPlan):
        bins, size = np.searchsorted(plan.edges[1:-1], found.values, side="right"), plan.bins
        least, most = (found.values[state, edge] for edge in (drawn.min(axis=1), drawn.max(axis=1)))
    else:
        known = {value: at for at, value in enumerate(plan.values)}
        bins, size = np.vectorize(known.__getitem__)(found.values), len(plan.values)
        least = most = np.zeros(len(state))
    flat = bins[state[:, None], drawn] + size * np.arange(len(state))[:, None]
    counts = np.bincount(flat.ravel(), minlength=size * len(state)).reshape(len(state), size)
    return Counted(counts, least, most)


def column_of(plan: ColumnPlan, counted: Counted, hour: int) -> Column:
    """Return an hour's column of a profile."""
    counts = counted.counts[hour]
    if isinstance(plan, NumericPlan):
        least, most = float(counted.least[hour]), float(counted.most[hour])
        return NumericColumn(plan, counts, minimum=least, maximum=most)
    return CategoricalColumn(plan, counts, np.zeros(BUCKETS, dtype=np.int64), {})
