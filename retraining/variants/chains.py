"""Search the chains of passes of a candidate, depth first, within a number of variants and a time.

A chain is grown on the proxy, pass by pass, and measured after each. A pass may spend the quality drop once
from what it is given, so that what an earlier one gained is not lost again; all together stay within the
budget. What is over it is not grown further. A pass that refuses leaves its reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from retraining.fitted import Fitted
from retraining.passes import PASSES, named
from retraining.passes.optimization_pass import NotApplicable, Trial
from retraining.variants.cache import Cache
from spec import Refused, format_duration

_ORDER = tuple(PASSES)
_EXCLUSIVE = frozenset({"half", "quantize"})
_NEVER_AFTER = {
    "distil": frozenset({"prune_cost_complexity"}),  # a teacher should be as good as it can be
}


@dataclass(frozen=True, slots=True)
class Link:
    """A model on a chain: the candidate's proxy, or what passes made of it.

    Parameters
    ----------
    file
        Its ONNX file in the run's folder.
    plans
        What each of ``model.passes`` decided.
    loss
        On the validation rows.
    """

    model: Fitted
    file: str
    plans: tuple[dict[str, Any], ...]
    loss: float


@dataclass(frozen=True, slots=True)
class Stopped:
    """A pass that was not applied after others, and why."""

    passes: tuple[str, ...]
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class Chains:
    """The search over chains.

    Parameters
    ----------
    trial
        The rows and the quality budget; its model is replaced by each on the chain.
    cache
        Where the outcomes of passes are kept.
    passes
        Names of the passes to try.
    clock
        Seconds; rises.
    """

    trial: Trial
    cache: Cache
    passes: tuple[str, ...]
    clock: Callable[[], float]

    def grow(self, root: Link, most: int, until: float) -> Iterator[Link | Stopped]:
        """Yield the models of all chains that begin with a candidate, itself aside, as they are made.

        Parameters
        ----------
        root
            The candidate as it was trained.
        most
            Models to yield at most.
        until
            No pass is begun at or after this time of the clock.
        """
        left = _Count(most)
        yield from self._grown(root, left, until)

    def _grown(self, link: Link, left: _Count, until: float) -> Iterator[Link | Stopped]:
        for name in following(link.model.passes, self.passes):
            why_not = self._spent(left, until)
            if why_not is not None:
                yield Stopped(link.model.passes, name, why_not)
                continue
            try:
                grown = self._applied(link, name)
            except Refused as error:
                yield Stopped(link.model.passes, name, str(error))
                continue
            left.take()
            yield grown
            if grown.loss <= self.trial.allowed:
                yield from self._grown(grown, left, until)

    def _spent(self, left: _Count, until: float) -> str | None:
        if not left:
            return "not tried: the candidate's share of optimize.max_variants is used up"
        if self.clock() >= until:
            limit = format_duration(self.trial.spec.optimize.time)
            return f"not tried: the candidate's share of optimize.time ({limit}) is used up"
        return None

    def _applied(self, link: Link, name: str) -> Link:
        own = link.loss * (1 + self.trial.spec.optimize.within.quality_drop)
        trial = replace(self.trial, model=link.model, allowed=min(own, self.trial.allowed))

        def run() -> tuple[dict[str, Any], Fitted]:
            step = named(name)
            plan = dict(step.plan(trial))
            made = step.apply(trial.spec, trial.model, trial.fit, plan)
            if made.graph == link.model.graph:
                msg = "it changes nothing"
                raise NotApplicable(msg)
            return plan, made

        plan, model, file = self.cache.outcome(link.model, name, f"plan {trial.allowed!r}", run)
        return Link(model, file, (*link.plans, plan), trial.loss(model))


def following(done: tuple[str, ...], passes: tuple[str, ...]) -> tuple[str, ...]:
    """Return which passes may come after others: later in the order, and of use there."""
    first = max((_ORDER.index(name) + 1 for name in done), default=0)
    return tuple(
        name
        for name in _ORDER[first:]
        if name in passes
        and not (name in _EXCLUSIVE and _EXCLUSIVE & set(done))
        and not _NEVER_AFTER.get(name, frozenset()) & set(done)
    )


class _Count:
    """How many models may still be made."""

    def __init__(self, most: int) -> None:
        self._left = most

    def __bool__(self) -> bool:
        return self._left > 0

    def take(self) -> None:
        self._left -= 1
