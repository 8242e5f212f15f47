"""The tables of the results store. A result that was replaced stays, with the time from which it was."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from monitors.results.database import UtcDateTime

METADATA = MetaData()

windows = Table(
    "windows",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("model", String, nullable=False),
    Column("version", String, nullable=False),
    Column("monitor", String, nullable=False),
    Column("start", UtcDateTime, nullable=False),
    Column("end", UtcDateTime, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("rows", Integer, nullable=False),
    Column("status", String, nullable=False),
    Column("computed_at", UtcDateTime, nullable=False),
    Column("superseded_at", UtcDateTime),  # computed_at of the next revision; null for the current one
    Column("duration_s", Float, nullable=False),
    Column("reference", String),
    Column("code_revision", String, nullable=False),
    Column("reason", Text, nullable=False),
    UniqueConstraint("model", "version", "monitor", "start", "revision", name="one_result_a_revision"),
    Index("windows_in_time", "model", "monitor", "start"),
)

measurements = Table(
    "measurements",
    METADATA,
    Column("window_id", ForeignKey(windows.c.id), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("name", String, nullable=False),
    Column("value", Float, nullable=False),
    Column("feature", String),
    Column("method", String),
    Column("low", Float),
    Column("high", Float),
    Column("limit", Float),
    Column("n", Integer),
    Column("text", Text),
)

newest = Table(  # the newest window of each monitor, so that a scrape does not search years of windows
    "newest",
    METADATA,
    Column("model", String, primary_key=True),
    Column("version", String, primary_key=True),
    Column("monitor", String, primary_key=True),
    Column("start", UtcDateTime, nullable=False),
    Column("window_id", ForeignKey(windows.c.id), nullable=False),
)

profiles = Table(  # what was counted in each window, by the plan of the version's reference
    "profiles",
    METADATA,
    Column("model", String, primary_key=True),
    Column("version", String, primary_key=True),
    Column("plan", String, primary_key=True),
    Column("start", UtcDateTime, primary_key=True),
    Column("end", UtcDateTime, primary_key=True),
    Column("rows", Integer, nullable=False),
    Column("content", LargeBinary, nullable=False),
    Index("profiles_in_time", "model", "start"),
)

losses = Table(  # what is kept of the losses of a version's labelled rows, from its first window on
    "losses",
    METADATA,
    Column("model", String, primary_key=True),
    Column("version", String, primary_key=True),
    Column("start", UtcDateTime, primary_key=True),
    Column("end", UtcDateTime, primary_key=True),
    Column("content", JSON, nullable=False),
)

runs = Table(
    "runs",
    METADATA,
    Column("model", String, primary_key=True),
    Column("monitor", String, primary_key=True),
    Column("outcome", String, primary_key=True),
    Column("count", Integer, nullable=False),
    Column("last_at", UtcDateTime, nullable=False),  # wall time
    Column("last_duration_s", Float, nullable=False),
)

events = Table(
    "events",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("model", String),
    Column("kind", String, nullable=False),
    Column("outcome", String),  # of the payload, to count by
    Column("text", Text, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("payload", JSON, nullable=False),
    Column("key", String, unique=True),
    Index("events_in_time", "model", "at"),
    Index("events_by_outcome", "kind", "model", "outcome"),
)
