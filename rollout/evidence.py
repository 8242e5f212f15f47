"""Collect what is known of a challenger: counters from Prometheus, paired rows from the inference log."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from rollout import paired
from rollout.counts import Counts
from rollout.observations import Arms, Evidence
from rollout.prometheus import Prometheus
from rollout.steps import Step
from spec import SHADOW, ModelSpec, Settings, Unavailable

__all__ = ["Evidence", "collect"]

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
    disagreement, days = None, None
    try:
        pairs = paired.collect(spec, settings, challenger, champion, pairs_since or since_clock)
        truth = paired.truths(spec, settings, pairs)
        disagreement = paired.disagreement(spec, pairs, truth)
        days = paired.daily_shortfalls(spec, pairs, truth, settings.clock.now())
    except Unavailable as error:
        missing.append(str(error))
    return Evidence(
        model=spec.model,
        challenger=challenger,
        champion=champion,
        step=step,
        began=since_clock,
        at=settings.clock.now(),
        errors=errors,
        latency=latency,
        disagreement=disagreement,
        days=days,
        missing=tuple(missing),
        blind=step != SHADOW and errors is None and latency is None and now - since_wall > _FIRST_SCRAPE,
    )


def _known(count: Callable[[], Arms], missing: list[str]) -> Arms | None:
    try:
        return count()
    except Unavailable as error:
        missing.append(str(error))
        return None
