"""E-detectors: evidence multiplied up over windows, with a guaranteed time between false alarms.

For series whose windows bring *new* evidence each: E[L_t | the past] ≤ 1 as long as nothing changes.
Windows that are compared with one finite reference do not: its error is in each of them, and the product
grows without a change. `monitors.detectors.scan` is for those.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from monitors.finding import NoData
from spec.errors import DataError, Problem


class Recursion(StrEnum):
    """How past evidence is carried."""

    SHIRYAEV_ROBERTS = "shiryaev_roberts"
    """M = (1 + M)·L: a sum over all starts of the change; a little quicker on small changes."""
    CUSUM = "cusum"
    """M = max(1, M)·L: the best start; a little slower, and its M tells the evidence since that start."""


@dataclass(frozen=True, slots=True)
class EDetector:
    """Alarm when M_t ≥ 1/alpha; the mean time to a false alarm is then at least 1/alpha windows.

    M_t = (1 + M_{t−1})·L_t (Shiryaev–Roberts) or max(1, M_{t−1})·L_t (CUSUM), with L_t the window's
    e-value: ≥ 0 and of mean ≤ 1 given the past when nothing has changed. Kept as ln M. After an alarm it
    starts anew with the next window. One window with L_t ≥ 1/alpha alarms at once; L_t = 0 forgets
    everything.

    A window without data leaves the detector as it is and never alarms; time does not pass for it.

    Parameters
    ----------
    alpha
        One false alarm in 1/alpha windows, in (0, 1): smaller is rarer and later, by about ln(1/alpha)
        over the mean of ln L after the change.
    recursion
        See `Recursion`.
    log_m
        ln M_t, the whole state with `alarm`; −inf before the first window.
    alarm
        Whether the latest window alarmed.

    Raises
    ------
    DataError
        alpha outside (0, 1).

    Examples
    --------
    >>> import numpy as np
    >>> p = np.concatenate((np.random.default_rng(7).uniform(size=100), [0.01] * 5))
    >>> detector, alarms = EDetector(alpha=1 / 500), []
    >>> for t, value in enumerate(p):
    ...     detector = detector.update(log_e_value(float(value)))
    ...     if detector.alarm:
    ...         alarms.append(t)
    >>> alarms
    [102]

    References
    ----------
    Shin, Ramdas and Rinaldo (2024), E-detectors: a nonparametric framework for sequential change detection,
    New England Journal of Statistics in Data Science.
    """

    alpha: float
    recursion: Recursion = Recursion.SHIRYAEV_ROBERTS
    log_m: float = -math.inf
    alarm: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.alpha < 1:
            hint = "1/alpha is the mean number of windows to a false alarm"
            raise DataError([Problem("alpha", "must be between 0 and 1", str(self.alpha), hint)])

    def update(self, log_e: float | NoData) -> EDetector:
        """Return the detector after one more window of which `log_e` is the ln of the e-value.

        Raises
        ------
        DataError
            NaN or +inf.
        """
        if isinstance(log_e, NoData):
            return replace(self, alarm=False)
        if not log_e < math.inf:
            hint = "A window without evidence is NoData; a certain one is a large number"
            raise DataError([Problem("log_e", "must be a number below +inf", str(log_e), hint)])
        start = -math.inf if self.alarm else self.log_m
        if self.recursion is Recursion.SHIRYAEV_ROBERTS:
            carried = float(np.logaddexp(0.0, start))
        else:
            carried = max(0.0, start)
        log_m = carried + log_e
        return replace(self, log_m=log_m, alarm=log_m >= -math.log(self.alpha))


def log_e_value(p_value: float, decisive: float | None = None) -> float:
    """Return ln of an e-value of a p-value: e(p) is decreasing and ∫ e(p) dp = 1 over (0, 1).

    The mixture of Vovk's calibrators κp^(κ−1) over κ in (0, 1): (1 − p + p ln p)/(p ln² p). It is ½ at p
    = 1 and grows as 1/(p ln² p). With `decisive`, half of it and half of the all-or-nothing bet 1{p ≤
    decisive}/decisive: a window with p ≤ decisive then alarms alone at alpha = 2·decisive, where the
    mixture alone would need a p some ln² times smaller.

    Parameters
    ----------
    p_value
        Valid: P(p ≤ u) ≤ u when nothing has changed; in (0, 1].
    decisive
        In (0, 1): alpha/2 of the detector.

    Raises
    ------
    DataError
        A value outside these ranges, NaN included.

    References
    ----------
    Vovk and Wang (2021), E-values: calibration, combination and applications, Annals of Statistics 49.
    """
    problems = []
    if not 0 < p_value <= 1:
        problems.append(Problem("p_value", "must be above 0 and at most 1", str(p_value)))
    if decisive is not None and not 0 < decisive < 1:
        problems.append(Problem("decisive", "must be between 0 and 1", str(decisive), "Take alpha/2"))
    if problems:
        raise DataError(problems)
    log_mixture = _log_mixture(p_value)
    if decisive is None:
        return log_mixture
    sure = -math.log(decisive) if p_value <= decisive else -math.inf
    return float(np.logaddexp(log_mixture, sure)) - math.log(2)


def _log_mixture(p: float) -> float:
    log_p = math.log(p)
    if log_p > -1e-3:  # noqa: PLR2004 - the series, where the quotient would be 0/0
        return math.log(0.5 - log_p / 6)
    return math.log(1 - p + p * log_p) - log_p - 2 * math.log(-log_p)
