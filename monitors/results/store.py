"""The results store: what every monitor found in every window, and what was known when."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from types import TracebackType
from typing import Any, Self

from sqlalchemy import ColumnElement, Connection, and_, func, or_, select

from monitors.results import statements
from monitors.results.database import Database
from monitors.results.records import (
    MONITORS,
    OUTCOMES,
    RUNNING,
    Event,
    Measurement,
    MonitorName,
    Newest,
    Outcome,
    Runs,
    Status,
    WindowLosses,
    WindowProfile,
    WindowResult,
)
from monitors.results.tables import METADATA, events, losses, newest, profiles, runs, windows

__all__ = [
    "MONITORS",
    "OUTCOMES",
    "RUNNING",
    "Event",
    "Measurement",
    "MonitorName",
    "Newest",
    "Outcome",
    "Runs",
    "Status",
    "Store",
    "WindowLosses",
    "WindowProfile",
    "WindowResult",
]


_EVENT = (events.c.model, events.c.kind, events.c.text, events.c.at, events.c.payload)


class Store:
    """What monitors found and what happened, in an SQL database that is made on first use.

    Safe to share between threads, and between processes by its URL.

    Parameters
    ----------
    url
        ``sqlite:///<path>`` or another URL of SQLAlchemy.

    Raises
    ------
    SettingsError
        On construction, the URL is none; on first use, its folder cannot be made.
    Unavailable
        By every method: the database did not answer.
    """

    def __init__(self, url: str) -> None:
        self._database = Database(url, METADATA)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._database.close()

    def save(self, result: WindowResult) -> int:
        """Store a result and count the run; return its revision.

        It takes the place of an earlier result of the same model, version, monitor and start, which stays
        readable as what was known until `computed_at`. Computed again with the reason ``first``, it is
        stored with the reason ``again``. `result.revision` is ignored.
        """
        return self._database.write(lambda connection: statements.save(connection, result))

    def record_failure(self, model: str, monitor: MonitorName, text: str, at: datetime) -> None:
        """Count a run that ended in an error, and record why as an event of kind ``monitor``."""
        payload = {"monitor": monitor, "outcome": "error"}

        def record(connection: Connection) -> None:
            statements.count_run(connection, model, monitor, "error", 0.0)
            statements.save_event(connection, Event(model, "monitor", text, at, payload), None)

        self._database.write(record)

    def latest(
        self, model: str | None = None, monitor: MonitorName | None = None, version: str | None = None
    ) -> tuple[WindowResult, ...]:
        """Return the result of the newest window of each model, version and monitor that is asked for."""
        wanted = statements.asked(newest, model=model, monitor=monitor, version=version)
        with self._database.reading() as connection:
            return statements.results(connection, windows.c.id.in_(select(newest.c.window_id).where(*wanted)))

    def newest(self) -> tuple[Newest, ...]:
        """Name the newest result of every model, version and monitor; a cheap look before `load`."""
        with self._database.reading() as connection:
            return tuple(Newest(*row) for row in connection.execute(select(newest)))

    def load(self, ids: Collection[int]) -> tuple[WindowResult, ...]:
        """Return the results of some ids that `newest` named, oldest window first."""
        with self._database.reading() as connection:
            return statements.results(connection, windows.c.id.in_(ids))

    def history(
        self,
        model: str,
        monitor: MonitorName | None = None,
        version: str | None = None,
        *,
        start: datetime | None = None,
        end: datetime | None = None,
        as_of: datetime | None = None,
    ) -> tuple[WindowResult, ...]:
        """Return the results of all windows that start in ``[start, end)``, oldest first.

        Parameters
        ----------
        as_of
            Processing time: the results as they were known then. None for what is known now.
        """
        wanted = statements.asked(windows, model=model, monitor=monitor, version=version)
        wanted += [windows.c.start >= start] if start is not None else []
        wanted += [windows.c.start < end] if end is not None else []
        current: ColumnElement[bool] = windows.c.superseded_at.is_(None)
        if as_of is not None:
            current = and_(windows.c.computed_at <= as_of, or_(current, windows.c.superseded_at > as_of))
        with self._database.reading() as connection:
            return statements.results(connection, and_(*wanted, current))

    def save_profile(self, profile: WindowProfile, keep_from: datetime) -> None:
        """Store what was counted in a window, in the place of an earlier one of the same window and plan.

        Profiles of the model's windows that start before `keep_from` are dropped.
        """
        self._database.write(lambda connection: statements.save_profile(connection, profile, keep_from))

    def profiles(
        self, model: str, version: str, plan: str, start: datetime, end: datetime
    ) -> tuple[WindowProfile, ...]:
        """Return the profiles of a version's windows that start in ``[start, end)``, oldest first."""
        wanted = statements.asked(profiles, model=model, version=version, plan=plan)
        query = select(profiles).where(*wanted, profiles.c.start >= start, profiles.c.start < end)
        with self._database.reading() as connection:
            return tuple(WindowProfile(*row) for row in connection.execute(query.order_by(profiles.c.start)))

    def profiled(self, model: str, start: datetime, end: datetime) -> frozenset[tuple[datetime, datetime]]:
        """Name the windows, by start and end, that start in ``[start, end)`` and have a profile."""
        query = select(profiles.c.start, profiles.c.end).distinct()
        query = query.where(profiles.c.model == model, profiles.c.start >= start, profiles.c.start < end)
        with self._database.reading() as connection:
            return frozenset((row.start, row.end) for row in connection.execute(query))

    def save_losses(self, kept: WindowLosses) -> None:
        """Store what is kept of a window's losses, in the place of an earlier one of the same window."""
        self._database.write(lambda connection: statements.save_losses(connection, kept))

    def losses(self, model: str, version: str, end: datetime) -> tuple[WindowLosses, ...]:
        """Return what is kept of the losses of a version's windows that are over at `end`, oldest first."""
        query = select(losses).where(*statements.asked(losses, model=model, version=version))
        query = query.where(losses.c.end <= end).order_by(losses.c.start)
        with self._database.reading() as connection:
            return tuple(WindowLosses(*row) for row in connection.execute(query))

    def runs(self) -> tuple[Runs, ...]:
        """Return how every monitor's runs ended."""
        with self._database.reading() as connection:
            return tuple(Runs(*row) for row in connection.execute(select(runs)))

    def record_event(
        self,
        model: str | None,
        kind: str,
        text: str,
        at: datetime,
        payload: Mapping[str, Any] | None = None,
        *,
        key: str | None = None,
    ) -> bool:
        """Record that something happened at processing time `at`; return whether it is new.

        Parameters
        ----------
        payload
            JSON-able detail; its `outcome`, if any, is what events are counted by.
        key
            Names the event, so that recording it twice keeps one.
        """
        event = Event(model, kind, text, at, dict(payload or {}))
        return self._database.write(lambda connection: statements.save_event(connection, event, key))

    def events(
        self, model: str | None = None, since: datetime | None = None, *, kinds: Collection[str] = ()
    ) -> tuple[Event, ...]:
        """Return what happened at or after `since`, oldest first; None, and no kind, ask for all."""
        wanted = statements.asked(events, model=model)
        wanted += [events.c.at >= since] if since is not None else []
        wanted += [events.c.kind.in_(kinds)] if kinds else []
        query = select(*_EVENT).where(*wanted).order_by(events.c.at, events.c.id)
        with self._database.reading() as connection:
            return tuple(Event(*row) for row in connection.execute(query))

    def last_event(self, model: str, kind: str, *, without: Collection[str] = ()) -> Event | None:
        """Return the event of a kind that was recorded last; `without` leaves out those of some outcomes."""
        query = select(*_EVENT).where(*statements.asked(events, model=model, kind=kind))
        query = query.where(events.c.outcome.not_in(without)) if without else query
        with self._database.reading() as connection:
            row = connection.execute(query.order_by(events.c.id.desc()).limit(1)).first()
        return None if row is None else Event(*row)

    def event_counts(self) -> dict[tuple[str, str, str], int]:
        """Count events by kind, model and outcome; those without a model or an outcome are left out."""
        groups = (events.c.kind, events.c.model, events.c.outcome)
        query = select(*groups, func.count()).group_by(*groups)
        query = query.where(events.c.model.is_not(None), events.c.outcome.is_not(None))
        with self._database.reading() as connection:
            return {(kind, model, outcome): n for kind, model, outcome, n in connection.execute(query)}
