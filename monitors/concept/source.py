"""What a model's loss was when it was accepted: the yardstick of the risk test."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any, Self

import numpy as np

from monitors.concept.blocks import ODDS, BlockLoss, block_losses, growth, mean_error
from monitors.concept.losses import losses, scale_of
from monitors.finding import NoData
from monitors.performance import Truth
from spec import ModelSpec
from spec.concept import Dependence

_DAY = timedelta(days=1)
_SURE = 0.05
_HALVINGS = 40
_MOST_LASTING = 0.95


@dataclass(frozen=True, slots=True)
class Source:
    """The losses of labelled rows that the model was not trained on.

    Training rows will not do: the model knows them, and every production would seem to be harm. Keep it
    with the version; it is small, and JSON can hold it.

    Parameters
    ----------
    scale
        See `losses.losses`; production is measured by the same.
    rows, days
        Labelled rows, and the days of event time that they are of.
    mean
        Of the rows' losses.
    decline
        Σ ln(1 + g·(1 − x)) over the rows, for each g of `ODDS`.
    day_error
        Standard error of the mean with days as the sampling unit, which follow each other as they do; None
        with a single day.
    intraclass
        How much rows of a day are alike, 0 to 1: upper 95 % bound of the intraclass correlation of the
        losses, times what days that follow each other add to it; 1 (wholly) where there are too few days
        or rows to tell.
    """

    scale: float
    rows: int
    days: int
    mean: float
    decline: tuple[float, ...]
    day_error: float | None
    intraclass: float

    @classmethod
    def of(cls, truth: Truth, spec: ModelSpec) -> Self | NoData:
        """Measure the labelled rows of a holdout, or of a version's first weeks in production."""
        if not len(truth):
            return NoData("the reference has no labelled rows")
        scale = scale_of(truth, spec.task)
        days = block_losses(truth, spec, scale, length=_DAY)
        values = losses(truth, spec.task, scale)
        error, lasting = mean_error(days), _persistence(days)
        return cls(
            scale,
            len(values),
            len(days),
            float(values.mean()),
            tuple(growth(1 - values).tolist()),
            None if error is None else error * math.sqrt(lasting),
            min(_intraclass(days) * lasting, 1.0),
        )

    def upper(self, alpha: float, dependence: Dependence) -> float | NoData:
        """Return a bound that the true risk exceeds with probability at most `alpha`.

        The rows' bound is exact for independent rows, whatever the distribution: the mixture of bets on
        1 − x. Where rows of a day hang together, Student's bound over the days is taken if it is larger;
        it is as good as the days' means are normal.

        References
        ----------
        Waudby-Smith and Ramdas (2024), Estimating means of bounded random variables by betting, JRSS B 86.
        """
        by_rows = self._upper_of_rows(alpha)
        if dependence == "none":
            return by_rows
        if self.day_error is None:
            return NoData("the reference is of one day: its luck cannot be told from the model's risk")
        from scipy.stats import t  # noqa: PLC0415 - a second, and only the daemon needs it

        by_days = self.mean + float(t.ppf(1 - alpha, self.days - 1)) * self.day_error
        return min(max(by_rows, by_days), 1.0)

    def to_record(self) -> dict[str, Any]:
        """Return what JSON can hold of it; `from_record` reads it."""
        return asdict(self) | {"decline": list(self.decline)}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self:
        """Read what `to_record` wrote."""
        return cls(**{**record, "decline": tuple(record["decline"])})

    def _upper_of_rows(self, alpha: float) -> float:
        """Return the largest mean that the bets on 1 − x do not reject."""
        low, high, decline = self.mean, 1.0, np.array(self.decline)
        for _ in range(_HALVINGS):
            mean = (low + high) / 2
            log_e = np.logaddexp.reduce(decline - self.rows * np.log1p(ODDS * (1 - mean)))
            rejected = log_e - math.log(len(ODDS)) >= -math.log(alpha)
            low, high = (low, mean) if rejected else (mean, high)
        return high


def _intraclass(days: Sequence[BlockLoss]) -> float:
    """Return the upper 95 % bound of the intraclass correlation, by the analysis of variance.

    F/F₀ with F₀ the 5 % quantile of F(days − 1, rows − days) bounds the ratio of the mean squares between
    and within days. Exact for normal losses and days of one size.

    References
    ----------
    Searle (1971), Linear Models, section 9.9.
    """
    from scipy.stats import f  # noqa: PLC0415 - a second, and only the daemon needs it

    rows, means = np.array([day.rows for day in days]), np.array([day.mean for day in days])
    count, total = len(days), int(rows.sum())
    inside = float((rows * np.array([day.variance for day in days])).sum())
    if count == 1 or total <= count or inside == 0:
        return 1.0
    between = float((rows * (means - np.average(means, weights=rows)) ** 2).sum()) / (count - 1)
    size = (total - (rows**2).sum() / total) / (count - 1)
    ratio = between / (inside / (total - count)) / float(f.ppf(_SURE, count - 1, total - count))
    return float(np.clip((ratio - 1) / (ratio + size - 1), 0.0, 1.0))


def _persistence(days: Sequence[BlockLoss]) -> float:
    """Return by how much more a sum of days varies than one of days that know nothing of each other.

    (1 + φ)/(1 − φ), of an autoregression, with the lag-1 correlation φ of the days' means put up by its
    bias and one standard error: bad weather lasts, and few days do not show it.

    References
    ----------
    Marriott and Pope (1954), Bias in the estimation of autocorrelations, Biometrika 41.
    """
    off = np.array([day.mean for day in days])
    off = off - off.mean()
    spread = float(off @ off)
    if not spread:
        return 1.0
    phi = float(off[:-1] @ off[1:]) / spread
    phi += (1 + 3 * phi) / len(days) + 1 / math.sqrt(len(days))
    phi = min(max(phi, 0.0), _MOST_LASTING)
    return (1 + phi) / (1 - phi)
