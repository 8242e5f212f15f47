"""k of the last n windows, and the latest."""

from __future__ import annotations

from dataclasses import dataclass

from monitors.finding import NoData
from spec.errors import DataError, Problem


@dataclass(frozen=True, slots=True)
class Persistence:
    """Alarm when `k` of the last `n` windows were bad and the latest is one of them.

    A single noisy window does not alarm (k > 1), and an alarm ends with the first good window, not n
    windows later. k = 1 alarms on every bad window. The delay is k windows at least; under independence
    and a rate p of bad windows the false-alarm rate of a window is p·P(Bin(n − 1, p) ≥ k − 1), which is
    no budget where windows depend on one another: `scan` is for budgets.

    A window without data is not bad and keeps its place among the n; it never alarms itself.

    Parameters
    ----------
    k
        Bad windows that it takes, 1 ≤ k ≤ n.
    n
        Windows looked back upon, the latest included.
    seen
        The verdicts of the last windows, oldest first, at most n: the whole state.

    Raises
    ------
    DataError
        k or n outside these ranges, or more verdicts than n.

    Examples
    --------
    >>> detector = Persistence(k=2, n=3)
    >>> alarms = []
    >>> for bad in (True, False, True, False, True, True):
    ...     detector = detector.update(bad)
    ...     alarms.append(detector.alarm)
    >>> alarms
    [False, False, True, False, True, True]

    References
    ----------
    Databricks MLOps Stacks: "violation in k of the last n windows and in the latest".
    """

    k: int
    n: int
    seen: tuple[bool, ...] = ()

    def __post_init__(self) -> None:
        problems = []
        if not 1 <= self.k <= self.n:
            hint = f"Did you mean k={self.n} of n={self.k}?" if 1 <= self.n < self.k else ""
            problems.append(Problem("k", "must be from 1 to n", f"k={self.k}, n={self.n}", hint))
        if len(self.seen) > max(self.n, 0):
            problems.append(Problem("seen", f"must hold at most n={self.n} verdicts", str(len(self.seen))))
        if problems:
            raise DataError(problems)

    @property
    def alarm(self) -> bool:
        """Whether the latest window is bad and at least k of the last n are."""
        return bool(self.seen) and self.seen[-1] and sum(self.seen) >= self.k

    def update(self, bad: bool | NoData) -> Persistence:  # noqa: FBT001 - the verdict is the only argument
        """Return the detector after one more window; `bad` is its verdict, or why there is none."""
        verdict = bad if isinstance(bad, bool) else False
        return Persistence(self.k, self.n, (*self.seen, verdict)[-self.n :])
