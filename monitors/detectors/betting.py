"""E-values for a mean of bounded values, by betting against it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from monitors.finding import NoData
from spec.errors import DataError, Problem

_MOST = 0.5
"""Share of the largest admissible stake: all of it would lose everything on one value."""


@dataclass(frozen=True, slots=True)
class MeanBet:
    """Bet that values in [0, 1] have a mean above `mean`: L_t = 1 + stake_t·(x_t − mean).

    The stake is chosen before x_t is seen, from the past alone, so E[L_t | the past] ≤ 1 whenever the
    conditional mean is at most `mean`, whatever the distribution and however the values depend on one
    another. It approximates Kelly's: stake = (m̂ − mean)/(v̂ + (m̂ − mean)²) with the running mean m̂ and
    variance v̂, in [0, 1/(2·mean)], so that L_t ≥ ½. Feed ln L_t to an `EDetector`.

    To watch for a fall, bet on 1 − x. Constant values at `mean` give L = 1 for ever.

    Parameters
    ----------
    mean
        What must not be exceeded, in (0, 1).
    count, total, squares
        Values so far, their sum of values and of squares: the state.
    forget
        Weight that the past keeps at each step, in (0, 1]: below 1 the stake adapts to the last 1/(1 −
        forget) values, which a detector needs to see a late change.

    Raises
    ------
    DataError
        `mean` or `forget` outside its range.

    Examples
    --------
    >>> bet, wealth = MeanBet(mean=0.1), 0.0
    >>> for x in [0.0] * 9 + [1.0] * 6:
    ...     bet, log_e = bet.update(x)
    ...     wealth += log_e
    >>> round(wealth, 2)
    1.96

    References
    ----------
    Waudby-Smith and Ramdas (2024), Estimating means of bounded random variables by betting, JRSS B 86
    (aGRAPA).
    """

    mean: float
    count: float = 1.0
    total: float | None = None
    squares: float | None = None
    forget: float = 1.0

    def __post_init__(self) -> None:
        problems = [
            Problem(name, must, str(value))
            for name, value, fits, must in (
                ("mean", self.mean, 0 < self.mean < 1, "must be between 0 and 1"),
                ("forget", self.forget, 0 < self.forget <= 1, "must be above 0 and at most 1"),
            )
            if not fits
        ]
        if problems:
            raise DataError(problems)

    @property
    def stake(self) -> float:
        """The next stake, in [0, 1/(2·mean)]."""
        total, squares = self._sums()
        centre = total / self.count
        variance = max(0.0, squares / self.count - centre**2)
        edge = centre - self.mean
        return min(_MOST / self.mean, edge / (variance + edge**2)) if edge > 0 else 0.0

    def update(self, value: float | NoData) -> tuple[MeanBet, float | NoData]:
        """Return the bet for the next value, and ln L of this one.

        Raises
        ------
        DataError
            A value outside [0, 1], NaN included: say NoData where there is none.
        """
        if isinstance(value, NoData):
            return self, value
        if not 0 <= value <= 1:
            raise DataError([Problem("value", "must be in [0, 1]", str(value), "Scale it by its bounds")])
        total, squares = self._sums()
        later = MeanBet(
            self.mean,
            self.forget * self.count + 1,
            self.forget * total + value,
            self.forget * squares + value**2,
            self.forget,
        )
        return later, math.log1p(self.stake * (value - self.mean))

    def _sums(self) -> tuple[float, float]:
        """One imagined value at the mean, of the largest variance that it allows, stands before the first."""
        total = self.mean if self.total is None else self.total
        return total, self.mean if self.squares is None else self.squares
