"""Replay the flights: requests through the gateway in event-time order, labels when the planes land."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from time import monotonic
from typing import Any

import aiohttp
import orjson
import pandas as pd

from monitors.tables import labels
from spec import FeatureType, ModelSpec, Settings, set_clock

CONNECTIONS = 16
TICK = timedelta(hours=1)
LABELS_EVERY = timedelta(hours=6)
_DATATYPE = {FeatureType.NUMERIC: "FP64", FeatureType.CATEGORICAL: "BYTES", FeatureType.BOOLEAN: "BOOL"}


@dataclass
class Progress:
    """What the replay has done so far; the live view reads it."""

    start: datetime
    end: datetime
    now: datetime
    answers: Counter[int] = field(default_factory=Counter)
    labelled: int = 0
    first_failure: str = ""

    @property
    def failed(self) -> int:
        """Requests that got no 200; 0 is the status of a connection that broke."""
        return sum(count for status, count in self.answers.items() if status != 200)  # noqa: PLR2004 - OK


class Replay:
    """Owner of the traffic, the labels and the clock of a replay.

    Parameters
    ----------
    flights
        Rows as `load_flights` returns them, ordered by scheduled departure.
    day_seconds
        Wall time of one simulated day. The clock waits for the answers: a slow machine makes the
        replay longer, never the traffic late.
    """

    def __init__(
        self, spec: ModelSpec, settings: Settings, flights: pd.DataFrame, day_seconds: float
    ) -> None:
        self._spec = spec
        self._settings = settings
        self._tick_s = day_seconds * (TICK / timedelta(days=1))
        departures = flights["scheduled_departure"]
        start = departures.iloc[0].to_pydatetime().replace(hour=0, minute=0)
        self.progress = Progress(start, departures.iloc[-1].to_pydatetime(), start)
        self._bodies = dict(_requests(spec, flights))
        self._truth = flights[["flight_id", "late", "landed"]].sort_values("landed", ignore_index=True)
        self._delivered = 0

    async def run(self) -> None:
        """Send everything; returns when the last flight has been answered."""
        url = f"{self._settings.gateway_url}/v2/models/{self._spec.model}/infer"
        connector = aiohttp.TCPConnector(limit=CONNECTIONS)
        timeout = aiohttp.ClientTimeout(total=30)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
            due, hour, next_labels = monotonic(), self.progress.start, self.progress.start
            while hour <= self.progress.end:
                await self._send(session, url, hour)
                hour += TICK
                set_clock(self._settings.home / "clock", hour)
                self.progress.now = hour
                if hour >= next_labels:
                    await asyncio.to_thread(self._deliver, hour)
                    next_labels += LABELS_EVERY
                due = max(due + self._tick_s, monotonic() - self._tick_s)
                await asyncio.sleep(due - monotonic())

    async def _send(self, session: aiohttp.ClientSession, url: str, hour: datetime) -> None:
        bodies = self._bodies.get(hour, [])
        for status, text in await asyncio.gather(*(_post(session, url, body) for body in bodies)):
            self.progress.answers[status] += 1
            self.progress.first_failure = self.progress.first_failure or text

    def _deliver(self, now: datetime) -> None:
        """Append the labels of the flights that have landed since the last time."""
        upto = int(self._truth["landed"].searchsorted(pd.Timestamp(now), side="right"))
        if upto > self._delivered:
            labels.append(self._spec, self._settings, self._truth.iloc[self._delivered : upto])
            self.progress.labelled += upto - self._delivered
            self._delivered = upto


def _requests(spec: ModelSpec, flights: pd.DataFrame) -> Iterator[tuple[datetime, list[bytes]]]:
    """Yield each hour with the request bodies of its flights."""
    features = flights[list(spec.features)].astype(object).where(flights[list(spec.features)].notna(), None)
    inputs = [(name, _DATATYPE[feature.type]) for name, feature in spec.features.items()]
    bodies = [
        _body(inputs, prediction_id, departure.isoformat(), row)
        for prediction_id, departure, row in zip(
            flights["flight_id"], flights["scheduled_departure"], features.to_numpy(), strict=True
        )
    ]
    hours = flights["scheduled_departure"].dt.floor("h")
    for hour, rows in hours.groupby(hours):
        yield hour.to_pydatetime(), [bodies[index] for index in rows.index]


def _body(inputs: list[tuple[str, str]], prediction_id: str, event_time: str, row: Any) -> bytes:
    """One Open Inference Protocol V2 request of one row."""
    tensors = [
        {"name": name, "datatype": datatype, "shape": [1], "data": [value]}
        for (name, datatype), value in zip(inputs, row, strict=True)
    ]
    return orjson.dumps({"id": prediction_id, "parameters": {"event_time": event_time}, "inputs": tensors})


async def _post(session: aiohttp.ClientSession, url: str, body: bytes) -> tuple[int, str]:
    try:
        async with session.post(url, data=body, headers={"content-type": "application/json"}) as answer:
            text = await answer.text()
            return answer.status, "" if answer.ok else f"{answer.status}: {text}"
    except (aiohttp.ClientError, TimeoutError) as error:
        return 0, f"{type(error).__name__}: {error}"
