"""When a share of rows is surely too large, for the number of rows that there are."""

from __future__ import annotations

ERROR = 0.001
"""Probability of accusing a window whose rows break a check with exactly the allowed probability."""


def surely_over(count: int, rows: int, limit: float) -> bool:
    """Return whether `count` of `rows` rows show a probability above `limit`.

    One-sided exact binomial test at `ERROR` (Clopper and Pearson, Biometrika 26 (1934) 404). A limit of 0
    allows no row, so that one is proof; a limit of 1 allows all.
    """
    if not count or count / rows <= limit:
        return False
    if not limit:
        return True
    from scipy.special import betainc  # noqa: PLC0415 - SciPy takes a while to import

    return bool(betainc(count, rows - count + 1, limit) <= ERROR)  # P(X ≥ count)
