"""The law of two proportions, such as the shares of missing values of two samples."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy.special import betaln

from monitors.laws.saddlepoint import tail
from monitors.laws.tables import TINIEST, Table
from spec.errors import DataError, Problem

_LONGEST = 20_000
"""Up to this many possible tables the exact law is summed."""
_DEVIATIONS = 40
"""Tables that are farther out than the observed and this many deviations hold no probability."""


def p_value(hits_reference: float, n: float, hits_current: float, m: float) -> float:
    """Return P(a table as unlikely as the observed) when both proportions are one: Fisher's exact test.

    Two-sided: the sum of the probabilities, given all margins, of the tables that are no likelier than the
    observed. Exact for every size, so a share that goes from 0 of 1,000,000 to 3 of 100 gets its true 1e-12.
    Where more than 20,000 tables have probability (tens of thousands of hits, about) twice the one-sided
    saddlepoint tail stands in (`saddlepoint`), which is exact to a few percent at such sizes.

    Parameters
    ----------
    hits_reference, hits_current
        Rows that have it (are missing), 0 ≤ hits ≤ size. Fractions are rounded.
    n, m
        Rows of each side, ≥ 1; effective sizes if rows depend on one another, with the hits scaled alike.

    Returns
    -------
    In (0, 1]; 1 for equal shares, and when nothing or everything is missing on both sides. Small is evidence.

    Raises
    ------
    DataError
        An empty side, or hits outside [0, size]. All problems at once.

    References
    ----------
    Fisher (1935), JRSS 98. Conservative: with few hits the false-alarm rate is well below the nominal.
    """
    sides = (("reference", hits_reference, n), ("current", hits_current, m))
    problems = [
        Problem(f"{name} size", "must be at least 1 row", str(size), "Report an empty side as no data")
        for name, _, size in sides
        if not size >= 1
    ]
    problems += [
        Problem(f"{name} hits", "must be between 0 and the size", f"{hits} of {size}")
        for name, hits, size in sides
        if not 0 <= hits <= size
    ]
    if problems:
        raise DataError(problems)
    a, rows_a, b, rows_b = (round(value) for value in (hits_reference, n, hits_current, m))
    hits, misses = a + b, rows_a + rows_b - a - b
    if min(hits, misses) == 0:
        return 1.0
    tables = _tables(b, rows_a, rows_b, hits)
    if len(tables) > _LONGEST:
        more = 1.0 if b * rows_a >= a * rows_b else -1.0
        both = Table(np.array([rows_a - a, a], dtype=float), np.array([rows_b - b, b], dtype=float))
        return min(1.0, max(TINIEST, 2 * tail(np.array([0.0, more]), both)))
    return _fisher(b, rows_a, rows_b, hits, tables)


def given_margins(
    seen: int, n: int, m: int, hits: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]] | None:
    """Return all numbers of hits on the current side and their probabilities when both proportions are one.

    Parameters
    ----------
    seen
        The number of them that was seen.
    n, m
        Rows of the reference, and of the current side.
    hits
        Those of both sides that have it.

    Returns
    -------
    Shape (tables,) each, without tables that are much farther out than the one seen; None if there are more
    than 20,000.
    """
    tables = _tables(seen, n, m, hits)
    if len(tables) > _LONGEST:
        return None
    x = np.arange(tables.start, tables.stop)
    return x, np.exp(_log(x, n, m, hits))


def _tables(seen: int, n: int, m: int, hits: int) -> range:
    """Return the numbers of hits on the current side that have probability, given all margins."""
    mean = hits * m / (n + m)
    spread = abs(seen - mean) + _DEVIATIONS * (1 + math.sqrt(mean * (n + m - hits) / (n + m)))
    return range(max(0, hits - n, int(mean - spread)), min(hits, m, int(mean + spread)) + 1)


def _fisher(seen: int, n: int, m: int, hits: int, tables: range) -> float:
    x = np.arange(tables.start, tables.stop)
    log = _log(x, n, m, hits)
    # Tables of equal probability differ by rounding only: 1e-7 is what R and SciPy allow.
    no_likelier = log <= log[seen - x[0]] + 1e-7
    return float(min(1.0, max(TINIEST, np.exp(log[no_likelier]).sum())))


def _log(x: npt.NDArray[np.int64], n: int, m: int, hits: int) -> npt.NDArray[np.float64]:
    return _log_choose(m, x) + _log_choose(n, hits - x) - _log_choose(n + m, np.asarray(hits))


def _log_choose(n: int, k: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    return np.asarray(-np.log1p(n) - betaln(n - k + 1, k + 1), dtype=float)
