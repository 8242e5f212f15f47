"""A conformal test martingale on scores of windows: how strange is this one among all before it."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field, replace

import numpy as np

from monitors.finding import NoData
from spec.errors import DataError, Problem

_BETS = (-1.0, 0.0, 1.0)


@dataclass(frozen=True, slots=True)
class ConformalMartingale:
    """Alarm when S_t ≥ limit; P(ever, if the scores are exchangeable) ≤ 1/limit.

    p_t = (#{i ≤ t: a_i > a_t} + θ_t·#{i ≤ t: a_i = a_t})/t over the calibration scores and all windows so
    far, θ_t uniform: independent and uniform under exchangeability, ties and all, whatever the law of the
    scores. S_t is the capital of the Simple Jumper, which keeps an account for each of the bets 1 + ε(p −
    ½), ε in {−1, 0, 1}, and moves the share `jump` of the capital evenly among them at each step: it
    finds scores that become larger as well as smaller, and later larger again.

    This is a guarantee for the whole life, not a rate: after an alarm the capital stays above the limit
    or falls; start a new one with the champion. A window without data changes nothing. One extreme score
    among many has the rank of one score.

    Parameters
    ----------
    scores
        Calibration scores, at least 1, finite, in any order; larger is stranger. Grows by one score a window.
    limit
        1/limit bounds the probability of any false alarm, > 1.
    jump
        Share moved at each step, in [0, 1]: larger adapts quicker and earns less.
    seed
        Of the tie-breaking numbers; the t-th is a function of (seed, t), so that a restart repeats them.
    accounts
        ln capital of each bet, the state with `scores` and `seen`.
    seen
        Windows so far.

    Raises
    ------
    DataError
        A parameter outside its range, or scores that are not finite. All problems at once.

    Examples
    --------
    >>> rng = np.random.default_rng(3)
    >>> martingale = ConformalMartingale(tuple(rng.normal(size=50)), limit=100)
    >>> for t, score in enumerate(np.concatenate((rng.normal(size=40), rng.normal(2, 1, size=40)))):
    ...     martingale = martingale.update(float(score))
    ...     if martingale.alarm:
    ...         break
    >>> t
    64

    References
    ----------
    Vovk et al. (2021), Retrain or not retrain: conformal test martingales for change-point detection,
    arXiv 2102.10439.
    """

    scores: tuple[float, ...]
    limit: float = 100.0
    jump: float = 0.01
    seed: int = 0
    accounts: tuple[float, ...] = field(default=(-math.log(3.0),) * 3)
    seen: int = 0

    def __post_init__(self) -> None:
        problems = []
        if not self.scores or not np.isfinite(self.scores).all():
            problems.append(
                Problem("scores", "must be at least one finite number", f"{len(self.scores)} scores")
            )
        if not self.limit > 1:
            problems.append(
                Problem("limit", "must be above 1", str(self.limit), "1/limit bounds a false alarm")
            )
        if not 0 <= self.jump <= 1:
            problems.append(Problem("jump", "must be in [0, 1]", str(self.jump)))
        if problems:
            raise DataError(problems)
        object.__setattr__(self, "scores", tuple(sorted(map(float, self.scores))))

    @property
    def log_capital(self) -> float:
        """The capital as ln S_t; 0 at the start."""
        return float(np.logaddexp.reduce(self.accounts))

    @property
    def alarm(self) -> bool:
        """Whether the capital is at the limit now."""
        return self.log_capital >= math.log(self.limit)

    def p_value(self, score: float) -> float:
        """Return the smoothed conformal p-value of the next score, in (0, 1]."""
        above = len(self.scores) - bisect_right(self.scores, score)
        equal = bisect_right(self.scores, score) - bisect_left(self.scores, score) + 1
        theta = 1.0 - float(np.random.default_rng((self.seed, self.seen)).uniform())
        return (above + theta * equal) / (len(self.scores) + 1)

    def update(self, score: float | NoData) -> ConformalMartingale:
        """Return the martingale after one more window.

        Raises
        ------
        DataError
            A score that is not finite: say NoData.
        """
        if isinstance(score, NoData):
            return self
        if not math.isfinite(score):
            raise DataError(
                [Problem("score", "must be finite", str(score), "Where there is none, say NoData")]
            )
        p = self.p_value(score)
        even = math.log(self.jump / len(_BETS)) + self.log_capital if self.jump > 0 else -math.inf
        stay = math.log1p(-self.jump) if self.jump < 1 else -math.inf
        accounts = tuple(
            float(np.logaddexp(stay + account, even)) + math.log1p(bet * (p - 0.5))
            for bet, account in zip(_BETS, self.accounts, strict=True)
        )
        return replace(self, scores=(*self.scores, score), accounts=accounts, seen=self.seen + 1)
