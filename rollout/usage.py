"""What the challenger's model server needs, from Prometheus: memory by scrape, CPU time by span."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime

from rollout.counters import increase, newest
from rollout.counts import FRESH_S
from rollout.observations import Burn, Usage
from rollout.prometheus import Prometheus, Series, Span, selector
from rollout.steps import Step
from spec import ModelSpec, Unavailable

_SPANS = 1_000
_SHORTEST_S = 60.0


@dataclass(frozen=True, slots=True)
class Server:
    """The server of one slot, from `since`, the wall time at which a step began, until `now`."""

    prometheus: Prometheus
    spec: ModelSpec
    slot: str
    step: Step
    since: datetime
    now: datetime

    def usage(self) -> Usage:
        """Read what the gates with a budget ask for.

        Raises
        ------
        Unavailable
            Prometheus does not know; with the reason.
        """
        gates = self.spec.rollout.at(self.step).gates
        return Usage(
            memory=() if gates.memory is None else self._memory(),
            cpu=() if gates.cpu is None else self._cpu(),
        )

    def _memory(self) -> tuple[float, ...]:
        series = self._fresh("process_resident_memory_bytes", "memory")
        since = self.since.timestamp()
        samples = sorted((time, value) for one in series for time, value in one.samples if time > since)
        return tuple(value for _, value in samples if math.isfinite(value))

    def _cpu(self) -> tuple[Burn, ...]:
        """Cut the step into spans of one length, fixed by the spec: no look changes an earlier one."""
        burnt = self._fresh("process_cpu_seconds_total", "CPU time")
        answered = self._fresh("trimtab_predictions_total", "requests")
        length = max(_SHORTEST_S, self.spec.rollout.deadline.total_seconds() / _SPANS)
        first = self.since.timestamp()
        last = min(newest(burnt), newest(answered))
        spans = [
            Span(first + at * length, first + (at + 1) * length)
            for at in range(int((last - first) // length))
        ]
        found = []
        for span in spans:
            seconds, requests = _rise(burnt, span), _rise(answered, span)
            if seconds is not None and requests:
                found.append(Burn(requests=round(requests), seconds=seconds))
        return tuple(found)

    def _fresh(self, metric: str, what: str) -> list[Series]:
        query = selector(metric, model=self.spec.model, slot=self.slot)
        series = self.prometheus.samples(query, self.since, self.now)
        if newest(series) < self.now.timestamp() - FRESH_S:
            msg = f"Prometheus has no fresh {what} of the model server in slot {self.slot}."
            raise Unavailable(msg)
        if not all(math.isfinite(one.samples[-1][1]) for one in series if one.samples):
            msg = f"The newest {what} of the model server in slot {self.slot} is not a number."
            raise Unavailable(msg)
        return series


def _rise(series: list[Series], span: Span) -> float | None:
    rises = [increase(one.samples, span) for one in series]
    return None if any(rise is None for rise in rises) else sum(rise or 0.0 for rise in rises)
