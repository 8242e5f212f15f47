"""Choose among measured variants: reject what breaks the budget, then take the cheapest of the best.

1. A variant outside any limit of ``optimize.within`` is rejected, with every limit that it breaks. Its loss
   is held to ``quality_drop`` by the pessimistic end of a paired interval, with days as the units, at a risk
   that all variants share (`retraining.passes.tolerance`): the chance of choosing one that loses more than it
   may is at most 1 - ``validate.confidence``. The best candidate as it was trained loses nothing to itself,
   and so stays where nothing can be shown of the others.
2. The *leader* is the variant within the budget with the lowest loss on the validation rows.
3. As good as the leader is what is not shown to lose to it, or loses what its saving is worth: at half of the
   cost the whole of ``quality_drop``, at less of a saving less. That is what the drop was granted for.
4. Of these the cheapest is chosen: a gain within noise is never paid for. This is the one-standard-error rule
   (Breiman, Friedman, Olshen, Stone 1984, Classification and Regression Trees, section 3.4.3), with a
   bound at ``validate.confidence`` in the place of one standard error. The cost is latency × size: halving
   either is worth the same, and no unit decides.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retraining.dataset.rows import FloatArray
from retraining.passes.tolerance import Tolerance, rise, signed
from retraining.records import Variant
from retraining.variants import limits
from retraining.variants.pareto import front
from spec import ModelSpec


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
    plain = [index for index, variant in enumerate(variants) if not variant.passes]
    best = min(plain, key=lambda index: variants[index].loss)
    tolerance = Tolerance.of(spec, losses[best], days, len(plain))
    broken = [
        [
            *variant.reasons,
            *_lost(tolerance, variant, own),
            *limits.broken(spec.optimize.within, variant, waiting=waiting),
        ]
        for variant, own in zip(variants, losses, strict=True)
    ]
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


def _lost(tolerance: Tolerance, variant: Variant, losses: FloatArray) -> Iterator[str]:
    """Yield why a variant's loss is not shown to be within ``quality_drop``."""
    found = tolerance.rise(losses)
    if not tolerance.grants(found):
        yield f"loss {variant.loss:.5f} is {tolerance.told(found)}"


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
        self._drop, self._variants, self._leader = spec.optimize.within.quality_drop, variants, leader
        risk = 1 - spec.validation.confidence
        self._rises = [rise(spec.task, own, losses[leader], days, risk) for own in losses]
        self._confidence = spec.validation.confidence

    def as_good(self, index: int) -> bool:
        found = self._rises[index]
        return found.low <= 0 or found.value <= self._worth(index)

    def why_not(self, index: int, chosen: int) -> str:
        taken, lost = self._variants[chosen], self._variants[index]
        if self.as_good(index):
            times = cost(lost) / cost(taken)
            return f"{taken.name} is as good, and this costs {times:.1f} times its latency × size"
        told = f"its loss is {self._told(index)} beside {self._variants[self._leader].name}"
        if self._rises[index].value > self._drop:
            return f"{told}; quality_drop is {self._drop:.2%}"
        share = self._share(index)
        return f"{told}, at {share:.0%} of its cost, which is worth {signed(self._worth(index))}"

    def why(self, chosen: int) -> str:
        taken, leader = self._variants[chosen], self._variants[self._leader]
        if chosen == self._leader:
            return f"{taken.name} has the lowest loss, and nothing as good is cheaper"
        shown = self._rises[chosen].low > 0
        ground = "within quality_drop" if shown else "not told from it by the validation days"
        return (
            f"{taken.name}: loss {taken.loss:.5f}, {self._told(chosen)} beside the lowest "
            f"({leader.name}), {ground}, at {self._share(chosen):.0%} of its latency × size"
        )

    def _told(self, index: int) -> str:
        found = self._rises[index]
        least = (
            "" if found.low == found.value else f", at least {signed(found.low)} at {self._confidence:.0%}"
        )
        return f"{signed(found.value)}{least}"

    def _worth(self, index: int) -> float:
        """Return what may be lost to the leader: the drop for half of its cost, in proportion for less."""
        halvings = -math.log2(self._share(index))
        return self._drop * min(max(halvings, 0.0), 1.0)

    def _share(self, index: int) -> float:
        return cost(self._variants[index]) / cost(self._variants[self._leader])


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
