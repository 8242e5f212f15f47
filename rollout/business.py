"""The metrics of the business at both versions, by the user's own queries."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from rollout.counters import enclosing, newest, total
from rollout.counts import FRESH_S
from rollout.observations import Arms, Business, Share
from rollout.prometheus import Prometheus, Series, Span
from spec import Unavailable
from spec.rollout import BusinessMetric


@dataclass(frozen=True, slots=True)
class Arm:
    """What stands for `{slot}` and `{version}` in a query; a slot is None while it is not known."""

    version: str
    slot: str | None

    def filled(self, query: str) -> str:
        """Return the query of this arm; `Unavailable` where it asks for a slot that is not known."""
        if self.slot is None and "{slot}" in query:
            msg = f"Prometheus does not know the slot of version {self.version}."
            raise Unavailable(msg)
        return query.replace("{slot}", self.slot or "").replace("{version}", self.version)


@dataclass(frozen=True, slots=True)
class Asked:
    """Both arms, from when a step's split was confirmed (`since`) until `now`, both wall time."""

    prometheus: Prometheus
    challenger: Arm
    champion: Arm
    since: datetime
    now: datetime

    def metric(self, metric: BusinessMetric) -> Business:
        """Ask for one metric at both versions.

        Raises
        ------
        Unavailable
            An answer is missing, stale, no number, or outside of the bounds that the spec states.
        """
        return self._ratio(metric) if metric.kind == "ratio" else self._bounded(metric)

    def _ratio(self, metric: BusinessMetric) -> Business:
        hits = {arm: self._counters(metric, arm, metric.promql) for arm in (self.challenger, self.champion)}
        chances = {arm: self._counters(metric, arm, metric.of or "") for arm in hits}
        spans = enclosing(chances[self.challenger], chances[self.champion], self.since.timestamp())
        if spans is None:
            msg = f"{metric.name}: nothing of this step was scraped yet."
            raise Unavailable(msg)
        shares = [
            _share(metric, arm, hits[arm], chances[arm], span)
            for arm, span in zip((self.challenger, self.champion), spans, strict=True)
        ]
        return Business(name=metric.name, arms=Arms(challenger=shares[0], champion=shares[1]))

    def _counters(self, metric: BusinessMetric, arm: Arm, query: str) -> list[Series]:
        query = arm.filled(query)
        series = self.prometheus.samples(query, self.since, self.now)
        if newest(series) < self.now.timestamp() - FRESH_S:
            msg = f"{metric.name}: {query} has no fresh sample; a counter should begin at 0."
            raise Unavailable(msg)
        return series

    def _bounded(self, metric: BusinessMetric) -> Business:
        every = metric.every.total_seconds()
        times = Span(self.since.timestamp() + every, self.now.timestamp())
        ours, theirs = (self._values(metric, arm, times) for arm in (self.challenger, self.champion))
        both = sorted(ours.keys() & theirs.keys())
        if not both or times.start + both[-1] * every < times.end - max(FRESH_S, 2 * every):
            msg = f"{metric.name}: the queries have no fresh answer of both versions at one time."
            raise Unavailable(msg)
        sign = 1 if metric.better == "lower" else -1
        worse = tuple(sign * (ours[time] - theirs[time]) for time in both)
        wanted = int((times.end - times.start) // every) + 1
        mean = math.fsum(theirs[time] for time in both) / len(both)
        return Business(name=metric.name, worse=worse, champion=mean, wanted=max(wanted, len(worse)))

    def _values(self, metric: BusinessMetric, arm: Arm, times: Span) -> Mapping[int, float]:
        """Return the answers by their place in time; what is no number is not there."""
        query = arm.filled(metric.promql)
        every = metric.every.total_seconds()
        series = self.prometheus.values(query, times, every)
        if len({tuple(sorted(one.labels.items())) for one in series}) > 1:
            msg = f"{metric.name}: {query} must answer with one series, not several; sum or average them."
            raise Unavailable(msg)
        found = {
            round((time - times.start) / every): value
            for one in series
            for time, value in one.samples
            if math.isfinite(value)
        }
        low, high = metric.between or (-math.inf, math.inf)
        outside = [value for value in found.values() if not low <= value <= high]
        if outside:
            msg = f"{metric.name}: {query} was {outside[0]:g}, which is not between {low:g} and {high:g}."
            raise Unavailable(msg)
        return found


def _share(metric: BusinessMetric, arm: Arm, hits: list[Series], chances: list[Series], span: Span) -> Share:
    """Return how many chances went badly."""
    good_or_bad, of = total(hits, span), total(chances, span)
    if good_or_bad is None or of is None:
        msg = f"{metric.name}: a counter of version {arm.version} is not a number."
        raise Unavailable(msg)
    if good_or_bad > of:
        msg = f"{metric.name}: version {arm.version} counts {good_or_bad} of only {of}: not a part of it."
        raise Unavailable(msg)
    return Share(hits=good_or_bad if metric.better == "lower" else of - good_or_bad, of=of)
