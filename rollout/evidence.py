"""Collect what is known of a challenger: counters from Prometheus, paired rows from the inference log."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TypeVar

from rollout import paired
from rollout.business import Arm, Asked
from rollout.counts import Counts
from rollout.crossings import crossings
from rollout.observations import Business, Crossing, DayShortfall, Evidence, Share, Usage
from rollout.prometheus import Prometheus
from rollout.steps import Step
from rollout.usage import Server
from rollout.worst import daily_worst
from spec import SHADOW, ModelSpec, Settings, Unavailable

__all__ = ["Evidence", "collect"]

_T = TypeVar("_T")
_FIRST_SCRAPE = timedelta(minutes=1)


def collect(  # noqa: PLR0913 - what is compared, since when, where
    spec: ModelSpec,
    settings: Settings,
    challenger: str,
    champion: str,
    since_wall: datetime,
    since_clock: datetime,
    step: Step,
    *,
    pairs_since: datetime | None = None,
) -> Evidence:
    """Collect the evidence of one step.

    What cannot be known (no traffic, stale or unreachable Prometheus, unreachable log) is None in the
    evidence, with the reason in `missing`; it is never an error and never a zero.

    Parameters
    ----------
    challenger, champion
        Versions.
    since_wall
        Wall time at which the step's split was confirmed; the counters start here.
    since_clock
        Processing time of the same moment; the step's deadline counts from here.
    step
        The step whose split is in force.
    pairs_since
        Processing time from which pairs count: the begin of the rollout. Defaults to `since_clock`.
    """
    missing: list[str] = []
    now = datetime.now(UTC)
    prometheus = Prometheus(settings.prometheus_url)
    counts = Counts(prometheus, spec, challenger, champion, step, since_wall, now)
    errors, latency = (_known(count, missing) for count in (counts.errors, counts.latency))
    # Before the first scrapes of a step there is nothing to see; a Prometheus that is gone will see nothing.
    overdue = prometheus.silent or now - since_wall > _FIRST_SCRAPE
    durations = _known(counts.durations, missing) if latency is not None else None
    since = pairs_since or since_clock
    rows = _known(partial(_rows, spec, settings, challenger, champion, since), missing) or _Rows()
    return Evidence(
        model=spec.model,
        challenger=challenger,
        champion=champion,
        step=step,
        began=since_clock,
        at=settings.clock.now(),
        errors=errors,
        latency=latency,
        durations=durations,
        usage=_usage(counts, missing),
        metrics=_metrics(counts, missing),
        disagreement=rows.disagreement,
        crossings=rows.crossings,
        days=rows.days,
        worst=rows.worst,
        missing=tuple(missing),
        blind=step != SHADOW and errors is None and latency is None and overdue,
    )


@dataclass(frozen=True, slots=True)
class _Rows:
    """What rows tell that both versions answered, under the names of `Evidence`."""

    disagreement: Share | None = None
    crossings: tuple[Crossing, ...] | None = None
    days: tuple[DayShortfall, ...] | None = None
    worst: tuple[DayShortfall, ...] | None = None


def _rows(spec: ModelSpec, settings: Settings, challenger: str, champion: str, since: datetime) -> _Rows:
    pairs = paired.collect(spec, settings, challenger, champion, since)
    truth, now = paired.truths(spec, settings, pairs), settings.clock.now()
    return _Rows(
        disagreement=paired.disagreement(spec, pairs, truth),
        crossings=crossings(spec, pairs),
        days=paired.daily_shortfalls(spec, pairs, truth, now),
        worst=daily_worst(spec, pairs, now),
    )


def _usage(counts: Counts, missing: list[str]) -> Usage | None:
    """Read what the server needs, where the spec has a budget for it."""
    gates = counts.spec.rollout.at(counts.step).gates
    if gates.memory is None and gates.cpu is None:
        return None
    slot = (_known(counts.slots, missing) or {}).get(counts.challenger)
    if slot is None:
        missing.append(f"Prometheus does not know the slot of version {counts.challenger}.")
        return None
    server = Server(counts.prometheus, counts.spec, slot, counts.step, counts.since, counts.now)
    return _known(server.usage, missing)


def _metrics(counts: Counts, missing: list[str]) -> tuple[Business, ...]:
    """Ask for the metrics of the business that can be compared at this step."""
    wanted = [metric for metric in counts.spec.rollout.gates.metrics if metric.judged_at(counts.step)]
    if not wanted:
        return ()
    slots = _known(counts.slots, missing) or {}
    ours, theirs = (Arm(version, slots.get(version)) for version in (counts.challenger, counts.champion))
    asked = Asked(counts.prometheus, ours, theirs, counts.since, counts.now)
    answers = [_known(partial(asked.metric, metric), missing) for metric in wanted]
    return tuple(answer for answer in answers if answer is not None)


def _known(ask: Callable[[], _T], missing: list[str]) -> _T | None:
    try:
        return ask()
    except Unavailable as error:
        missing.append(str(error))
        return None
