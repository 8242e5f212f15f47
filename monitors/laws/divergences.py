"""The null laws of distances between two rows of shares, from the pooled profile and the two sizes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import numpy.typing as npt
from scipy.special import chdtrc, gammaincc, ndtr

from monitors.distances.hellinger import hellinger_of_many
from monitors.distances.jensenshannon import jensenshannon_of_many
from monitors.distances.kl_div import kl_div_of_many
from monitors.distances.l_infinity import l_infinity_of_many
from monitors.distances.psi import psi_of_many
from monitors.distances.total_variation import total_variation_of_many
from monitors.laws import two_proportions
from monitors.laws.chi_square import far_tail, floored
from monitors.laws.saddlepoint import tail, two_sided_tail
from monitors.laws.tables import TINIEST, Array, Table

_SEED = 20_260_103
_DRAWS = (100, 1_000)
_NUMBERS = 30_000
"""Numbers drawn for a p-value: 1,000 draws of up to 30 cells, down to 100 draws of 300 and more."""
_ENOUGH = 250
"""Draws that suffice where the quadratic part, whose moments are known, is most of the distance."""
_FEWEST = 4
"""Rows of both sides together without which no table is unlikely."""
_COUNTED, _SURE = 0.1, 1e-9
"""Between these the gamma law only continues what many draws count; what is surer no factor changes."""
_DRAWS_COUNTED, _NUMBERS_COUNTED = (1_000, 3_000), 60_000
_TIED = 0.01
"""From here on draws are too few to count: the gamma law is tied to their quantile."""
_NEAR_QUADRATIC = frozenset({"jensenshannon", "hellinger"})
_COUNTABLE = 10**8
"""Above, drawing with or without replacement is the same."""
_DENSE = 50.0
"""From this expected count in each cell on, the closed form needs no draws."""
_FAR = 0.1

_STATISTIC: dict[str, Callable[[Array, Array], Array]] = {
    "psi": psi_of_many,
    "kl_div": kl_div_of_many,
    "jensenshannon": lambda p, q: jensenshannon_of_many(p, q) ** 2,
    "hellinger": lambda p, q: hellinger_of_many(p, q) ** 2,
    "total_variation": total_variation_of_many,
    "l_infinity": l_infinity_of_many,
}
_CURVATURE = {"psi": 1.0, "kl_div": 0.5, "jensenshannon": 0.125, "hellinger": 0.125}
"""Half the second derivative of each at equal shares: distance ≈ curvature · Σ (p − q)²/pooled."""

_TWO = 2

METHODS = frozenset(_STATISTIC)


def p_value(method: str, counts: Table) -> float:
    """Return P(distance ≥ the observed) when both rows of counts come from one law.

    `psi`, `kl_div`, and the squares of `jensenshannon` and `hellinger` tend to c·(1/n + 1/m)·χ² with k − 1
    degrees of freedom (c = 1, ½, ⅛, ⅛) when every cell expects 50 rows on both sides. Otherwise, and for
    `total_variation` always, tables with the margins of the one seen are drawn (seeded) and a gamma law is
    fitted to mean and variance: of the same squares, whose tails are exponential as the gamma's is, so
    that 1e-8 is reached by its shape and not by counting draws; of `total_variation` itself, whose tail is
    shorter, so that its p-values err on the safe side. Between 0.1 and 0.01 that only says where to look:
    there up to 3,000 tables are drawn and counted, and below the gamma law is tied to their 99th percentile
    (by two moments alone 1.5 % of the p-values of ten values in 100 rows were below 1 %). Below 1e-3 the
    p-value is never less than the likelihood ratio's (`chi_square`), to which by Sanov's theorem the far tail
    of each belongs; `total_variation`, a difference of two means in its far tail, has the saddlepoint's.

    `l_infinity` = max |p − q| has the union of its cells' two-proportion tails, 1 − Π(1 − 2Φ̄(d/s_b)), at
    least the saddlepoint tail of the largest cell times the number of cells that vary as much.

    Where there are but two cells, a boolean's, and one of them expects fewer than 50 rows, the law given the
    margins is summed: exact, and conservative as Fisher's test is.

    Parameters
    ----------
    method
        One of `METHODS`.
    counts
        Both rows, shape (k,). Cells that are empty in both are left out.

    Returns
    -------
    In (0, 1]: 1 for equal shares and for one occupied cell. From 0.1 to 1e-4 at least 0.6 times what brute
    force gives, and up to ten times too large far out in sparse tables (`kl_div` worst); `l_infinity` is 2.4
    times too large at 1e-2 for 100 rows in 20 cells.

    References
    ----------
    Yurdakul and Naranjo (2020), Journal of Risk Model Validation 14, for psi; Sanov (1957); Dawson (1954),
    Biometrika 41, for the variance of X² given the margins.
    """
    counts = counts.occupied()
    cells = len(counts.reference)
    if cells == 1 or np.array_equal(counts.reference * counts.m, counts.current * counts.n):
        return 1.0
    if method == "l_infinity" and cells > _TWO:
        return _largest(counts)
    if cells == _TWO and (exact := _of_two_cells(method, counts)) is not None:
        return exact
    value = float(_STATISTIC[method](counts.reference, counts.current))
    if method in _CURVATURE and counts.smallest_expected.min() >= _DENSE:
        p = float(chdtrc(cells - 1, value / (_CURVATURE[method] * (1 / counts.n + 1 / counts.m))))
    else:
        p = _drawn(method, value, counts)
    if method == "total_variation":
        moved = np.sign(counts.current / counts.m - counts.reference / counts.n)
        return min(1.0, max(TINIEST, p, min(_FAR, two_sided_tail(moved, counts))))
    return floored(p, far_tail(counts))


def _of_two_cells(method: str, counts: Table) -> float | None:
    """Return the exact p-value given all margins; None where there are rows enough for the limit."""
    if counts.smallest_expected.min() >= _DENSE:
        return None
    a, b, n, m = (round(size) for size in (counts.reference[0], counts.current[0], counts.n, counts.m))
    law = two_proportions.given_margins(b, n, m, a + b)
    if law is None:
        return None
    x, likely = law
    reference, current = (np.stack([hits, size - hits], axis=1) for hits, size in ((a + b - x, n), (x, m)))
    distance = np.asarray(_STATISTIC[method](reference.astype(float), current.astype(float)))
    as_far = distance >= distance[b - x[0]] * (1 - 1e-9)
    return float(min(1.0, max(TINIEST, likely[as_far].sum())))


def _drawn(method: str, value: float, counts: Table) -> float:
    both = _whole(counts.reference + counts.current)
    if both.sum() < _FEWEST:
        return 1.0
    is_near = method in _NEAR_QUADRATIC and both.sum() < _COUNTABLE
    number = _ENOUGH if is_near else int(np.clip(_NUMBERS // len(both), *_DRAWS))
    reference, current = _tables(both, round(counts.m), number)
    draws = np.asarray(_STATISTIC[method](reference, current))
    mean, variance = float(draws.mean()), float(draws.var(ddof=1))
    if variance <= 0:  # every table is as far
        return 1.0
    if is_near:
        mean, variance = _beyond_pearson(draws, _CURVATURE[method], reference, current) or (mean, variance)
    law = partial(_gamma, mean=mean, variance=variance)
    if not _SURE < law(value) < _COUNTED:
        return law(value)
    many = int(np.clip(_NUMBERS_COUNTED // len(both), *_DRAWS_COUNTED))
    return _counted(value, np.asarray(_STATISTIC[method](*_tables(both, round(counts.m), many))), law)


def _gamma(distance: float, mean: float, variance: float) -> float:
    return float(gammaincc(mean**2 / variance, distance * mean / variance))


def _counted(value: float, draws: Array, law: Callable[[float], float]) -> float:
    """Return the share of draws that are as far; beyond their 99th percentile, `law` tied to it there."""
    found = float((1 + np.count_nonzero(draws >= value * (1 - 1e-9))) / (1 + len(draws)))
    if found > _TIED:
        return found
    border = float(np.quantile(draws, 1 - _TIED))
    return _TIED * min(1.0, law(value) / max(TINIEST, law(border)))


def _tables(both: npt.NDArray[np.int64], size: int, number: int) -> tuple[Array, Array]:
    """Draw `number` tables with these margins, `size` rows of them the current side's; shape (number, k)."""
    rows = int(both.sum())
    size = min(max(1, size), rows - 1)
    generator = np.random.default_rng(_SEED)
    if rows < _COUNTABLE:
        drawn = generator.multivariate_hypergeometric(both, size, number, method="marginals")
        return (both - drawn).astype(float), drawn.astype(float)
    reference, current = (generator.multinomial(side, both / rows, number) for side in (rows - size, size))
    return reference.astype(float), current.astype(float)


def _whole(both: Array) -> npt.NDArray[np.int64]:
    """Return whole numbers of the same sum: what is left of rounding down goes to the largest remainders."""
    low = np.floor(both)
    left = round(float(both.sum())) - int(low.sum())
    low[np.argsort(low - both, kind="stable")[:left]] += 1
    return np.asarray(low[low > 0], dtype=np.int64)


def _beyond_pearson(
    draws: Array, curvature: float, reference: Array, current: Array
) -> tuple[float, float] | None:
    """Return mean and variance, drawing only how far the distance is from its quadratic part.

    That is a multiple of Pearson's X², whose moments given the margins are known. None where so few draws
    leave no variance.
    """
    n, m, both = float(reference[0].sum()), float(current[0].sum()), reference[0] + current[0]
    unit = curvature * (1 / n + 1 / m)
    pearson = ((current - m * both / (n + m)) ** 2 / both).sum(axis=1) * (n + m) ** 2 / (n * m)
    beyond = draws - unit * pearson
    mean, variance = _of_pearson(n, m, both)
    variance *= unit**2
    variance += 2 * float(np.cov(unit * pearson, beyond)[0, 1]) + float(beyond.var(ddof=1))
    return (unit * mean + float(beyond.mean()), variance) if variance > 0 else None


def _of_pearson(n: float, m: float, both: Array) -> tuple[float, float]:
    """Return mean and variance of X² given all margins (Haldane 1940; Dawson 1954, for two rows)."""
    rows, cells = n + m, len(both)
    mean = rows * (cells - 1) / (rows - 1)
    of_sides, of_cells = (rows - 2) / (rows - 1), (cells - 1) * (rows - cells) / (rows - 1)
    uneven_sides = (rows / n + rows / m - 4) / (rows - 2)
    uneven_cells = (float((rows / both).sum()) - cells**2) / (rows - 2)
    spread = 2 * rows / (rows - 3) * (of_sides - uneven_sides) * (of_cells - uneven_cells)
    return mean, spread + rows**2 / (rows - 1) * uneven_sides * uneven_cells


def _largest(counts: Table) -> float:
    moved = counts.current / counts.m - counts.reference / counts.n
    cell = int(np.abs(moved).argmax())
    spread = np.sqrt(counts.pooled * (1 - counts.pooled) * (1 / counts.n + 1 / counts.m))
    p = float(-np.expm1(np.log1p(-2 * ndtr(-np.abs(moved[cell]) / spread)).sum()))
    if p < _FAR:
        indicator: Array = np.zeros(len(moved))
        indicator[cell] = np.sign(moved[cell])
        alike = np.count_nonzero(spread >= spread[cell])
        p = max(p, alike * tail(indicator, counts))
    return float(min(1.0, max(TINIEST, p)))
