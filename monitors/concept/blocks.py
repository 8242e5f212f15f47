"""What is kept of the losses of a window: a few sums, from which everything else is computed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any, Self

import numpy as np

from monitors.concept.losses import losses
from monitors.performance import Truth
from monitors.profiles.plan import Floats
from monitors.windows import EPOCH, start_of
from spec import ModelSpec
from spec.errors import DataError, Problem

ODDS = 2.0 ** np.arange(-6, 8)
"""The bets that are kept: shape (bets,). Bet g turns a loss x into 1 + g·x, whatever it is held against."""

_DAY = timedelta(days=1)
_TICK = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class BlockLoss:
    """The losses of one version's labelled rows in one block of event time.

    Parameters
    ----------
    start
        Of the block; timezone-aware.
    rows
        At least 1.
    mean, variance
        Of the rows' losses; in [0, 1], the variance with divisor `rows`.
    growth
        Σ ln(1 + g·x) over the rows for each g of `ODDS`: what each bet has made of the rows.

    Raises
    ------
    DataError
        With all that cannot be.
    """

    start: datetime
    rows: int
    mean: float
    variance: float
    growth: tuple[float, ...]

    def __post_init__(self) -> None:
        checks = (
            ("start", self.start, self.start.tzinfo is not None, "must be timezone-aware"),
            ("rows", self.rows, self.rows >= 1, "must be at least 1"),
            ("mean", self.mean, 0 <= self.mean <= 1, "must be in [0, 1]"),
            ("variance", self.variance, 0 <= self.variance <= 1, "must be in [0, 1]"),
            ("growth", self.growth, len(self.growth) == len(ODDS), f"must be {len(ODDS)} numbers"),
        )
        problems = [Problem(name, must, str(value)) for name, value, fits, must in checks if not fits]
        if problems:
            raise DataError(problems)

    @classmethod
    def of(cls, start: datetime, values: Floats) -> Self:
        """Return the block of some rows' losses in [0, 1]; shape (rows,), one at least."""
        return cls(
            start,
            len(values),
            float(values.mean()) if len(values) else np.nan,
            float(values.var()) if len(values) else np.nan,
            tuple(growth(values).tolist()),
        )

    def __add__(self, other: Self) -> BlockLoss:
        """Return both blocks' rows as one block, from the earlier start."""
        rows = self.rows + other.rows
        share = other.rows / rows
        apart = (other.mean - self.mean) ** 2 * share * (1 - share)
        return BlockLoss(
            min(self.start, other.start),
            rows,
            self.mean + share * (other.mean - self.mean),
            (1 - share) * self.variance + share * other.variance + apart,
            tuple(mine + theirs for mine, theirs in zip(self.growth, other.growth, strict=True)),
        )

    def to_record(self) -> dict[str, Any]:
        """Return what JSON can hold of it; `from_record` reads it."""
        return {
            "start": self.start.isoformat(),
            "rows": self.rows,
            "mean": self.mean,
            "variance": self.variance,
            "growth": list(self.growth),
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self:
        """Read what `to_record` wrote."""
        return cls(
            datetime.fromisoformat(record["start"]),
            record["rows"],
            record["mean"],
            record["variance"],
            tuple(record["growth"]),
        )


def growth(values: Floats) -> Floats:
    """Return Σ ln(1 + g·x) over losses x of shape (rows,) for each g of `ODDS`; shape (bets,)."""
    return np.array([np.log1p(odds * values).sum() for odds in ODDS])  # not an outer product: memory


def block_losses(
    truth: Truth, spec: ModelSpec, scale: float = 1.0, *, length: timedelta | None = None
) -> tuple[BlockLoss, ...]:
    """Cut labelled rows into blocks, oldest first; a block without a row does not exist.

    Parameters
    ----------
    scale
        The source's, see `losses.losses`.
    length
        Of a block; the spec's window if None.
    """
    if not len(truth):
        return ()
    ticks = (length or spec.monitor.window) // _TICK
    values = losses(truth, spec.task, scale)
    starts, block = np.unique(truth.times // ticks, return_inverse=True)
    order = np.argsort(block, kind="stable")
    parts = np.split(values[order], np.cumsum(np.bincount(block, minlength=len(starts)))[:-1])
    return tuple(
        BlockLoss.of(EPOCH + int(start) * ticks * _TICK, part)
        for start, part in zip(starts, parts, strict=True)
        if len(part)
    )


def whole_days(blocks: Iterable[BlockLoss], length: timedelta, end: datetime) -> tuple[BlockLoss, ...]:
    """Put the blocks of a day together, since its rows hang together; oldest first.

    A day that is not over counts once it is: the evidence of a half day would be weighed, and then weighed
    again with the other half.

    Parameters
    ----------
    length
        Of the windows that the blocks are of; longer ones than a day stay as they are.
    end
        Of the newest window; blocks that are over by then count.
    """
    day = max(length, _DAY)
    ordered = sorted(blocks, key=lambda block: block.start)
    days = groupby(ordered, key=lambda block: start_of(block.start, day))
    return tuple(_sum(tuple(parts)) for start, parts in days if start + day <= end)


def mean_error(blocks: Sequence[BlockLoss]) -> float | None:
    """Return the standard error of the rows' mean, Σ rows·mean / Σ rows, with blocks as the sampling unit.

    None with fewer than two.
    """
    if len(blocks) < 2:  # noqa: PLR2004 - a spread needs two
        return None
    rows, means = (np.array(part) for part in zip(*((b.rows, b.mean) for b in blocks), strict=True))
    off = rows * (means - np.average(means, weights=rows))
    return float(np.sqrt(len(blocks) / (len(blocks) - 1) * (off**2).sum()) / rows.sum())


def _sum(blocks: Sequence[BlockLoss]) -> BlockLoss:
    total = blocks[0]
    for block in blocks[1:]:
        total += block
    return total
