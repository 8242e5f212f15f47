"""Each metric by the slices that the spec declares, and how it differs from that of all other rows."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from monitors.finding import NoData
from monitors.laws.false_discovery import Adjusted, benjamini_yekutieli
from monitors.metrics import DEFINITIONS, Rows
from monitors.performance import Estimate, Truth, blocks
from monitors.slices.contrast import effective_blocks
from monitors.slices.cuts import Codes, Cut
from monitors.slices.days import resampled
from monitors.slices.losses import Array
from spec import PerformanceMetric

RESAMPLES = 200
CONFIDENCE = 0.95
MAX_SLICES = 60
"""Slices that are measured at most: those with most rows."""
_RATE = 0.05


@dataclass(frozen=True, slots=True)
class Difference:
    """By how much a metric is worse in a slice than in all other rows; negative where it is better.

    `low` and `high` are its 95 % interval; `p_value` that of no difference, two-sided, adjusted over the
    slices (Benjamini–Yekutieli).
    """

    value: float
    low: float
    high: float
    p_value: float


@dataclass(frozen=True, slots=True)
class SliceMetric:
    """A metric in one slice, such as ``origin=JFK``."""

    name: str
    metric: PerformanceMetric
    measured: Estimate | NoData
    worse: Difference | NoData


@dataclass(frozen=True, slots=True)
class _Part:
    """Some of the rows, under the blocks of all, with one weight a block in each resample."""

    rows: Rows
    weights: Array
    effective: float

    @classmethod
    def of(cls, rows: Rows, chosen: npt.NDArray[np.bool_], weights: Array) -> _Part:
        part = Rows(rows.scores[chosen], rows.labels[chosen], rows.block[chosen], rows.quantile)
        return cls(part, weights[:, : part.blocks], float(effective_blocks(part.sizes[None])[0]))

    def values(self, metric: PerformanceMetric) -> Array:
        """Return the metric of the rows, then of each resample; NaN where it is not defined."""
        with np.errstate(over="ignore", invalid="ignore"):
            return DEFINITIONS[metric].of(self.rows)(self.weights)


def measure(
    cuts: Sequence[Cut],
    codes: Codes,
    truth: Truth,
    metrics: Sequence[PerformanceMetric],
    *,
    min_rows: int,
    quantile: float = 0.5,
) -> tuple[SliceMetric, ...]:
    """Measure metrics in every slice of every cut that has the rows; at most `MAX_SLICES` slices.

    The blocks of rows are those of `days.blocks`, and the slice and the rest are resampled together: what a
    day does to everybody cancels in their difference. Intervals are Student's on the spread of the
    resamples, with as many degrees of freedom as the slice has days (`effective_blocks`), less one.

    Parameters
    ----------
    codes
        Slices of the rows of `truth` by each cut; shape (rows, cuts).
    metrics
        One or more; only the first is compared with the other rows.
    quantile
        As of `monitors.metrics.Rows`.
    """
    if not len(truth):
        return ()
    rows = Rows(truth.scores, truth.labels, blocks(truth.times), quantile)
    weights = resampled(rows.blocks, RESAMPLES)
    found: list[SliceMetric] = []
    for name, chosen in _slices(cuts, codes, min_rows):
        part = _Part.of(rows, chosen, weights)
        rest = None if chosen.all() else _Part.of(rows, ~chosen, weights)
        for metric in metrics:
            values = part.values(metric)
            worse = _worse(metric, values, part, rest) if metric is metrics[0] else _NOT_ASKED
            found.append(SliceMetric(name, metric, _estimate(metric, values, part), worse))
    return _adjusted(found)


_NOT_ASKED = NoData("only the watched metric is compared with the other rows")


def _slices(cuts: Sequence[Cut], codes: Codes, min_rows: int) -> Iterator[tuple[str, npt.NDArray[np.bool_]]]:
    """Yield the slices that are measured, in the order of the cuts."""
    counts = [np.bincount(codes[:, place], minlength=len(cut.names)) for place, cut in enumerate(cuts)]
    sizes = np.sort(np.concatenate([*counts, np.empty(0)]))[::-1]
    least = max(min_rows, 1, sizes[MAX_SLICES] + 1 if len(sizes) > MAX_SLICES else 0)
    for place, cut in enumerate(cuts):
        for code in np.flatnonzero(counts[place] >= least):
            yield cut.names[code], codes[:, place] == code


def _estimate(metric: PerformanceMetric, values: Array, part: _Part) -> Estimate | NoData:
    definition = DEFINITIONS[metric]
    if not np.isfinite(values[0]):
        return NoData(f"{metric} is not defined in the slice: {definition.undefined}")
    spread = _spread(values[1:], part)
    if isinstance(spread, NoData):
        return spread
    error, degrees = spread
    reach = _quantile((1 + CONFIDENCE) / 2, degrees) * error
    value = float(values[0])
    low, high = max(value - reach, definition.least), min(value + reach, definition.most)
    return Estimate(value, low, high, len(part.rows.labels), part.rows.blocks)


def _worse(metric: PerformanceMetric, values: Array, part: _Part, rest: _Part | None) -> Difference | NoData:
    if rest is None:
        return NoData("the slice holds every row")
    sign = -1 if metric.higher_is_better else 1
    difference = sign * (values - rest.values(metric))
    if not np.isfinite(difference[0]):
        return NoData(f"{metric} is not defined in the slice or in the other rows")
    spread = _spread(difference[1:], min(part, rest, key=lambda side: side.effective))
    if isinstance(spread, NoData):
        return spread
    error, degrees = spread
    value, reach = float(difference[0]), _quantile((1 + CONFIDENCE) / 2, degrees) * error
    return Difference(value, value - reach, value + reach, _p_value(value, error, degrees))


def _spread(drawn: Array, part: _Part) -> tuple[float, float] | NoData:
    """Return the standard error that the resamples show, and the degrees of freedom behind it."""
    defined = drawn[np.isfinite(drawn)]
    if part.effective < 2 or len(defined) < len(drawn) / 2:  # noqa: PLR2004 - two days differ, one does not
        return NoData("the rows of the slice are of too few days for an interval")
    blocks_ = part.weights.shape[1]
    error = float(defined.std(ddof=1)) * math.sqrt(blocks_ / (blocks_ - 1))
    return error, part.effective - 1


def _quantile(share: float, degrees: float) -> float:
    from scipy.special import stdtrit  # noqa: PLC0415 - only the daemon needs it

    return float(stdtrit(degrees, share))


def _p_value(value: float, error: float, degrees: float) -> float:
    from scipy.special import stdtr  # noqa: PLC0415 - only the daemon needs it

    return 2 * float(stdtr(degrees, -abs(value) / error)) if error > 0 else 1.0


def _adjusted(found: Sequence[SliceMetric]) -> tuple[SliceMetric, ...]:
    known = {entry.name: entry.worse.p_value for entry in found if isinstance(entry.worse, Difference)}
    corrected = benjamini_yekutieli(known, _RATE)
    result = []
    for entry in found:
        now = corrected.get(entry.name)
        if isinstance(entry.worse, Difference) and isinstance(now, Adjusted):
            worse = replace(entry.worse, p_value=now.p_value)
            result.append(replace(entry, worse=worse))
        else:
            result.append(entry)
    return tuple(result)
