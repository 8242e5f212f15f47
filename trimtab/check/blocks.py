"""How much rows depend on one another in time, so that they are not counted for more than they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from monitors.engines import local
from monitors.engines.sources import open_source
from monitors.finding import NoData
from monitors.laws.dispersion import design_effect, effective_size
from monitors.profiles import tally
from monitors.profiles.counting import columns as stored
from monitors.profiles.counting.arrow_arrays import arrow_numbers, present
from monitors.profiles.plan import Ints, Plan
from monitors.profiles.profile import Column, NumericColumn, Profile

_SAMPLE = 2**16
_FEWEST = 8  # blocks from which their dispersion says something
_UNITS = {
    "4 weeks": 28 * 86_400_000_000,
    "week": 7 * 86_400_000_000,
    "day": 86_400_000_000,
    "hour": 3_600_000_000,
    "minute": 60_000_000,
}


@dataclass(frozen=True, slots=True)
class Dependence:
    """What the rows of each side are worth, by column, and the same in words."""

    sizes: Mapping[str, tuple[float, float]]
    told: str


def dependence(
    reference: object, current: object, timestamp: str, profiles: tuple[Profile, Profile]
) -> Dependence:
    """Return effective sizes from the dispersion between blocks of time of the reference.

    Blocks are the longest of minute, hour, day, week and 4 weeks of which the reference has 8. The design
    effect φ of a column (`laws.design_effect`) belongs to blocks of the sample's size; it is scaled to those
    of each file. At most 65,536 rows of each are looked at.
    """
    plan = profiles[0].plan
    wanted = {timestamp, *plan.columns}
    names = [name for name in open_source(reference).schema.names if name in wanted]
    rows = local.sample(reference, _SAMPLE, columns=names)
    times = [_times(rows, timestamp), _times(local.sample(current, _SAMPLE, columns=[timestamp]), timestamp)]
    unit = _unit(times[0])
    if unit is None:
        return Dependence({}, f"not allowed for: {timestamp} has too few different times in the reference")
    blocks = [np.floor_divide(each, _UNITS[unit]) for each in times]
    counted = _counted(rows, blocks[0], Plan(plan.columns))
    mean = len(rows) / len(counted)
    scales = [
        profile.rows / max(len(np.unique(block)), 1) / mean
        for profile, block in zip(profiles, blocks, strict=True)
    ]
    sizes, worst = {}, (1.0, "")
    for name, column in profiles[0].columns.items():
        effects = [_effect([block.columns[name] for block in counted], scale) for scale in scales]
        pair = zip((column, profiles[1].columns[name]), effects, strict=True)
        n, m = (max(effective_size(side.n, effect), 1.0) for side, effect in pair)
        sizes[name] = (n, m)
        worst = max(worst, (column.n / n, name))
    return Dependence(sizes, _told(unit, len(counted), worst))


def _told(unit: str, blocks: int, worst: tuple[float, str]) -> str:
    apart = f"allowed for, by {unit} of {blocks} in the reference"
    factor, name = worst
    if factor < 1.5:  # noqa: PLR2004 - what chance does to independent rows
        return f"{apart}: rows of one {unit} are as different as any others"
    return f"{apart}: in {name}, {factor:,.0f} rows tell as much as 1 independent one"


def _unit(times: Ints) -> str | None:
    return next((unit for unit, size in _UNITS.items() if len(np.unique(times // size)) >= _FEWEST), None)


def _times(rows: pa.Table, name: str) -> Ints:
    """Return microseconds since the epoch, shape (rows,); rows without a time are in a block of their own."""
    array = rows.column(name).combine_chunks()
    times = np.full(len(array), np.iinfo(np.int64).min, dtype=np.int64)
    times[present(array)] = stored.numbers(array)
    return times


def _counted(rows: pa.Table, blocks: Ints, plan: Plan) -> list[Profile]:
    """Return a profile for each block, in the order of time."""
    order = np.argsort(blocks, kind="stable")
    borders = np.flatnonzero(np.diff(blocks[order], prepend=blocks[order[0]] - 1))
    ordered = rows.take(arrow_numbers(order)).combine_chunks()
    ends = [*borders[1:].tolist(), len(rows)]
    parts = [ordered.slice(start, end - start) for start, end in zip(borders.tolist(), ends, strict=True)]
    return [tally.count(plan, part.schema, part.to_batches()) for part in parts]


def _effect(blocks: list[Column], scale: float) -> float | NoData:
    first = blocks[0]
    if isinstance(first, NumericColumn):
        starts = np.flatnonzero(np.diff(first.plan.groups, prepend=-1))
        counts = [np.add.reduceat(block.counts, starts) for block in blocks]
        return design_effect(np.stack(counts), ordered=True, window=scale)
    return design_effect(np.stack([block.counts for block in blocks]), window=scale)
