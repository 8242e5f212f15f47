"""An anytime-valid test of harm: the model's risk has risen above its source's by more than is tolerated.

H0: in every block, given those before it, the expected loss is at most (1 + tolerance)·(source's risk).
With half of alpha the source's risk is bounded from above, once; with the other half production is bet
against that bound m, for ever. A bet of odds g multiplies its stake by (1 + g·x)/(1 + g·m) on a loss x in
[0, 1], which is worth at most 1 on average under H0. Stakes lie on all odds and all starts of a change:

    E_T = Σ_s w_s · mean_g Π_{s≤t≤T} e_t(g)  +  Σ_{s>T} w_s,      Σ_s w_s = 1,

is a non-negative supermartingale that starts at 1, so that P(E ever reaches 2/alpha) ≤ alpha/2 (Ville).
The starts keep years of peace from costing power later.

What a block's e_t(g) is depends on how its rows hang together, see `log_bets`.

References
----------
Podkopaev and Ramdas (2022), Tracking the risk of a deployed model and detecting harmful distribution
shifts, ICLR. Waudby-Smith and Ramdas (2024), Estimating means of bounded random variables by betting,
JRSS B 86. Shin, Ramdas and Rinaldo (2024), E-detectors, NEJSDS. Timans et al. (2025), On continuous
monitoring of risk violations under unknown shift, UAI.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from monitors.concept.blocks import ODDS, BlockLoss
from monitors.concept.source import Source
from monitors.finding import NoData
from monitors.profiles.plan import Floats, Ints
from spec.concept import ConceptDrift, Dependence

_HALVINGS = 30
_YEAR = 365


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the test says after some blocks.

    Parameters
    ----------
    rejected
        Index of the block at which H0 was rejected; None as long as it is not.
    log_e
        Largest ln E so far.
    log_limit
        ln(2/alpha): what `log_e` must reach.
    source_high
        Upper bound of the source's risk, at alpha/2.
    risk_low
        Lower bound, at alpha/2 over all time, of the highest risk that production has had.
    """

    rejected: int | None
    log_e: float
    log_limit: float
    source_high: float
    risk_low: float

    @property
    def rise_low(self) -> float:
        """Lower bound of the rise of the risk, relative to the source's; at least -1."""
        return self.risk_low / self.source_high - 1


def verdict(source: Source, blocks: Sequence[BlockLoss], wanted: ConceptDrift) -> Verdict | NoData:
    """Test the blocks of a version, in order of time, against its source.

    Pure: late labels change the records of their blocks, and everything is computed anew. The guarantee
    is for each block's record as it stands in the end, looked at as often as one likes.

    Parameters
    ----------
    blocks
        Whole days (or longer windows), see `blocks.whole_days`.
    """
    if not blocks:
        return NoData("no labelled rows in production")
    high = source.upper(wanted.alpha / 2, wanted.dependence)
    if isinstance(high, NoData):
        return high
    worst = (1 + wanted.tolerance) * high
    if worst >= 1:
        return NoData("the reference has too few labelled rows or days to bound its risk")
    limit = math.log(2 / wanted.alpha)
    evidence = log_evidence(blocks, worst, wanted.dependence, source.intraclass)
    reached = np.flatnonzero(evidence >= limit)
    low = risk_low(blocks, limit, wanted.dependence, source.intraclass)
    first = int(reached[0]) if len(reached) else None
    return Verdict(first, float(evidence.max()), limit, high, low)


def log_evidence(
    blocks: Sequence[BlockLoss], mean: float, dependence: Dependence, intraclass: float = 0.0
) -> Floats:
    """Return ln E against risks up to `mean`, in (0, 1), after each block; shape (blocks,)."""
    bets = log_bets(blocks, mean, dependence, intraclass)
    wealth = np.cumsum(bets, axis=0)
    at = np.arange(1, len(blocks) + 1)
    begun = np.log(_unstarted(at - 1) - _unstarted(at))[:, None]
    since = np.logaddexp.accumulate(begun - (wealth - bets), axis=0) + wealth
    mixed = np.logaddexp.reduce(since, axis=1) - math.log(since.shape[1])
    return np.asarray(np.logaddexp(mixed, np.log(_unstarted(at))))


def log_bets(blocks: Sequence[BlockLoss], mean: float, dependence: Dependence, intraclass: float) -> Floats:
    """Return ln e of each block and bet against `mean`; shape (blocks, bets).

    ``none``: the product over the rows, for rows that are independent given the past. ``days``: the bet
    on the block's mean; rows of a block may depend on each other in any way. ``measured``: half of the
    stakes on each of ``days`` and the product over the rows to the power 1/d, which is worth at most 1
    for rows in groups of up to d that depend in any way (Hölder), whatever the groups. d is the design effect
    1 + (rows − 1)·intraclass, by which the variance of a day's mean exceeds that of independent rows
    (Kish 1965); a day's weather, common to all its rows, is thereby only approximated.
    """
    against = np.log1p(ODDS * mean)
    rows = np.array([block.rows for block in blocks])[:, None]
    by_row: Floats = np.array([block.growth for block in blocks]) - rows * against
    if dependence == "none":
        return by_row
    by_day: Floats = np.log1p(np.outer([block.mean for block in blocks], ODDS)) - against
    if dependence == "days":
        return by_day
    return np.hstack([by_day, by_row / (1 + (rows - 1) * intraclass)])


def risk_low(
    blocks: Sequence[BlockLoss], limit: float, dependence: Dependence, intraclass: float = 0.0
) -> float:
    """Return the largest mean against which ln E has ever reached `limit`; 0 if there is none."""
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        mean = (low + high) / 2
        rejected = log_evidence(blocks, mean, dependence, intraclass).max() >= limit
        low, high = (mean, high) if rejected else (low, mean)
    return low


def _unstarted(after: Ints) -> Floats:
    """Return the stakes kept for changes that begin after so many blocks: all of them after 0.

    Half lies evenly on the first year of days, so that a change in it costs ln 730 of evidence at most; half
    on 1/log₂(blocks + 2), which falls about as slowly as such a sum can.
    """
    return np.asarray(np.maximum(1 - after / _YEAR, 0) / 2 + 0.5 / np.log2(after + 2.0))
