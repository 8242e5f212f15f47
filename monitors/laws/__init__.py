"""How likely a distance is when nothing has moved: p-values for the two actual sample sizes.

One law a file. `p_value` chooses by the name of the distance; every law takes both samples as samples.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from monitors.laws import bridge, chi_square, divergences, kolmogorov
from monitors.laws.dispersion import design_effect, effective_size, studentized
from monitors.laws.false_discovery import benjamini_hochberg, benjamini_yekutieli, e_benjamini_hochberg
from monitors.laws.tables import Table, table
from spec.errors import DataError, Problem, did_you_mean

__all__ = [
    "METHODS",
    "benjamini_hochberg",
    "benjamini_yekutieli",
    "design_effect",
    "e_benjamini_hochberg",
    "effective_size",
    "p_value",
    "studentized",
]

METHODS = frozenset({"wasserstein", "ks", "chi_square", *divergences.METHODS})
"""Names of `monitors.distances` that have a law here."""


def p_value(
    method: str,
    reference_counts: npt.ArrayLike,
    current_counts: npt.ArrayLike,
    *,
    edges: npt.ArrayLike | None = None,
    groups: npt.ArrayLike | None = None,
    n_effective: float | None = None,
    m_effective: float | None = None,
) -> float:
    """Return P(distance ≥ the observed) when both rows of counts come from one law.

    Parameters
    ----------
    method
        The distance: one of `METHODS`.
    reference_counts, current_counts
        Counts of rows, shape (bins,) each, the same bins in the same order (of the values, for
        `wasserstein` and `ks`).
    edges
        Shape (bins + 1,), for `wasserstein` only: borders of the bins, in the column's unit, the outer
        ones may be infinite.
    groups
        Shape (bins,): the coarse group of each bin, 0, 1, …; counts are added up over it first. For the
        distances without order; `wasserstein` and `ks` look at the fine bins always.
    n_effective, m_effective
        Rows that each side is worth, if its rows depend on one another (`effective_size`).

    Returns
    -------
    In (0, 1], never 0; small is evidence of a difference. 1 for equal shares and for a constant. One extreme
    row has the p-value of one row, however far it lies. 20 µs (KS) to 0.4 ms (Wasserstein); 5 ms for sparse
    unordered cells, which are drawn. All seeded: the same counts give the same value.

    Raises
    ------
    DataError
        An unknown method, an empty side, counts or edges or groups that do not fit. All problems at once.
    """
    problems = []
    if method not in METHODS:
        problems.append(
            Problem("method", "must be a distance with a law", method, did_you_mean(method, METHODS))
        )
    if method == "wasserstein" and edges is None:
        problems.append(Problem("edges", "must be given for wasserstein: it measures in the column's unit"))
    if problems:
        raise DataError(problems)
    counts = table(reference_counts, current_counts, n_effective, m_effective)
    if method == "wasserstein" and edges is not None:
        return bridge.p_value(counts, edges)
    if method == "ks":
        moved = np.cumsum(counts.reference) / counts.n - np.cumsum(counts.current) / counts.m
        return kolmogorov.p_value(float(np.abs(moved).max()), max(1.0, counts.n), max(1.0, counts.m))
    counts = counts if groups is None else _grouped(counts, np.asarray(groups))
    return chi_square.of_table(counts) if method == "chi_square" else divergences.p_value(method, counts)


def _grouped(counts: Table, groups: npt.NDArray[np.int64]) -> Table:
    if groups.shape != counts.reference.shape or groups.dtype.kind not in "iu" or (groups < 0).any():
        must = "must be a whole number from 0 for each bin"
        raise DataError([Problem("groups", must, f"shape {groups.shape}, {groups.dtype}")])
    return counts.merged(groups)
