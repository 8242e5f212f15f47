"""The scheduler's last sign of life: without one nobody acts on what a judge decides.

A trigger may not read Airflow's metadata, and its supervisor tells no more than the states of runs and tasks.
So Airflow's API is asked for its health, which it tells everybody.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime

import httpx

from spec import Settings

_log = logging.getLogger(__name__)
_PATH = "/api/v2/monitor/health"
_TIMEOUT_S = 2.0


def now(_: Settings) -> datetime:
    """Return the wall's time: when a scheduler lives that is not asked."""
    return datetime.now(UTC)


class Scheduler:
    """What a judge knows of the scheduler; a judge that begins anew knows nothing yet."""

    def __init__(self) -> None:
        self._seen: datetime | None = None

    def alive(self, settings: Settings) -> datetime:
        """Return when the scheduler was last known to live: its last heartbeat, now at the latest.

        An API that falls silent leaves it at what it told last: without it no task runs either. One that has
        never told anything, which may be at an address that this process cannot reach, is no reason to end a
        canary: then it is now.
        """
        url = settings.airflow_url
        try:
            self._seen = _heartbeat(url) or self._seen
        except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
            _log.warning("Airflow at %s does not tell whether its scheduler lives: %r", url, error)
        return now(settings) if self._seen is None else min(now(settings), self._seen)


def _heartbeat(url: str) -> datetime | None:
    answer = httpx.get(url.rstrip("/") + _PATH, timeout=_TIMEOUT_S, trust_env=False).raise_for_status()
    told = answer.json()["scheduler"]["latest_scheduler_heartbeat"]
    if told is None:
        return None
    beat = datetime.fromisoformat(told)
    return beat if beat.tzinfo else beat.replace(tzinfo=UTC)
