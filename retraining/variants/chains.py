"""Search the chains of passes of all candidates, within a number of variants and a time.

Every pass is first tried alone on every candidate: what only changes a graph before what tunes it, and that
before what fits again, so that no slow pass takes the time of quick ones; candidates take turns. Then chains
grow best-first: from the smallest model that keeps the quality budget, again the quick passes before the slow
ones. Nothing in this order is a measured time: where none of the limits is met, the same variants come out.

A pass may spend the quality drop once from what it is given, so that what an earlier one gained is not lost
again; all together stay within the budget. What is over it is not grown further. A pass that refuses leaves
its reason.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from heapq import heappop, heappush
from itertools import count
from typing import Any

from retraining.fitted import Fitted
from retraining.passes import effort, named
from retraining.passes.optimization_pass import NotApplicable, Trial
from retraining.passes.order import following
from retraining.variants.cache import Cache
from spec import Refused, format_duration


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
class Origin:
    """A candidate that chains begin with.

    Parameters
    ----------
    trial
        Its rows and the quality budget; the model is replaced by each on a chain.
    root
        The candidate's proxy as it was trained.
    """

    trial: Trial
    root: Link


@dataclass(frozen=True, order=True, slots=True)
class _Step:
    """A pass that may be tried on a link; the least is the next. No two have the same key."""

    key: tuple[float, ...]
    origin: int
    link: Link
    name: str


@dataclass(frozen=True, slots=True)
class Chains:
    """The search over chains.

    Parameters
    ----------
    origins
        The candidates, the best first.
    cache
        Where the outcomes of passes are kept.
    passes
        Names of the passes to try.
    clock
        Seconds; rises.
    """

    origins: Sequence[Origin]
    cache: Cache
    passes: tuple[str, ...]
    clock: Callable[[], float]

    def grow(self, most: int, until: float) -> Iterator[tuple[int, Link | Stopped]]:
        """Yield what comes of each pass that is tried, with the index of the candidate it began with.

        Parameters
        ----------
        most
            Models to make at most.
        until
            No pass is begun at or after this time of the clock.
        """
        steps, made, told = list[_Step](), 0, count()
        for step in self._alone(told):
            heappush(steps, step)
        while steps:
            step = heappop(steps)
            why_not = self._spent(step, most - made, until)
            try:
                if why_not is not None:
                    raise NotApplicable(why_not)
                grown = self._applied(step)
            except Refused as error:
                yield step.origin, Stopped(step.link.model.passes, step.name, str(error))
                continue
            made += 1
            yield step.origin, grown
            if self.origins[step.origin].trial.judged(grown.model).kept:
                for further in self._longer(step.origin, grown, told):
                    heappush(steps, further)

    def _alone(self, told: Iterator[int]) -> Iterator[_Step]:
        """Yield each pass alone on each candidate: the quick ones first, the candidates in turns."""
        for index, origin in enumerate(self.origins):
            turns = Counter[int]()
            for name in following((), self.passes):
                level = effort(name)
                key = (0, level, turns[level], index, next(told))
                turns[level] += 1
                yield _Step(key, index, origin.root, name)

    def _longer(self, index: int, link: Link, told: Iterator[int]) -> Iterator[_Step]:
        """Yield each pass after a chain: the quick ones first, then on the smallest model."""
        for name in following(link.model.passes, self.passes):
            key = (1, effort(name), link.model.graph.ByteSize(), link.loss, next(told))
            yield _Step(key, index, link, name)

    def _spent(self, step: _Step, left: int, until: float) -> str | None:
        if not left > 0:
            return "not tried: optimize.max_variants is used up"
        if self.clock() >= until:
            limit = format_duration(self.origins[step.origin].trial.spec.optimize.time)
            return f"not tried: optimize.time ({limit}) is used up"
        return None

    def _applied(self, step: _Step) -> Link:
        link, given = step.link, self.origins[step.origin].trial
        own = link.loss * (1 + given.spec.optimize.within.quality_drop)
        trial = replace(given, model=link.model, allowed=min(own, given.allowed))

        def run() -> tuple[dict[str, Any], Fitted]:
            tried = named(step.name)
            plan = dict(tried.plan(trial))
            made = tried.apply(trial.spec, trial.model, trial.fit, plan)
            if made.graph == link.model.graph:
                msg = "it changes nothing"
                raise NotApplicable(msg)
            return plan, made

        risk = None if trial.tolerance is None else trial.tolerance.risk
        plan, model, file = self.cache.outcome(
            link.model, step.name, f"plan {trial.allowed!r} at {risk!r}", run
        )
        return Link(model, file, (*link.plans, plan), trial.loss(model))
