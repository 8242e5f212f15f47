"""Where the bins of a numeric column lie, from a sample of the reference."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from monitors import grid
from monitors.plan import GRID, REACH, Family, Floats, Ints, Kind, NumericPlan

BODY = 512
"""Bins of equal mass in the reference; a value with more mass than that has one of its own."""

GROUPS = 20
"""Groups of equal mass in which the binned statistics (PSI, Jensen-Shannon, …) are counted."""

_TAIL = 0.005  # share of the reference on each side that the grid's scale does not follow
_WINSOR = 0.001
_MARGIN = 8  # bins between the end of the reference and the end of the grid
_DOUBLINGS = (1, 2, 4, 8, 16, 32, 64, 2**7, 2**8, 2**10, 2**12, 2**16, 2**24, 2**40, 2**64)
_COARSE = 2  # a cell with the mass of so many bins, and more than one value, is too coarse


def numeric_plan(name: str, kind: Kind, family: Family, sample: npt.NDArray[np.number]) -> NumericPlan:
    """Return the bins of a column.

    Parameters
    ----------
    sample
        Values of the reference without nulls, any numeric dtype, shape (n,); infinities and NaN are left out.
        None at all, and there is one bin.
    """
    values = np.sort(sample[np.isfinite(sample)] if sample.dtype.kind == "f" else sample)
    if not len(values):
        nothing = np.zeros(1, dtype=np.int64)
        return NumericPlan(name, kind, family, 0, 1.0, np.zeros(0), nothing, nothing, 0.0)
    center, step = _grid(values)
    cells = grid.cells(values, center, step)
    offsets = grid.offsets(values, center).astype(np.float64)
    exact = _too_coarse(cells, offsets)
    cuts = _spread(offsets) if exact else _cell_cuts(cells)
    places = offsets if exact else cells
    counts = np.bincount(np.searchsorted(cuts, places, side="right"), minlength=len(cuts) + 1)
    scale = _winsorized(offsets)
    return NumericPlan(name, kind, family, center, step, cuts, _groups(counts), _ranks(counts), scale, exact)


def _grid(values: npt.NDArray[np.number]) -> tuple[float | int, float]:
    """Return center and step: one for integers that fit on the grid, else a cell is 1/32,767 of the central 99 %."""
    last = len(values) - 1
    low, high = (values[round(last * share)].item() for share in (_TAIL, 1 - _TAIL))
    whole = values.dtype.kind in "iu"
    center = (low + high) // 2 if whole else low / 2 + high / 2
    reach = high - low if high > low else values[-1].item() - values[0].item()
    integral = whole or bool((np.rint(values) == values).all() and abs(center) < 2**52)
    if integral and reach <= GRID:
        return (center if whole else float(np.rint(center))), 1.0
    step = (high / GRID - low / GRID) if high > low else (values[-1] / GRID - values[0] / GRID)
    if not np.isfinite(step) or step <= 0 or not np.isfinite(1 / step):
        step = 1.0
    return center, float(step)


def _too_coarse(cells: Floats, offsets: Floats) -> bool:
    """Return whether some cell holds much mass that is not one value."""
    _, starts, counts = np.unique(cells, return_index=True, return_counts=True)
    heavy = counts > _COARSE * max(len(cells) / BODY, 1)
    first, last = starts[heavy], starts[heavy] + counts[heavy] - 1
    return bool((offsets[first] < offsets[last]).any())


def _cell_cuts(cells: Floats) -> Floats:
    """Return the cuts between bins of cells: the body, a margin to the grid's ends, doublings beyond."""
    inner = cells[(cells >= -GRID) & (cells <= GRID)]
    body = _body(inner, 1.0)
    ends = [np.rint(np.linspace(-GRID, body[0], _MARGIN)), np.rint(np.linspace(body[-1], GRID + 1, _MARGIN))]
    beyond = (GRID + 1) * np.array(_DOUBLINGS, dtype=np.float64)
    return np.unique(np.concatenate([-beyond, [-GRID], *ends, body, beyond]))


def _body(places: Floats, width: float) -> Floats:
    """Return cuts around values of much mass, and between runs of about equal mass of the others."""
    values, counts = np.unique(places, return_counts=True)
    if len(values) <= BODY:
        return np.unique(np.concatenate([values, _after(values, width)]))
    share = len(places) / BODY
    heavy = values[counts >= share]
    runs = places[np.round(np.linspace(0, len(places) - 1, BODY + 1)).astype(np.int64)]
    return np.unique(np.concatenate([runs, heavy, _after(heavy, width), _after(values[-1:], width)]))


def _after(places: Floats, width: float) -> Floats:
    return places + width if width else np.nextafter(places, np.inf)


def _spread(offsets: Floats) -> Floats:
    """Return cuts by offset, for a body that no even grid resolves."""
    body = _body(offsets, 0.0)
    reach = max(body[-1] - body[0], np.spacing(np.abs(body).max()))
    with np.errstate(over="ignore"):
        beyond = reach * np.array(_DOUBLINGS, dtype=np.float64)
        cuts = np.unique(np.concatenate([body[0] - beyond, body, body[-1] + beyond]))
    return cuts[np.isfinite(cuts)]


def _groups(counts: Ints) -> Ints:
    """Return the group of each bin: below the reference, runs of about equal mass, above it."""
    filled = np.flatnonzero(counts)
    before = np.cumsum(counts) - counts
    heavy = counts >= counts.sum() / GROUPS
    level = np.floor((before + counts / 2) / counts.sum() * GROUPS)
    level[: filled[0]] = -1
    level[filled[-1] + 1 :] = GROUPS
    changes = np.concatenate(
        [[0], (np.diff(level) > 0) | (heavy[1:] & ~heavy[:-1]) | _after_heavy(heavy, counts)]
    )
    groups: Ints = np.cumsum(changes).astype(np.int64)
    return groups


def _after_heavy(heavy: npt.NDArray[np.bool_], counts: Ints) -> npt.NDArray[np.bool_]:
    return heavy[:-1] & (counts[1:] > 0)


def _ranks(counts: Ints) -> Ints:
    """Return the mid-rank of each bin among the rows, from -63 to 63."""
    middle = (np.cumsum(counts) - counts / 2) / counts.sum()
    return np.rint((2 * middle - 1) * REACH).astype(np.int64)


def _winsorized(offsets: Floats) -> float:
    """Return the standard deviation of sorted offsets, of which the outermost 0.1 % (at least one row) are drawn in."""
    drawn = max(1, int(len(offsets) * _WINSOR)) if len(offsets) > 2 else 0  # noqa: PLR2004 - two rows have no middle
    with np.errstate(over="ignore", invalid="ignore"):
        clipped = np.clip(offsets, offsets[drawn], offsets[-1 - drawn])
        deviation = float(clipped.std()) or float(offsets.std())
    return deviation if np.isfinite(deviation) else 0.0
