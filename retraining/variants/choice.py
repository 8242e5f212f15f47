"""Choose among measured variants: reject what breaks the budget, then take the cheapest of the best.

1. A variant outside any limit of ``optimize.within`` is rejected, with every limit that it breaks.
2. The *leader* is the variant within the budget with the lowest loss on the validation rows.
3. As good as the leader is what loses at most ``quality_drop`` to it, and either cannot be told from it (the
   lower confidence bound of the paired difference of losses, with days as units, is not above zero) or
   costs at most half: that is what the drop was granted for.
4. Of these the cheapest is chosen. The cost is latency × size: halving either is worth the same, and no unit
   decides.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retraining.dataset.rows import FloatArray
from retraining.metrics import upper_bound
from retraining.records import Variant
from retraining.variants import limits
from retraining.variants.pareto import front
from spec import ModelSpec

_WORTH = 0.5  # of the leader's cost, for a loss that is known to be higher
_FEWEST_DAYS = 2


@dataclass(frozen=True, slots=True)
class Verdict:
    """The judged variants, in the order given; `chosen` is None where none keeps the budget."""

    variants: tuple[Variant, ...]
    chosen: int | None
    why: str = ""


def decide(
    spec: ModelSpec,
    variants: Sequence[Variant],
    losses: FloatArray,
    days: NDArray[np.int64],
    *,
    waiting: bool = False,
) -> Verdict:
    """Choose; pure.

    Parameters
    ----------
    variants
        Measured; one that already has reasons is rejected for these. The ones without passes are the
        candidates, whose lowest loss the quality budget counts from.
    losses
        [variants, n] loss of each validation row, as of `retraining.metrics.row_losses`.
    days
        [n] index of each row's UTC day, from 0.
    waiting
        Whether what was not measured may yet keep its limit; else it breaks it.
    """
    best = min(variant.loss for variant in variants if not variant.passes)
    broken = [[*variant.reasons, *over_budget(spec, variant, best, waiting=waiting)] for variant in variants]
    kept = [index for index, reasons in enumerate(broken) if not reasons]
    marked = _on_front(variants)
    if not kept:
        return Verdict(tuple(_judged(marked, kept, [tuple(reasons) for reasons in broken], None)), None)
    leader = min(kept, key=lambda index: (variants[index].loss, cost(variants[index])))
    compared = _Compared(spec, variants, losses, days, leader)
    good = [index for index in kept if compared.as_good(index)]
    chosen = min(good, key=lambda index: (cost(variants[index]), variants[index].loss))
    reasons = [
        tuple(broken[index]) or (() if index == chosen else (compared.why_not(index, chosen),))
        for index in range(len(variants))
    ]
    return Verdict(tuple(_judged(marked, kept, reasons, chosen)), chosen, compared.why(chosen))


def cost(variant: Variant) -> float:
    """Return median latency × size, in byte-seconds; only ratios mean something."""
    return variant.latency_p50 * variant.size


def over_budget(spec: ModelSpec, variant: Variant, best: float, *, waiting: bool = False) -> Iterator[str]:
    """Yield a sentence for each limit of ``optimize.within`` that a variant breaks.

    Parameters
    ----------
    best
        Lowest loss of a candidate as it was trained.
    waiting
        As of `decide`.
    """
    within = spec.optimize.within
    if not variant.loss <= best * (1 + within.quality_drop):
        drop = variant.loss / best - 1
        yield (
            f"loss {variant.loss:.5f} is {drop:.2%} above the best candidate's; "
            f"quality_drop is {within.quality_drop:.2%}"
        )
    yield from limits.broken(within, variant, waiting=waiting)


class _Compared:
    """Variants beside the leader."""

    def __init__(
        self,
        spec: ModelSpec,
        variants: Sequence[Variant],
        losses: FloatArray,
        days: NDArray[np.int64],
        leader: int,
    ) -> None:
        self._confidence, self._drop = spec.validation.confidence, spec.optimize.within.quality_drop
        self._variants, self._losses, self._days, self._leader = variants, losses, days, leader

    def as_good(self, index: int) -> bool:
        if index == self._leader:
            return True
        near = self._variants[index].loss <= self._variants[self._leader].loss * (1 + self._drop)
        return near and (self._share(index) <= _WORTH or not self._worse(index))

    def why_not(self, index: int, chosen: int) -> str:
        taken, lost = self._variants[chosen], self._variants[index]
        if self.as_good(index):
            times = cost(lost) / cost(taken)
            return f"{taken.name} is as good, and this costs {times:.1f} times its latency × size"
        leader = self._variants[self._leader]
        above = lost.loss / leader.loss - 1
        told = f"its loss is {above:.2%} above that of {leader.name}"
        if above > self._drop:
            return f"{told}, more than quality_drop"
        return f"{told}, the validation days show it, and it costs {self._share(index):.0%} as much"

    def why(self, chosen: int) -> str:
        taken, leader = self._variants[chosen], self._variants[self._leader]
        if chosen == self._leader:
            return f"{taken.name} has the lowest loss, and nothing as good is cheaper"
        ground = "within quality_drop" if self._worse(chosen) else "not told from it by the validation days"
        return (
            f"{taken.name}: loss {taken.loss:.5f}, {taken.loss / leader.loss - 1:.2%} above the lowest "
            f"({leader.name}), {ground}, at {self._share(chosen):.0%} of its latency × size"
        )

    def _share(self, index: int) -> float:
        return cost(self._variants[index]) / cost(self._variants[self._leader])

    def _worse(self, index: int) -> bool:
        """Return whether the loss is shown to be higher than the leader's."""
        gained = self._losses[self._leader] - self._losses[index]
        if not gained.any():
            return False
        if int(self._days.max()) + 1 < _FEWEST_DAYS:
            return True
        return upper_bound(gained, self._days, self._confidence) < 0


def _on_front(variants: Sequence[Variant]) -> list[Variant]:
    points = np.array([[item.loss, item.latency_p50, float(item.size)] for item in variants])
    return [
        item.model_copy(update={"pareto": bool(on)}) for item, on in zip(variants, front(points), strict=True)
    ]


def _judged(
    variants: Sequence[Variant], kept: Sequence[int], reasons: Sequence[tuple[str, ...]], chosen: int | None
) -> Iterator[Variant]:
    for index, variant in enumerate(variants):
        told = {"rejected": index not in kept, "chosen": index == chosen, "reasons": reasons[index]}
        yield variant.model_copy(update=told)
