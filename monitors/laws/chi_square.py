"""Pearson's χ² law of the two-sample table, right in its far tail too."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.special import chdtrc, xlogy

from monitors.laws import two_proportions
from monitors.laws.tables import TINIEST, Array, Table, table

_ENOUGH = 5.0
"""Expected count that a cell needs for the χ² law (Cochran 1954)."""
_TAIL = 1e-3
"""Below this the p-value of the likelihood ratio is a floor to Pearson's."""
_DRAWS = 2_000
_SEED = 20_260_101
_COUNTABLE = 10**8
"""Above, drawing with or without replacement is the same."""


def p_value(
    reference: npt.ArrayLike,
    current: npt.ArrayLike,
    *,
    n_effective: float | None = None,
    m_effective: float | None = None,
) -> float:
    """Return P(X² ≥ the observed) when both rows of counts come from one law.

    X² = Σ (observed − expected)² / expected over the 2×k table, against χ² with k − 1 degrees of freedom.
    Both samples are treated as samples: the reference is not taken for the truth, which is what makes a
    one-sample test reject 12 to 75 % of identical pairs.

    Rare cells, expected less than 5 times in the smaller sample, are merged with one another, the rarest
    first, until the merged cell reaches 5. The merging looks at the pooled counts only, on which the test is
    conditional, so it costs no validity; it is chosen over simulation because a yearly budget needs p-values
    of 1e-8, which draws do not give. If all rare cells together do not reach 5 they join a dense one, and
    their total share is tested on its own too (exactly, `two_proportions`; the smaller p-value counts twice):
    thirty rows with a value that the reference never had are seen. Where no cell is dense the exact
    conditional law is drawn 2,000 times (seeded), so that p ≥ 1/2001 there.

    Below 1e-3 the p-value is never less than that of the likelihood ratio G = 2 Σ observed
    ln(observed/expected). X² grows quadratically in a count and its law does not know that a Poisson tail
    is longer than a normal one: with 5 expected, 20 seen have probability 8e-8 and Pearson says 2e-11; G
    says 5e-7.

    Parameters
    ----------
    reference, current
        Counts, shape (k,), k ≥ 1, the same cells in the same order.
    n_effective, m_effective
        Rows that each sample is worth, if fewer than it has (first-order Rao–Scott correction: X²/φ).

    Returns
    -------
    In (0, 1]: 1 for equal shares and for one occupied cell. Small is evidence of a difference.

    Raises
    ------
    DataError
        As `table`: an empty side, counts on different cells, negative counts.

    References
    ----------
    Pearson (1900); Cochran (1954), Biometrics 10; Rao and Scott (1981), JASA 76.
    """
    return of_table(table(reference, current, n_effective, m_effective))


def of_table(counts: Table) -> float:
    """Return the p-value of `p_value` for counts that are checked and scaled already."""
    counts = counts.occupied()
    if len(counts.reference) == 1:
        return 1.0
    if not (counts.smallest_expected >= _ENOUGH).any():
        return _exact(counts)
    merged = merge_rare(counts)
    freedom = len(merged.reference) - 1
    body = float(chdtrc(freedom, statistic(merged))) if freedom else 1.0
    return floored(_with_rare(body, counts), far_tail(counts))


def far_tail(counts: Table) -> float:
    """Return the p-value of the likelihood ratio G on the merged table, or that of the rare cells.

    The smaller of both counts, doubled, when the rare cells were merged into a dense one: rows with values
    that the reference never had would drown there, and are what nobody wants to miss.
    """
    merged = merge_rare(counts)
    freedom = len(merged.reference) - 1
    return _with_rare(float(chdtrc(freedom, likelihood_ratio(merged))) if freedom else 1.0, counts)


def _with_rare(p: float, counts: Table) -> float:
    """Weigh in the exact p-value of the rare cells' total share, if they fill no cell."""
    rare = counts.smallest_expected < _ENOUGH
    if not rare.any() or rare.all() or counts.smallest_expected[rare].sum() >= _ENOUGH:
        return p
    hits = float(counts.reference[rare].sum()), float(counts.current[rare].sum())
    exact = two_proportions.p_value(hits[0], counts.n, hits[1], counts.m)
    return min(1.0, 2 * min(p, exact))


def statistic(counts: Table) -> float:
    """Return Pearson's X² of the table, ≥ 0; every cell must be occupied."""
    return float(
        sum(((row - size * counts.pooled) ** 2 / (size * counts.pooled)).sum() for row, size in _rows(counts))
    )


def likelihood_ratio(counts: Table) -> float:
    """Return G = 2 Σ observed ln(observed / expected) of the table, ≥ 0; every cell must be occupied."""
    return max(
        0.0, 2 * float(sum(xlogy(row, row / (size * counts.pooled)).sum() for row, size in _rows(counts)))
    )


def merge_rare(counts: Table) -> Table:
    """Merge the cells that expect less than 5 in the smaller sample, the rarest first, until they do."""
    expected = counts.smallest_expected
    order = np.argsort(expected, kind="stable")
    label = np.empty(len(order), dtype=int)
    label[order] = _labels(expected[order])
    return counts.merged(label)


def floored(p: float, far: float) -> float:
    """Return `p`, but below 1e-3 never less than `far`, a p-value that is right in the far tail."""
    bounded = p if p >= _TAIL else max(p, min(_TAIL, far))
    return min(1.0, max(TINIEST, bounded))


def _labels(expected: Array) -> list[int]:
    """Return the merged cell of each cell; `expected` ascends.

    What is left over of the rare cells joins the merged cell before it, or the smallest dense one if none is.
    """
    rare = int(np.searchsorted(expected, _ENOUGH))
    labels: list[int] = []
    group, held = 0, 0.0
    for count in expected[:rare].tolist():
        labels.append(group)
        held += count
        if held >= _ENOUGH:
            group, held = group + 1, 0.0
    if group > 0:
        labels = [min(label, group - 1) for label in labels]
    return [*labels, *range(group, group + len(expected) - rare)]


def _exact(counts: Table) -> float:
    both = np.rint(counts.reference + counts.current).astype(np.int64)
    small = min(counts.n, counts.m)
    generator, rows = np.random.default_rng(_SEED), max(1, round(small))
    if both.sum() < _COUNTABLE:
        drawn = generator.multivariate_hypergeometric(both, min(rows, int(both.sum())), size=_DRAWS)
    else:
        drawn = generator.multinomial(rows, both / both.sum(), size=_DRAWS)
    size, shares = drawn.sum(axis=1, keepdims=True), both / both.sum()
    seen = counts.reference if counts.n <= counts.m else counts.current
    distance = ((drawn - size * shares) ** 2 / shares).sum(axis=1)
    observed = float(((seen - small * shares) ** 2 / shares).sum())
    return float((1 + np.count_nonzero(distance >= observed * (1 - 1e-9))) / (1 + _DRAWS))


def _rows(counts: Table) -> tuple[tuple[Array, float], tuple[Array, float]]:
    return (counts.reference, counts.n), (counts.current, counts.m)
