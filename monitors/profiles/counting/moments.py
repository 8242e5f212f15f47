"""Sums of cells and of their squares in exact integers: the same in whatever order they are added."""

from __future__ import annotations

import numpy as np

from monitors.profiles.plan import Floats, Ints

EXACT_CELL = 2**18
"""Cells nearer than this one are summed as they are; those beyond with 18 leading bits."""

_BITS = 18  # squares of so many bits, summed over 2^17 cells, stay below 2^53


def cell_sums(cells: Floats, reach: float, buffer: Floats) -> tuple[int, int]:
    """Return the sum of cells and the sum of their squares.

    Parameters
    ----------
    cells
        Integers, shape (n,) with n at most 131,072; overwritten.
    reach
        No cell is farther from 0 than this.
    buffer
        Shape (n,); overwritten too.
    """
    if reach < EXACT_CELL:
        return _near_sums(cells, buffer)
    where = np.flatnonzero(np.abs(cells, out=buffer) >= EXACT_CELL)
    far = cells[where]
    cells[where] = 0
    near, distant = _near_sums(cells, buffer), _far_sums(far) if len(far) else (0, 0)
    return near[0] + distant[0], near[1] + distant[1]


def code_sums(codes: Ints, origin: int, buffer: Ints) -> tuple[int, int]:
    """Return the sum of cells and the sum of their squares, from integers that are larger by `origin`.

    Parameters
    ----------
    codes
        Shape (n,) with n at most 131,072, of cells nearer than `EXACT_CELL`.
    buffer
        Shape (n,); overwritten.
    """
    n, total, squares = len(codes), int(codes.sum()), int(np.multiply(codes, codes, out=buffer).sum())
    return total - n * origin, squares - 2 * origin * total + n * origin**2


def _near_sums(cells: Floats, buffer: Floats) -> tuple[int, int]:
    np.multiply(cells, cells, out=buffer)
    return int(cells.sum()), int(buffer.sum())


def _far_sums(cells: Floats) -> tuple[int, int]:
    """Return the sums of cells' 18 leading bits, exponent by exponent."""
    mantissas, exponents = np.frexp(cells)
    leading = np.rint(np.ldexp(mantissas, _BITS))
    least = int(exponents.min())
    totals, squares = (
        np.bincount(exponents - least, weights=part).tolist() for part in (leading, leading**2)
    )
    return (
        sum(int(part) << least + place - _BITS for place, part in enumerate(totals)),
        sum(int(part) << 2 * (least + place - _BITS) for place, part in enumerate(squares)),
    )
