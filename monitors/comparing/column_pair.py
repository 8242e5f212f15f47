"""One column of two profiles: every statistic of it, with its bound, and how likely it is by chance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from monitors import laws
from monitors.distances import METHODS
from monitors.distances.counts import Flags, Floats
from monitors.distances.ks import ks_measured
from monitors.distances.wasserstein import histograms_apart
from monitors.finding import NoData
from monitors.laws import two_proportions
from monitors.profiles.plan import Kind, NumericPlan
from monitors.profiles.profile import Column, NumericColumn

Sizes = tuple[float, float]
"""Rows that each side is worth, the reference first; see `laws.effective_size`."""

CONSTANT = "total_variation"
"""Stands in for the Wasserstein distance from a constant, which has no unit: the share of rows off it."""

_TAILS = (0.01, 0.001, 0.0001)  # share of the rows on each side that the bulk of a column leaves out


@dataclass(frozen=True, slots=True)
class Effect:
    """A distance, and by how much that of the values themselves may differ from it at most.

    Statistics of unordered bins are exact for the plan's frozen groups or values: `within` is 0.
    """

    value: float
    within: float = 0.0


@dataclass(frozen=True, slots=True)
class Missing:
    """Rows without a usable value (null, NaN, infinite) of both sides, neither of which is empty.

    Parameters
    ----------
    rows
        Of each side, the reference first.
    counts
        Those without a usable value.
    """

    rows: tuple[int, int]
    counts: tuple[int, int]

    @property
    def reference(self) -> float:
        """Share of the reference, in [0, 1]."""
        return self.counts[0] / self.rows[0]

    @property
    def current(self) -> float:
        """Share of the current side, in [0, 1]."""
        return self.counts[1] / self.rows[1]

    @property
    def any(self) -> bool:
        """Whether there is a row without a value on either side."""
        return sum(self.counts) > 0

    @property
    def effect(self) -> float:
        """The Jensen-Shannon distance of present against missing, in √nats."""
        if not self.any:
            return 0.0
        sides = [(gone, rows - gone) for rows, gone in zip(self.rows, self.counts, strict=True)]
        return METHODS["jensenshannon"].function(*sides)

    def p_value(self, sizes: Sizes | None = None) -> float:
        """Return how likely so different shares are when nothing changed, in (0, 1]: Fisher's exact test."""
        worth = [min(1.0, size / rows) for size, rows in zip(sizes or self.rows, self.rows, strict=True)]
        sides = [
            (gone * part, rows * part) for gone, rows, part in zip(self.counts, self.rows, worth, strict=True)
        ]
        return two_proportions.p_value(*sides[0], *sides[1])


class ColumnPair:
    """A column of the reference and the same column of the current side, counted by one plan.

    Values are finite ones: nulls, NaN and infinities are left out, and counted as missing.
    """

    __slots__ = ("_bins", "current", "n", "reference")

    def __init__(self, reference: Column, current: Column) -> None:
        self.reference, self.current = reference, current
        self._bins = _bins(reference), _bins(current)
        self.n: Sizes = (float(self._bins[0].sum()), float(self._bins[1].sum()))

    @property
    def name(self) -> str:
        """The column's name."""
        return self.reference.plan.name

    @property
    def kind(self) -> Kind:
        """What the column is."""
        return self.reference.plan.kind

    @property
    def unusable(self) -> NoData | None:
        """Why nothing can be said of the values; None if something can."""
        for side, column, n in zip(
            ("reference", "current side"), (self.reference, self.current), self.n, strict=True
        ):
            if not n:
                rows = column.rows
                return NoData(
                    f"the {side} has no values, only {rows} missing ones" if rows else f"the {side} is empty"
                )
        return None

    def method(self, wanted: str) -> str:
        """Return the statistic to take: the one wanted, or `CONSTANT` where the reference is constant."""
        return CONSTANT if wanted == "wasserstein" and not self._scale else wanted

    def effect(self, method: str) -> Effect | NoData:
        """Return a statistic of `METHODS`; NoData for an empty side and for a meaningless question.

        Ordered statistics have no meaning for categories, nor Wasserstein where the reference is constant.
        """
        if (unusable := self.unusable) is not None:
            return unusable
        plan = self.reference.plan
        if not METHODS[method].ordered:
            return Effect(float(METHODS[method].of_many(*self._grouped(method))))  # type: ignore[misc]
        if not isinstance(plan, NumericPlan):
            return NoData(f"{method} is for values that have an order")
        if method == "ks":
            return Effect(*ks_measured(*self._bins, _atoms(plan)))
        if not self._scale:
            return NoData("the reference is constant: it has no deviation to measure in")
        whole = plan.exact or plan.whole
        atoms = _atoms(plan) if whole else None
        return Effect(*histograms_apart(*self._bins, _offsets(plan), self._scale, self._ends(), atoms))

    def p_value(self, method: str, sizes: Sizes | None = None, least: float = 0.0) -> float | NoData:
        """Return how likely so large a distance is when nothing changed, in (0, 1], for the two actual sizes.

        The Wasserstein distance of a column with values far off is at the mercy of them: one row at 1e12 is
        all of it, and has the p-value of one row. There the same distance with those values drawn in is
        tested too, if it matters by itself, and the smaller of both p-values counts twice.

        Parameters
        ----------
        sizes
            What the rows of each side are worth, if they depend on one another.
        least
            The effect that matters.
        """
        if (unusable := self.unusable) is not None:
            return unusable
        n, m = sizes or (None, None)
        if method != "wasserstein":
            counts = self._bins if METHODS[method].ordered else self._grouped(method)
            return laws.p_value(method, *counts, n_effective=n, m_effective=m)
        counts, edges = self._occupied()
        found = laws.p_value(method, *counts, edges=edges, n_effective=n, m_effective=m)
        drawn_in = _drawn_in(*counts, edges)
        if drawn_in is None:
            return found
        if _apart(*counts, drawn_in) >= least * self._scale:
            found = min(found, laws.p_value(method, *counts, edges=drawn_in, n_effective=n, m_effective=m))
        return min(1.0, 2 * found)

    def _occupied(self) -> tuple[tuple[Floats, Floats], Floats]:
        """The bins from the first to the last that holds a row; their borders end where the rows do."""
        reference, current = self._bins
        filled = (reference + current).nonzero()[0]
        first, last = int(filled[0]), int(filled[-1])
        edges = _offsets(self.reference.plan)[first : last + 2]  # type: ignore[arg-type]
        lows, highs = self._ends()
        edges[0] = min(lows) if min(lows) < edges[1] else edges[0]
        edges[-1] = max(highs) if max(highs) > edges[-2] else edges[-1]
        return (reference[first : last + 1], current[first : last + 1]), edges

    def missing(self) -> Missing | NoData:
        """Return the rows without a usable value; NoData if a side has no rows at all."""
        gone = _unusable(self.reference), _unusable(self.current)
        rows = int(self.n[0]) + gone[0], int(self.n[1]) + gone[1]
        if not all(rows):
            return NoData(f"the {'current side' if rows[0] else 'reference'} is empty")
        return Missing(rows, gone)

    @property
    def _scale(self) -> float:
        plan = self.reference.plan
        return plan.scale if isinstance(plan, NumericPlan) else 1.0

    def _grouped(self, method: str) -> tuple[Floats, Floats]:
        """The counts of what has no order: of coarse groups, of values; of fine bins around a constant."""
        plan = self.reference.plan
        if isinstance(plan, NumericPlan):
            if method == CONSTANT and not plan.scale:
                return self._bins
            starts = np.flatnonzero(np.diff(plan.groups, prepend=-1))
            return np.add.reduceat(self._bins[0], starts), np.add.reduceat(self._bins[1], starts)
        reference, current = self._bins
        filled = reference + current > 0
        return reference[filled], current[filled]

    def _ends(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """The smallest values of both sides and the largest, as offsets from the plan's center."""
        lows, highs = [], []
        for side in (self.reference, self.current):
            if isinstance(side, NumericColumn) and side.minimum is not None and side.maximum is not None:
                lows.append(float(side.minimum - side.plan.center))
                highs.append(float(side.maximum - side.plan.center))
        return (lows[0], lows[1]), (highs[0], highs[1])


def all_statistics(reference: Column, current: Column) -> dict[str, Effect | NoData]:
    """Return every statistic of `METHODS` by name, for a column counted on both sides by the same plan."""
    pair = ColumnPair(reference, current)
    return {name: pair.effect(name) for name in METHODS}


def _bins(column: Column) -> Floats:
    if isinstance(column, NumericColumn):
        return column.counts.astype(np.float64)
    return np.concatenate([column.counts, column.others]).astype(np.float64)


def _drawn_in(reference: Floats, current: Floats, edges: Floats) -> Floats | None:
    """The borders of the bins, those far off drawn in; None if nothing lies far off.

    Far is beyond three times the span of the central 98 % of both sides together (99.8 or 99.98 % where those
    are one bin): it depends on no more than what the p-value is conditional on.
    """
    share = np.cumsum(reference + current)
    share /= share[-1]
    for tail in _TAILS:
        first, last = (int(at) for at in np.searchsorted(share, (tail, 1 - tail)))
        if first < last:
            with np.errstate(over="ignore"):
                reach = edges[last + 1] - edges[first]
                low, high = edges[first] - reach, edges[last + 1] + reach
            return np.clip(edges, low, high) if edges[0] < low or edges[-1] > high else None
    return None


def _apart(reference: Floats, current: Floats, edges: Floats) -> float:
    """The Wasserstein distance of rows in the middle of their bins, in the unit of the edges."""
    moved = np.cumsum(reference / reference.sum() - current / current.sum())
    return float(np.abs(moved[:-1]) @ np.diff(edges[:-1] / 2 + edges[1:] / 2))


def _unusable(column: Column) -> int:
    if isinstance(column, NumericColumn):
        return column.missing + column.pos_inf + column.neg_inf
    return column.missing


def _offsets(plan: NumericPlan) -> Floats:
    """The borders of the bins as distances from the center: exact where the values exceed floats."""
    with np.errstate(over="ignore"):
        inner = plan.cuts if plan.exact else (plan.cuts - 0.5) * plan.step
    return np.concatenate([[-np.inf], inner, [np.inf]])


def _atoms(plan: NumericPlan) -> Flags:
    """Which bins are a single cell, or what single precision tells from no other: to the plan, one value."""
    atoms = np.zeros(plan.bins, dtype=bool)
    if plan.exact:
        with np.errstate(over="ignore"):  # beside the largest float there is nothing near
            near = np.maximum(np.abs(plan.cuts[1:]) * 2.0**-20, np.spacing(np.abs(plan.cuts[:-1])))
        atoms[1:-1] = plan.cuts[1:] - plan.cuts[:-1] <= near
    else:
        atoms[1:-1] = plan.cuts[1:] - plan.cuts[:-1] <= 1
    return atoms
