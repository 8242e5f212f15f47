"""How the rows of a reference hang together in time, at each length of looking back.

An hour of rain makes its rows alike; a day of rain makes its hours alike. So the design effect of eight
windows together is not that of one: it is measured between blocks of 1, 2, 4, … windows of the reference, as
long as there are enough of them, and continued as an autoregression beyond. What chance
alone would show between independent rows is not taken to grow: a short reference cannot tell, and a noise
multiplied would blind the monitor.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from typing import Any, Self

import numpy as np
from scipy.special import chdtri

from monitors import laws
from monitors.distances import METHODS
from monitors.finding import NoData
from monitors.profiles.counting.cross import CrossMoments
from monitors.profiles.plan import Floats, Ints, NumericPlan
from monitors.profiles.profile import Column, NumericColumn, Profile, merged

FEWEST = 28
"""Blocks between which a dispersion is measured; of blocks of one window, whatever there are."""

_STRAIGHT = 1 - 1e-9  # a correlation of 1 has no Fisher's z


@dataclass(frozen=True, slots=True)
class Dispersion:
    """The design effects of one column, each at least 1, for 1, 2, 4, … windows together.

    `cells` is for distances without order, `ordered` for those that know it.
    """

    cells: tuple[float, ...] = (1.0,)
    ordered: tuple[float, ...] = (1.0,)

    def of(self, method: str) -> tuple[float, ...]:
        """Return the design effects that a distance of `monitors.distances` has."""
        return self.ordered if METHODS[method].ordered else self.cells


@dataclass(frozen=True, slots=True)
class Dependence:
    """The design effects of a reference's columns and pairs of columns; nothing known means independent rows.

    Parameters
    ----------
    columns
        By name; a column that is not named has 1.
    joint
        Of the rank correlations, shape (columns, columns), for 1, 2, 4, … windows together.
    blocks
        Between how many blocks of 1, 2, 4, … windows of one time of the season they were measured, or as
        well as between so many.
    block_rows
        Rows of a window of the reference (`together`); 0 where the times of the rows are not known.
    """

    columns: Mapping[str, Dispersion] = field(default_factory=dict)
    joint: tuple[Floats, ...] = ()
    blocks: tuple[int, ...] = ()
    block_rows: float = 0.0

    def effect(self, name: str, method: str, rows: float, windows: int | None = None) -> float:
        """Return the design effect φ ≥ 1 of a column's rows.

        Parameters
        ----------
        rows
            Rows in a window: φ - 1, if it is no accident, is in proportion to how many hang together.
        windows
            Windows together; None for as many as the longest blocks had, which the reference is made of.
        """
        known = self.columns.get(name, Dispersion()).of(method)
        return float(self._grown([np.array(each) for each in known], rows, windows))

    def joint_effects(self, rows: float, windows: int | None = None) -> Floats | float:
        """Return the design effects of the correlations, as `effect`; 1 if they are not known."""
        return self._grown(self.joint, rows, windows) if self.joint else 1.0

    def p_value(self, p_value: float, windows: int, effect: float) -> float:
        """Return a p-value that knows from how few blocks its design effect was estimated.

        One that is within the chance of independent rows leaves the p-value as it is.
        """
        if not self.blocks:
            return p_value
        blocks = self.blocks[min(_scale(windows), len(self.blocks) - 1)]
        return laws.studentized(p_value, blocks) if effect > _chance(blocks) else p_value

    def to_record(self) -> dict[str, Any]:
        """Return JSON-able values; `from_record` reads them."""
        return {
            "columns": {name: asdict(found) for name, found in self.columns.items()},
            "joint": [np.round(each, 3).tolist() for each in self.joint],
            "blocks": list(self.blocks),
            "block_rows": self.block_rows,
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self:
        """Return what `to_record` wrote."""
        columns = {
            name: Dispersion(tuple(found["cells"]), tuple(found["ordered"]))
            for name, found in record["columns"].items()
        }
        joint = tuple(np.array(each) for each in record["joint"])
        return cls(columns, joint, tuple(record["blocks"]), record["block_rows"])

    def _grown(self, known: Sequence[Floats], rows: float, windows: int | None) -> Floats:
        scale = len(known) - 1 if windows is None else min(_scale(windows), len(known) - 1)
        larger: Floats | float = rows / self.block_rows if self.block_rows else 1.0
        if windows is not None and windows > 2**scale:
            larger = larger * _lasting(known, windows // 2**scale)
        is_known = known[scale] > (_chance(self.blocks[scale]) if self.blocks else 1.0)
        return 1 + (known[scale] - 1) * np.where(is_known, larger, 1.0)


def measured(
    windows: Mapping[int, Profile], whole: Profile, longest: int, season: int | None = None
) -> Dependence:
    """Return the dependence of a reference.

    Parameters
    ----------
    windows
        The profile of each window by its number since the epoch.
    whole
        The profile of all rows.
    longest
        Windows of the longest lookback.
    season
        Windows of a season, where windows are compared within seasons: a block is then held against those of
        the same time of the season. How hours differ alike on every day is no dependence there.
    """
    scales, strata = [], []
    for scale, blocks in enumerate(_blocks(windows, longest)):
        scales.append(list(blocks.values()))
        strata.append(_strata(windows, scale, season))
    columns = {
        name: _dispersion([[block.columns[name] for block in blocks] for blocks in scales], strata)
        for name in whole.plan.columns
    }
    joint = () if whole.cross is None else tuple(map(_joint, scales, strata))
    rows = together([window.rows for window in windows.values()])
    known = (len(times) - len(np.unique(times)) + 1 for times in strata)
    return Dependence(columns, joint, tuple(known), rows)


def together(sizes: Sequence[int]) -> float:
    """Return with how many rows of its window a row hangs together on average: Σn²/Σn."""
    rows = np.array(sizes, dtype=np.float64)
    return float(rows @ rows / rows.sum()) if rows.any() else 0.0


def coarse(column: Column) -> Floats:
    """Return the counts that unordered distances compare: the coarse groups, or the values and all others."""
    if isinstance(column, NumericColumn):
        return np.bincount(column.plan.groups, weights=column.counts).astype(np.float64)
    return np.append(column.counts, column.others.sum()).astype(np.float64)


def _blocks(windows: Mapping[int, Profile], longest: int) -> Iterator[dict[int, Profile]]:
    """Return the blocks of 1, 2, 4, … windows, as long as there are enough of them."""
    blocks, length = dict(windows), 1
    while length == 1 or (length <= longest and len(blocks) >= FEWEST):
        yield blocks
        pairs: dict[int, list[Profile]] = {}
        for number, block in blocks.items():
            pairs.setdefault(number // 2, []).append(block)
        blocks, length = {number: merged(both) for number, both in pairs.items()}, 2 * length


def _strata(windows: Collection[int], scale: int, season: int | None) -> Ints:
    """Return a number for each block of 2^scale windows: equal where they hold the same times of the season.

    All are equal where there is no season, or each block has one of its own: how much windows of one time
    differ is not to be told then, and how much the times differ stands for it.
    """
    held: dict[int, list[int]] = {}
    for window in windows:
        held.setdefault(window >> scale, []).append(window % season if season else 0)
    own = [tuple(sorted(set(times))) for times in held.values()]
    kinds = {times: number for number, times in enumerate(dict.fromkeys(own))}
    if len(kinds) == len(own):
        return np.zeros(len(own), dtype=np.int64)
    return np.array([kinds[times] for times in own], dtype=np.int64)


def _dispersion(scales: Sequence[Sequence[Column]], strata: Sequence[Ints]) -> Dispersion:
    cells, ordered = [], []
    for blocks, times in zip(scales, strata, strict=True):
        counts, is_ordered = np.stack([coarse(block) for block in blocks]), _is_ordered(blocks[0])
        found = laws.design_effect(counts, strata=times)
        ranked = laws.design_effect(counts, ordered=is_ordered, strata=times)
        cells.append(1.0 if isinstance(found, NoData) else found)
        ordered.append(1.0 if isinstance(ranked, NoData) else ranked)
    return Dispersion(tuple(cells), tuple(ordered))


def _is_ordered(column: Column) -> bool:
    return isinstance(column.plan, NumericPlan)


def _joint(profiles: Sequence[Profile], strata: Ints) -> Floats:
    """Return how much more the blocks' rank correlations vary than those of as many independent rows would.

    The mean over blocks of (n - 3)(z_block - z)² / (1 + r²/2) with z = atanh r of all rows of the same times
    of the season: 1 for independent ones. Two columns may each differ little between blocks and still go
    together in another way in each, as the hour and the wind of a day do.
    """
    alike: dict[int, list[CrossMoments]] = {}
    for profile, time in zip(profiles, strata.tolist(), strict=True):
        if profile.cross is not None:
            alike.setdefault(time, []).append(profile.cross)
    parts = [_apart(blocks) for blocks in alike.values()]
    sums, freedom = (sum(each[1:], each[0]) for each in zip(*parts, strict=True))
    return np.asarray(np.maximum(sums / np.maximum(freedom, 1), 1.0))


def _apart(blocks: Sequence[CrossMoments]) -> tuple[Floats, Floats]:
    """Return the sum over the blocks of one time, and its degrees of freedom."""
    rho = sum(blocks[1:], blocks[0]).spearman()
    each = np.stack([block.spearman() for block in blocks])
    rows: Ints = np.maximum(np.stack([block.n for block in blocks]) - 3, 0)
    z, of_all = (np.arctanh(np.clip(side, -_STRAIGHT, _STRAIGHT)) for side in (each, rho))
    apart = rows * (z - of_all) ** 2 / (1 + rho**2 / 2)
    known = np.isfinite(apart)
    return np.where(known, apart, 0).sum(axis=0), np.maximum(known.sum(axis=0) - 1.0, 0.0)


def _lasting(known: Sequence[Floats], blocks: int) -> Floats | float:
    """Return how many times more so many of the longest blocks hang together than one.

    1 + 2 Σ (1 - k/m) rho^k over k < m, of an autoregression whose correlation rho from block to block is
    that of the last doubling: φ - 1 grew by 1 + rho there. Of a single length nothing is known, and rho is 1.
    """
    if len(known) == 1:
        return float(blocks)
    before, last = known[-2] - 1, known[-1] - 1
    rho = np.clip(np.divide(last, before, out=np.full_like(last, 2.0), where=before > 0) - 1, 0, 1)
    lags = np.arange(1, blocks)
    return np.asarray(1 + 2 * np.sum((1 - lags / blocks) * rho[..., None] ** lags, axis=-1))


@cache
def _chance(blocks: int) -> float:
    """Return the dispersion that blocks of independent rows stay below, 19 times of 20."""
    return float(chdtri(blocks - 1, 0.05)) / (blocks - 1) if blocks > 1 else math.inf


def _scale(windows: int) -> int:
    return windows.bit_length() - 1
