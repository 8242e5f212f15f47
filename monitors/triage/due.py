"""Retrains that no harm asks for: by the calendar, or because so many labels have come."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from spec import ModelSpec
from spec.retrain import NewLabels, Scheduled

_TICK = timedelta(microseconds=1)  # what is due now is due


@dataclass(frozen=True, slots=True)
class Due:
    """What is asked for, each as the words that say why; None where it is not."""

    schedule: str | None = None
    new_labels: str | None = None


def due(
    spec: ModelSpec, now: datetime, trained_until: datetime, last_started: datetime | None, labelled: int
) -> Due:
    """Return what the calendar and the labels ask for.

    Parameters
    ----------
    now
        Processing time, timezone-aware.
    trained_until
        End of the events that the champion was trained on.
    last_started
        When a retrain was last started, by anybody and with any end.
    labelled
        Labelled rows of events since the champion was trained, or since the last retrain.
    """
    since = max(trained_until, last_started or trained_until)
    schedule = next((cause.schedule for cause in spec.retrain.on if isinstance(cause, Scheduled)), None)
    wanted = next((cause.new_labels for cause in spec.retrain.on if isinstance(cause, NewLabels)), None)
    return Due(
        schedule=None if schedule is None else _by_the_calendar(schedule, now, since),
        new_labels=f"{labelled} labels have come since {since:%Y-%m-%d %H:%M}; {wanted} were asked for"
        if wanted is not None and labelled >= wanted
        else None,
    )


def _by_the_calendar(line: str, now: datetime, since: datetime) -> str | None:
    from croniter import croniter  # noqa: PLC0415 - most models have no schedule

    last: datetime = croniter(line, now.astimezone(UTC) + _TICK).get_prev(datetime)
    return f"the schedule {line!r} was due at {last:%Y-%m-%d %H:%M} UTC" if last > since else None
