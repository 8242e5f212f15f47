"""Where the bins of a numeric column lie, from a sample of the reference."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from monitors.profiles.counting import grid
from monitors.profiles.plan import GRID, REACH, Family, Floats, Ints, Kind, NumericPlan

BODY = 512
"""Bins of equal mass in the reference; a value with more mass than that has one of its own."""

GROUPS = 20
"""Groups of equal mass in which the binned statistics (PSI, Jensen-Shannon, …) are counted."""

_TAIL = 0.005  # share of the reference on each side that the grid's scale does not follow
_WINSOR = 0.001
_MARGIN = 8  # bins between the end of the reference and the end of the grid
_DOUBLINGS = 2.0 ** np.array([0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 16, 24, 40, 64])
_COARSE = 2  # a cell with the mass of so many bins, and more than one value, is too coarse
_LARGEST = float(np.finfo(np.float64).max)
_BESIDE_ZERO = 2.0**-60  # the step of a column of zeros: whatever else comes is another value
_SINGLE = 2.0**-22  # relative; values so near may be one, stored in single and in double precision
_SMALLEST = 2.0**-900  # a step below this one has no reciprocal, or cells that are no floats


Around = Callable[[Floats], tuple[Floats, Floats]]
"""From single values to the cuts before and after each."""


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
    center, step, whole = _grid(values)
    offsets = grid.offsets(values, center)
    cells = grid.to_cells(offsets, step)
    exact = _is_too_coarse(cells, values)
    if exact and isinstance(center, float) and abs(center) <= GRID * step:
        center = 0.0  # what spans decades is finest near 0
        offsets = grid.offsets(values, center)
    places = offsets if exact else cells
    cuts = (
        _spread(places, _whole if isinstance(center, int) else _single) if exact else _cell_cuts(places)
    ) + 0.0  # no -0.0
    counts = _counts(places, cuts)
    groups = _groups(counts, _far(cuts, places if exact else None))
    scale = _winsorized(offsets)
    ranks = _ranks(counts)
    return NumericPlan(
        name, kind, family, center, step, cuts, groups, ranks, scale, exact, whole and not exact
    )


def _grid(values: npt.NDArray[np.number]) -> tuple[float | int, float, bool]:
    """Return center, step, and whether all values are whole numbers that the grid tells apart.

    The step is 1 for integers that fit on the grid, a power of two for floats that are integers, the distance
    to the next single-precision float for a constant, else 1/32,766 of the span of the central 99 %.
    """
    last = len(values) - 1
    low, high = (values[round(last * share)].item() for share in (_TAIL, 1 - _TAIL))
    if low == high:
        low, high = values[0].item(), values[-1].item()
        middle = values[last // 2].item()
    elif isinstance(low, int):
        middle = (low + high) // 2
    else:
        middle = low / 2 + high / 2
    if isinstance(middle, int) and high - low <= GRID:
        return middle, 1.0, True
    if low == high:
        return middle, max(abs(middle) * _SINGLE, _SMALLEST) if middle else _BESIDE_ZERO, False
    if _are_integers(values) and high - low <= GRID:
        return float(np.rint(middle)), 2.0 ** -int(np.log2(GRID / (high - low))), True
    # An even number of cells puts both ends in the middle of theirs, where rounding cannot move them.
    return middle, float(max(high / (GRID - 1) - low / (GRID - 1), _SMALLEST)), False


def _are_integers(values: npt.NDArray[np.number]) -> bool:
    if values.dtype.kind in "iu":
        return True
    return bool(max(-values[0], values[-1]) < 2**52 and (np.rint(values) == values).all())


def _is_too_coarse(cells: Floats, values: npt.NDArray[np.number]) -> bool:
    """Return whether cells put together what bins should tell apart: values of a few, or much mass."""
    starts, counts = _runs(cells)
    mixed = values[starts] < values[starts + counts - 1]
    if not mixed.any():
        return False
    heavy = counts > _COARSE * max(len(cells) / BODY, 1)
    return bool((mixed & heavy).any()) or len(_runs(values)[0]) <= BODY


def _runs(places: npt.NDArray[np.number]) -> tuple[Ints, Ints]:
    """Return where each value of a sorted array begins, and how often it stands there."""
    starts = np.flatnonzero(np.concatenate([[True], places[1:] != places[:-1]]))
    return starts, np.diff(starts, append=len(places))


def _cell_cuts(cells: Floats) -> Floats:
    """Return the cuts between bins of cells: the body, a margin to the grid's ends, doublings beyond."""
    inner = cells[np.searchsorted(cells, -GRID) : np.searchsorted(cells, GRID, side="right")]
    body = _body(inner, _cell)
    ends = [np.rint(np.linspace(-GRID, body[0], _MARGIN)), np.rint(np.linspace(body[-1], GRID + 1, _MARGIN))]
    beyond = (GRID + 1) * _DOUBLINGS
    return np.unique(np.concatenate([-beyond, [-GRID], *ends, body, beyond]))


def _body(places: Floats, around: Around) -> Floats:
    """Return cuts around values of much mass, and between runs of about equal mass of the others."""
    starts, counts = _runs(places)
    values = places[starts]
    if len(values) <= BODY:
        return np.unique(np.concatenate(around(values)))
    heavy = values[counts >= len(places) / BODY]
    runs = places[np.round(np.linspace(0, len(places) - 1, BODY + 1)).astype(np.int64)]
    return np.unique(np.concatenate([runs, *around(heavy), around(values[-1:])[1]]))


def _cell(cells: Floats) -> tuple[Floats, Floats]:
    """Return the cuts around cells."""
    return cells, cells + 1


def _whole(offsets: Floats) -> tuple[Floats, Floats]:
    """Return the cuts around whole numbers."""
    return offsets, np.nextafter(offsets, np.inf)


def _single(offsets: Floats) -> tuple[Floats, Floats]:
    """Return the cuts around floats: what single precision makes of one is the same value."""
    with np.errstate(over="ignore"):
        near = np.maximum(np.abs(offsets) * _SINGLE, _SMALLEST)
        return np.maximum(offsets - near, -_LARGEST), np.minimum(offsets + near, _LARGEST)


def _spread(offsets: Floats, around: Around) -> Floats:
    """Return cuts by offset, for a body that no even grid resolves."""
    body = _body(offsets, around)
    with np.errstate(over="ignore"):
        reach = max(body[-1] - body[0], np.spacing(np.abs(body).max()))
        beyond = reach * _DOUBLINGS
        cuts = np.unique(np.concatenate([body[0] - beyond, body, body[-1] + beyond]))
    finite: Floats = cuts[np.isfinite(cuts)]
    return finite


def _counts(places: Floats, cuts: Floats) -> Ints:
    """Return how many of sorted places are in each bin."""
    return np.diff(np.searchsorted(places, cuts, side="left"), prepend=0, append=len(places))


def _far(cuts: Floats, offsets: Floats | None) -> tuple[int, int]:
    """Return how many bins lie far below the reference, and from which on they lie far above it.

    Far is beyond the grid, which reaches half a span of the central 99 % past it; of exact columns, given by
    their sorted offsets, farther away than the reference is wide.
    """
    if offsets is None:
        low, high = -float(GRID), GRID + 1.0
    else:
        with np.errstate(over="ignore"):
            reach = offsets[-1] - offsets[0]
            low, high = offsets[0] - reach, offsets[-1] + reach
    return int(np.searchsorted(cuts, low)), int(np.searchsorted(cuts, high, side="right"))


def _groups(counts: Ints, far: tuple[int, int]) -> Ints:
    """Return the group of each bin: far below the reference, below it, runs of equal mass, above, far above.

    Where at most 20 bins are filled each has a group; a bin of a tenth of the mass always has.
    """
    filled = np.flatnonzero(counts)
    if len(filled) <= GROUPS:
        level = np.cumsum(counts > 0)
    else:
        middle = np.cumsum(counts) - counts / 2
        level = np.floor(middle / counts.sum() * GROUPS).astype(np.int64) + 1
    level[: filled[0]] = 0
    level[filled[-1] + 1 :] = GROUPS + 1
    level[: min(far[0], filled[0])] = -1
    level[max(far[1], filled[-1] + 1) :] = GROUPS + 2
    groups: Ints = np.cumsum(np.diff(level, prepend=level[0]) > 0)
    return groups


def _ranks(counts: Ints) -> Ints:
    """Return the mid-rank of each bin among the rows, from -63 to 63."""
    middle = (np.cumsum(counts) - counts / 2) / counts.sum()
    ranks: Ints = np.rint((2 * middle - 1) * REACH).astype(np.int64)
    return ranks


def _winsorized(offsets: Floats) -> float:
    """Return the standard deviation of sorted offsets, the outermost 0.1 % (one row or more) drawn in."""
    drawn = max(1, int(len(offsets) * _WINSOR)) if len(offsets) > 2 else 0  # noqa: PLR2004 - no middle
    clipped = np.clip(offsets, offsets[drawn], offsets[-1 - drawn])
    return _deviation(clipped) or _deviation(offsets)


def _deviation(offsets: Floats) -> float:
    """Return the standard deviation, whose squares may be no floats."""
    finite = np.clip(offsets, -_LARGEST, _LARGEST)
    unit = max(-finite[0], finite[-1])
    return float((finite / unit).std() * unit) if finite[0] < finite[-1] else 0.0
