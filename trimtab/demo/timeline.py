"""What happened, when, on both clocks: told by Slack, never by the script."""

from __future__ import annotations

import json
from bisect import bisect_right
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True, order=True)
class Event:
    """One thing that happened: wall time, simulated time, who told, and the first lines of what was told."""

    wall: datetime
    simulated: datetime
    source: str
    text: str


class Clocks:
    """The pairs of wall and simulated time that the replay has gone through."""

    def __init__(self) -> None:
        self._wall: list[datetime] = []
        self._simulated: list[datetime] = []

    def mark(self, simulated: datetime) -> None:
        """Remember what the simulated time is now."""
        self._wall.append(datetime.now(UTC))
        self._simulated.append(simulated)

    def simulated(self, wall: datetime) -> datetime:
        """Return the simulated time at a wall time, interpolated between two marks."""
        index = bisect_right(self._wall, wall)
        if index in {0, len(self._wall)}:
            return self._simulated[max(0, index - 1)]
        before, after = self._wall[index - 1], self._wall[index]
        share = (wall - before) / (after - before)
        step: timedelta = self._simulated[index] - self._simulated[index - 1]
        return self._simulated[index - 1] + step * share


def slack_messages(file: Path, clocks: Clocks) -> list[Event]:
    """Return what Slack was told, in order."""
    if not file.exists():
        return []
    events = []
    for line in file.read_text("utf-8").splitlines():
        message = json.loads(line)
        wall = datetime.fromisoformat(message["at"])
        events.append(Event(wall, clocks.simulated(wall), "Slack", slack_text(message["message"])))
    return events


def slack_text(message: dict[str, Any]) -> str:
    """Return what a person reads first: an alert's title and summary, or the first line of Airflow's text."""
    lines = [str(message.get("text") or "")]
    for attachment in message.get("attachments") or []:
        summary = str(attachment.get("text") or "").partition("\n")[0].replace("* (resolved)", "").strip("* ")
        lines.append(f"{attachment.get('title')}: {summary}")
    return "\n".join(line for line in lines if line).strip()
