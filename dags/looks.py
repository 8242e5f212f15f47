"""How long a judge waits for its next look at a canary."""

from __future__ import annotations

from datetime import timedelta

from airflow.configuration import conf

LOOKS_PER_LEASE = 20
FIRST_S = conf.getint("workers", "min_heartbeat_interval", fallback=5) + 2.0
"""How long Airflow may not know yet that a task has deferred. What watches a worker may notice its end only
at its next heartbeat, and a task that has gone on by then counts as lost and is tried again."""
_OF_THE_LEASE = 0.25  # the most of it that the first wait may take


def pause(lease: timedelta, *, first: bool) -> float:
    """Return the seconds until the next look, or until the first one after a task has deferred."""
    usual = lease.total_seconds() / LOOKS_PER_LEASE
    return max(usual, min(FIRST_S, _OF_THE_LEASE * lease.total_seconds())) if first else usual
