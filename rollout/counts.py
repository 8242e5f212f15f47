"""Requests of both versions at a step, counted from Prometheus."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from rollout.counters import Span, enclosing, newest, total
from rollout.observations import Arms, Share, Slower
from rollout.prometheus import Prometheus, Series, selector
from rollout.steps import Step
from spec import SHADOW, ModelSpec, Unavailable

FRESH_S = 60.0
"""Counters whose newest sample is older than this say nothing about now."""
_SERVER = "trimtab_predictions_total"
ANSWERED, RETRIED = "envoy_cluster_upstream_rq_xx", "envoy_cluster_upstream_rq_retry"
"""Answers that callers got, and attempts that failed, which the gateway hid by trying again."""
_BUCKETS, _SLOTS = "trimtab_prediction_duration_seconds_bucket", "trimtab_slot_info"

TESTER = "tester"
"""Value of the servers' label `shadow` for requests that chose their version: neither live nor mirrored."""

Way = tuple[str, bool]
"""A version, and whether its requests are mirrored ones."""


@dataclass
class Counted:
    """Series of one way: all its requests, and those of them that count (or the others, if `inverse`)."""

    of: list[Series] = field(default_factory=list)
    hits: list[Series] = field(default_factory=list)
    inverse: bool = False

    def share(self, span: Span) -> Share | None:
        """Return the requests in a span; None when a counter is not a number."""
        of, hits = total(self.of, span), total(self.hits, span)
        if of is None or hits is None:
            return None
        hits = min(hits, of)
        return Share(hits=of - hits if self.inverse else hits, of=of)


@dataclass(frozen=True, slots=True)
class Counts:
    """Counts of one step, from when its split was confirmed (`since`) until `now`, both wall time."""

    prometheus: Prometheus
    spec: ModelSpec
    challenger: str
    champion: str
    step: Step
    since: datetime
    now: datetime

    def errors(self) -> Arms:
        """Count failed requests: at the gateway where it is scraped, else at the model servers.

        The gateway also counts what a dead or hanging server never answered, and each attempt that failed
        and was tried again: a retry hides a failure from the caller, not from this count.

        Raises
        ------
        Unavailable
            Prometheus does not know; with the reason.
        """
        try:
            return self._arms(self._at_gateway(), "at the gateway")
        except Unavailable:
            return self._arms(self._at_servers(), "at the model servers")

    def latency(self) -> Arms:
        """Count requests slower than the objective, in the model servers.

        Raises
        ------
        Unavailable
            Prometheus does not know; with the reason.
        """
        edge = self.spec.latency_gate.total_seconds()
        within = f"{edge!r}|{edge:g}"
        every = self._query(_BUCKETS, le="+Inf")
        fast = self._query(_BUCKETS, le="~" + re.escape(within).replace(r"\|", "|"))
        if every and not fast:
            msg = f"The model servers count no bucket up to {edge:g} s."
            raise Unavailable(msg)
        return self._slower(every, fast)

    def durations(self) -> tuple[Slower, ...]:
        """Count requests slower than each edge of the model servers' histogram.

        Raises
        ------
        Unavailable
            Prometheus does not know; with the reason.
        """
        by_edge: dict[float, list[Series]] = {}
        for one in self._query(_BUCKETS, coarse=True):
            by_edge.setdefault(float(one.labels["le"]), []).append(one)
        every = by_edge.pop(math.inf, [])
        return tuple(
            Slower(edge=edge, arms=self._slower(every, fast)) for edge, fast in sorted(by_edge.items())
        )

    def _slower(self, every: Sequence[Series], fast: Sequence[Series]) -> Arms:
        counted = _by_way(every, _version_way)
        for way, group in _by_way(fast, _version_way).items():
            counted.setdefault(way, Counted()).hits = group.of
        for group in counted.values():
            group.inverse = True
        return self._arms(counted, "timed")

    def slots(self) -> dict[str, str]:
        """Return the slot that each of the two versions answers from, newest word last."""
        told = sorted(self._query(_SLOTS), key=lambda series: newest([series]))
        return {one.labels["version"]: one.labels.get("slot", "") for one in told}

    def _arms(self, counted: Mapping[Way, Counted], where: str) -> Arms:
        ours, theirs, copies = self._ways()
        challenger, champion = (counted.get(way, Counted()) for way in (ours, theirs))
        oldest = self.now.timestamp() - FRESH_S
        for version, group in ((ours[0], challenger), (theirs[0], champion)):
            if newest(group.of) < oldest:
                msg = f"Prometheus has no fresh count of the requests of version {version} {where}."
                raise Unavailable(msg)
        spans = enclosing(challenger.of, champion.of, self.since.timestamp())
        if spans is None:
            msg = f"No requests of this step {where} were scraped yet."
            raise Unavailable(msg)
        inner, outer = spans
        shares = challenger.share(inner), champion.share(outer)
        if shares[0] is None or shares[1] is None:
            msg = f"A counter {where} is not a number."
            raise Unavailable(msg)
        mirrored = counted[copies].share(inner) if copies is not None and copies in counted else None
        return Arms(challenger=shares[0], champion=shares[1], mirrored=mirrored)

    def _ways(self) -> tuple[Way, Way, Way | None]:
        """Challenger and champion as the step compares them, and the copies beside the live requests."""
        if self.step == SHADOW:
            return (self.challenger, True), (self.champion, False), None
        if self.step == 1:
            return (self.challenger, False), (self.champion, True), None
        return (self.challenger, False), (self.champion, False), (self.challenger, True)

    def _at_servers(self) -> dict[Way, Counted]:
        series = self._query(_SERVER)
        counted = _by_way(series, _version_way)
        for group in counted.values():
            group.hits = [one for one in group.of if one.labels.get("outcome") == "error"]
        return counted

    def _at_gateway(self) -> dict[Way, Counted]:
        clusters: dict[str, Way] = {}
        for one in sorted(self._query(_SLOTS), key=lambda series: newest([series])):
            base = f"{self.spec.model}-{one.labels.get('slot', '')}"
            clusters |= {
                base: (one.labels["version"], False),
                f"{base}-shadow": (one.labels["version"], True),
            }
        names = "~" + "|".join(f"{self.spec.model}-{slot}(-shadow)?" for slot in ("blue", "green"))
        series = self._samples(selector("", __name__=f"~{ANSWERED}|{RETRIED}", envoy_cluster_name=names))
        counted = _by_way(series, lambda one: clusters.get(one.labels["envoy_cluster_name"], ("", False)))
        for group in counted.values():
            group.hits = [one for one in group.of if _failed(one)]
        return counted

    def _query(self, metric: str, *, coarse: bool = False, **labels: str) -> list[Series]:
        versions = "~" + "|".join(re.escape(version) for version in (self.challenger, self.champion))
        query = selector(metric, model=self.spec.model, version=versions, **labels)
        return self.prometheus.samples(query, self.since, self.now, coarse=coarse)

    def _samples(self, query: str) -> list[Series]:
        return self.prometheus.samples(query, self.since, self.now)


def _by_way(series: Sequence[Series], way: Callable[[Series], Way]) -> dict[Way, Counted]:
    counted: dict[Way, Counted] = {}
    for one in series:
        counted.setdefault(way(one), Counted()).of.append(one)
    return counted


def _version_way(one: Series) -> Way:
    """Whose requests a server's counter counts; of testers, who chose their version, nobody's."""
    shadow = one.labels.get("shadow")
    return ("", False) if shadow == TESTER else (one.labels["version"], shadow == "true")


def _failed(one: Series) -> bool:
    """Whether a counter of the gateway counts failures."""
    return one.labels.get("envoy_response_code_class") == "5" or one.labels.get("__name__") == RETRIED
