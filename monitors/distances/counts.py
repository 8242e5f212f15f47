"""Counts of two sides by the same bins, checked and as shares."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from spec import DataError, Problem

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


def checked(reference: npt.ArrayLike, current: npt.ArrayLike) -> tuple[Floats, Floats]:
    """Return both sides as float64 arrays of shape (bins,).

    Raises
    ------
    DataError
        A side is not of one dimension, has other bins than the other side, is negative somewhere, holds a
        number that is not finite, or counts no row.
    """
    sides = np.asarray(reference, dtype=np.float64), np.asarray(current, dtype=np.float64)
    if sides[0].ndim != 1 or sides[0].shape != sides[1].shape:
        shapes = " and ".join(str(side.shape) for side in sides)
        raise DataError([Problem("counts", "both sides must count the same bins, shape (bins,)", shapes)])
    problems = [
        Problem(f"{name} counts", "must be finite, at least 0, and count one row at least", _found(side))
        for name, side in zip(("reference", "current"), sides, strict=True)
        if not (0 < side.sum() < np.inf and side.min() >= 0)
    ]
    if problems:
        raise DataError(problems)
    return sides


def _found(side: Floats) -> str:
    return f"a sum of {side.sum():g}, a minimum of {side.min():g}" if side.size else "no bins"


def shares(counts: Floats) -> Floats:
    """Return counts of shape (…, bins) divided by their sums over the bins."""
    divided: Floats = counts / counts.sum(axis=-1, keepdims=True)
    return divided


def smoothed(reference: Floats, current: Floats) -> tuple[Floats, Floats]:
    """Return both sides as shares without zeros, where either side has a row; shape (…, bins).

    Half a row of the smaller side is added to every bin that holds a row on any side, as the same *share* on
    both sides: p' = (p + δ) / (1 + kδ) with δ = ½ / min(n, m) and k such bins. For equal sizes this is the
    rule of Krichevsky and Trofimov. The same share, rather than half a row each, keeps equal shares equal
    whatever the sizes: with 100 rows against a million, half a row each would make a difference of 0.005
    against 0.0000005 out of a bin that is empty on both sides.

    A bin that is empty on both sides gets the same tiny share on both, which no divergence sees.
    """
    least = np.minimum(reference.sum(axis=-1, keepdims=True), current.sum(axis=-1, keepdims=True))
    added = 0.5 / least
    filled = np.count_nonzero(reference + current, axis=-1, keepdims=True)
    whole = 1 + filled * added
    return (shares(reference) + added) / whole, (shares(current) + added) / whole
