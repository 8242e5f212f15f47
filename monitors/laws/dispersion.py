"""How much evidence rows carry that depend on one another inside a block (a day, an hour, a customer)."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri, stdtr

from monitors.finding import NoData
from spec.errors import DataError, Problem

_FEWEST = 2

Counts = npt.NDArray[np.float64]
_AXES = 2


def design_effect(
    blocks: npt.ArrayLike,
    *,
    ordered: bool = False,
    window: float = 1.0,
    strata: npt.ArrayLike | None = None,
) -> float | NoData:
    """Return φ ≥ 1: n dependent rows carry the evidence of n/φ independent ones.

    The Pearson dispersion of the blocks' counts about the pooled shares p, φ_b = Σ_j Σ_i (c_ji − n_j
    p_i)²/(n_j p_i) / ((J − 1)(k − 1)), over J blocks and the k cells that are occupied. (J − 1)(k − 1) is
    the expectation of the sum (but for a factor N/(N − 1)) for independent rows, whatever the sizes, so
    that φ_b has mean 1 then. First-order Rao–Scott: dividing χ² by φ_b gives it its mean back under H₀,
    for differences between samples that are made of such blocks.

    That is the mean over all k − 1 directions. A block that shifts the whole column moves one of them
    only, and it is the one that Wasserstein and Kolmogorov–Smirnov look at: with `ordered`, φ is at least
    the dispersion of the blocks' mean ranks, Σ_j n_j (r̄_j − r̄)² / ((J − 1)·s²). Ask for it for every
    number, whatever the distance: a mean over directions keeps the level of none when one of them has all
    the variance.

    A sample that holds only a part of the blocks' cycle — a window of one block — carries the whole of their
    variance; φ belongs to blocks of the mean size n̄ and grows with it, as 1 + (n̄ − 1)rho. For samples whose
    blocks are of another size, `window` says how many times larger.

    Parameters
    ----------
    blocks
        Counts, shape (J, k): a row for each block of the reference, on the cells that are compared (the
        coarse groups, or the values). Blocks without rows are left out. Cells need not be dense: the
        expectation is exact for sparse ones.
    ordered
        Whether the cells are in the order of a number, and the distance knows it.
    window
        Size of a block of the monitored stream over that of a reference's block, > 0.
    strata
        Shape (J,): the season of each block (its hour of the week). Blocks are then held against those of
        their own season, for samples that are compared within seasons. None: all are of one.

    Returns
    -------
    φ, at least 1: less dispersion than chance is no evidence for more than n rows. NoData with fewer than two
    blocks in every season, or with a column that is constant.

    Raises
    ------
    DataError
        Counts that are negative or not finite or not of two axes, or a window ≤ 0.

    References
    ----------
    Rao and Scott (1981), JASA 76; Brier (1980), Biometrika 67; McCullagh and Nelder (1989), §4.5.
    """
    counts = np.asarray(blocks, dtype=float)
    problems = []
    if counts.ndim != _AXES or not (np.isfinite(counts).all() and (counts >= 0).all()):
        must = "must be counts of shape (blocks, cells), finite and at least 0"
        problems.append(Problem("blocks", must, f"shape {counts.shape}"))
    if not window > 0:
        problems.append(Problem("window", "must be above 0", str(window)))
    if problems:
        raise DataError(problems)
    seasons = np.zeros(len(counts)) if strata is None else np.asarray(strata)
    known = counts.sum(axis=1) > 0
    parts = [counts[known & (seasons == season)] for season in np.unique(seasons)]
    parts = [part for part in parts if len(part) >= _FEWEST]
    if not parts:
        most = f"{int(known.sum())} blocks with rows"
        return NoData(
            f"{most}; the dispersion between blocks needs 2"
            + (" of one season" if strata is not None else "")
        )
    parts = [part[:, part.sum(axis=0) > 0] for part in parts]
    parts = [part for part in parts if part.shape[1] >= _FEWEST]
    if not parts:
        return NoData("one occupied cell: a constant has no dispersion")
    found = _pooled(map(_dispersion, parts))
    if ordered:
        found = max(found, _pooled(map(_rank_dispersion, parts)))
    return max(1.0, 1.0 + (found - 1.0) * window)


def effective_size(n: float, effect: float | NoData) -> float:
    """Return n/φ, at least 1 and at most n; n itself where φ could not be had.

    Parameters
    ----------
    n
        Rows, ≥ 0.
    effect
        φ of `design_effect`.
    """
    return n if isinstance(effect, NoData) or n <= 0 else min(n, max(1.0, n / max(1.0, effect)))


def studentized(p_value: float, blocks: int) -> float:
    """Return the p-value when φ was estimated from `blocks` blocks and not known.

    The normal deviate of the p-value is read as one of Student's t with blocks − 1 degrees of freedom. It
    matters far out: with 28 blocks 5e-7 becomes 3e-5, which is the rate of false alarms that is seen. Too
    cautious where the blocks' variation is that of independent rows.

    Parameters
    ----------
    p_value
        In (0, 1], from effective sizes.
    blocks
        Blocks that φ came from, ≥ 2.

    Raises
    ------
    DataError
        Fewer than 2 blocks, or a p-value outside (0, 1].
    """
    problems = []
    if not 0 < p_value <= 1:
        problems.append(Problem("p_value", "must be above 0 and at most 1", str(p_value)))
    if blocks < _FEWEST:
        problems.append(Problem("blocks", f"must be at least {_FEWEST}", str(blocks)))
    if problems:
        raise DataError(problems)
    return float(min(1.0, 2 * stdtr(blocks - 1, ndtri(p_value / 2))))


def _pooled(parts: Iterable[tuple[float, float]]) -> float:
    """Return the sum of sums over the sum of their degrees of freedom."""
    sums, freedom = zip(*parts, strict=True)
    return float(sum(sums) / sum(freedom))


def _dispersion(counts: Counts) -> tuple[float, float]:
    """Return Pearson's sum, of the expectation that its degrees of freedom have, and these."""
    size = counts.sum(axis=1, keepdims=True)
    total = float(size.sum())
    expected = size * counts.sum(axis=0) / total
    pearson = float(((counts - expected) ** 2 / expected).sum())
    freedom = (counts.shape[0] - 1) * (counts.shape[1] - 1)
    # Given all margins the mean of the sum is freedom·N/(N − 1), exactly (Haldane 1940).
    return pearson * (total - 1) / total, freedom


def _rank_dispersion(counts: Counts) -> tuple[float, float]:
    size, cells = counts.sum(axis=1), counts.sum(axis=0)
    ranks = (np.cumsum(cells) - cells / 2) / cells.sum()
    mean = cells @ ranks / cells.sum()
    variance = float(cells @ (ranks - mean) ** 2 / (cells.sum() - 1))
    between = float(size @ (counts @ ranks / size - mean) ** 2)
    return between / variance, len(counts) - 1
