"""The statements of the results store."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Table, delete, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from monitors.results.records import Event, Measurement, WindowLosses, WindowProfile, WindowResult
from monitors.results.tables import events, losses, measurements, newest, profiles, runs, windows

_STORED = tuple(column.name for column in windows.columns if column.name not in {"id", "superseded_at"})


def asked(table: Table, **values: str | None) -> list[ColumnElement[bool]]:
    """Return the conditions that columns equal the values; None is not asked for."""
    return [table.c[name] == value for name, value in values.items() if value is not None]


def save(connection: Connection, result: WindowResult) -> int:
    """Insert a result in the place of the current one of the same window; return its revision."""
    key = asked(windows, model=result.model, version=result.version, monitor=result.monitor)
    before = connection.execute(
        select(windows.c.id, windows.c.revision)
        .where(*key, windows.c.start == result.start, windows.c.superseded_at.is_(None))
        .with_for_update()
    ).first()
    if before is not None:
        reason = "again" if result.reason == "first" else result.reason
        result = replace(result, revision=before.revision + 1, reason=reason)
        old = update(windows).where(windows.c.id == before.id)
        connection.execute(old.values(superseded_at=result.computed_at))
    else:
        result = replace(result, revision=1)
    inserted = insert(windows).values(_window_row(result)).returning(windows.c.id)
    window_id = connection.execute(inserted).scalar_one()
    rows = [_measurement_row(window_id, position, m) for position, m in enumerate(result.measurements)]
    if rows:
        connection.execute(insert(measurements), rows)
    _point_to(connection, result, window_id)
    count_run(connection, result.model, result.monitor, result.status, result.duration_s)
    return result.revision


def _window_row(result: WindowResult) -> dict[str, Any]:
    row = {name: getattr(result, name) for name in _STORED}
    return row | {"rows": int(result.rows), "duration_s": float(result.duration_s)}


def _measurement_row(window_id: int, position: int, measurement: Measurement) -> dict[str, Any]:
    """Convert to plain numbers: a database driver knows nothing of NumPy's."""
    numbers = {name: getattr(measurement, name) for name in ("value", "low", "high", "limit")}
    plain = {name: None if number is None else float(number) for name, number in numbers.items()}
    n = None if measurement.n is None else int(measurement.n)
    words = {name: getattr(measurement, name) for name in ("name", "feature", "method", "text")}
    return {"window_id": window_id, "position": position, "n": n, **plain, **words}


def _point_to(connection: Connection, result: WindowResult, window_id: int) -> None:
    point = _insert_or(connection, newest).values(
        model=result.model,
        version=result.version,
        monitor=result.monitor,
        start=result.start,
        window_id=window_id,
    )
    later = point.excluded.start >= newest.c.start
    new = {"start": point.excluded.start, "window_id": point.excluded.window_id}
    connection.execute(
        point.on_conflict_do_update(index_elements=list(newest.primary_key), set_=new, where=later)
    )


def count_run(connection: Connection, model: str, monitor: str, outcome: str, duration_s: float) -> None:
    """Count a run that ended just now, by the wall."""
    now = datetime.now(UTC)
    first = _insert_or(connection, runs).values(
        model=model, monitor=monitor, outcome=outcome, count=1, last_at=now, last_duration_s=duration_s
    )
    new = {"count": runs.c.count + 1, "last_at": now, "last_duration_s": duration_s}
    connection.execute(first.on_conflict_do_update(index_elements=list(runs.primary_key), set_=new))


def save_event(connection: Connection, event: Event, key: str | None) -> bool:
    """Insert an event, unless there is one of the same key; return whether it was inserted."""
    row = {
        "model": event.model,
        "kind": event.kind,
        "outcome": event.payload.get("outcome"),
        "text": event.text,
        "at": event.at,
        "payload": dict(event.payload),
        "key": key,
    }
    new = _insert_or(connection, events).values(row).on_conflict_do_nothing(index_elements=["key"])
    return connection.execute(new).rowcount > 0


def save_profile(connection: Connection, profile: WindowProfile, keep_from: datetime) -> None:
    """Insert a window's profile, or put it in the place of the last one; drop the model's older ones."""
    row = {column.name: getattr(profile, column.name) for column in profiles.columns}
    new = {name: row[name] for name in ("rows", "content")}
    one = _insert_or(connection, profiles).values(row)
    connection.execute(one.on_conflict_do_update(index_elements=list(profiles.primary_key), set_=new))
    connection.execute(
        delete(profiles).where(profiles.c.model == profile.model, profiles.c.start < keep_from)
    )


def save_losses(connection: Connection, kept: WindowLosses) -> None:
    """Insert what is kept of a window's losses, or put it in the place of the last."""
    row = {column.name: getattr(kept, column.name) for column in losses.columns}
    row["content"] = dict(kept.content)
    one = _insert_or(connection, losses).values(row)
    connection.execute(
        one.on_conflict_do_update(index_elements=list(losses.primary_key), set_={"content": row["content"]})
    )


def results(connection: Connection, which: ColumnElement[bool]) -> tuple[WindowResult, ...]:
    """Return the results of the windows that a condition picks, oldest window first."""
    order = (windows.c.start, windows.c.model, windows.c.version, windows.c.monitor)
    found = connection.execute(select(windows).where(which).order_by(*order)).all()
    numbers = select(measurements).join(windows).where(which)
    rows = connection.execute(numbers.order_by(measurements.c.window_id, measurements.c.position))
    by_window: defaultdict[int, list[Measurement]] = defaultdict(list)
    for window_id, _position, *values in rows:
        by_window[window_id].append(Measurement(*values))
    return tuple(_result(row, by_window[row.id]) for row in found)


def _result(row: Row[Any], numbers: Iterable[Measurement]) -> WindowResult:
    return WindowResult(**{name: getattr(row, name) for name in _STORED}, measurements=tuple(numbers))


def _insert_or(connection: Connection, table: Table) -> Any:
    """Return the dialect's INSERT, which knows ON CONFLICT; the two spell it alike."""
    return (postgresql if connection.dialect.name == "postgresql" else sqlite).insert(table)
