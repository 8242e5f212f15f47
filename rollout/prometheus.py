"""Raw samples from Prometheus. No `rate` and no `increase`: both guess beyond the samples that there are."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import httpx

from spec import Unavailable

LOOKBACK = timedelta(minutes=5)
_RAW = timedelta(hours=6)
_POINTS = 5_000
_RAW_COARSE, _FEW_POINTS = timedelta(minutes=10), 500
_ANSWERS = 10_000  # Prometheus refuses more than 11,000 points


@dataclass(frozen=True, slots=True)
class Span:
    """A span of time in unix seconds, both ends included."""

    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Series:
    """One time series: its labels and its samples ``(unix seconds, value)``, oldest first."""

    labels: Mapping[str, str]
    samples: tuple[tuple[float, float], ...]


class Prometheus:
    """The HTTP API of the Prometheus at `url`."""

    def __init__(self, url: str, timeout_s: float = 10.0) -> None:
        self._url = url.rstrip("/")
        self._timeout_s = timeout_s
        self.silent = False
        """Whether the last question got no answer: it is not there, not that it knows too little."""

    def samples(self, selector: str, start: datetime, end: datetime, *, coarse: bool = False) -> list[Series]:
        """Return the series that `selector` names, from five minutes before `start` until `end`.

        The lead-in tells a counter that stood at 7 from one that began at 7. Up to six hours come as
        the raw samples; longer spans at about 5,000 points, each the newest sample before it. Where many
        series are asked for at once, `coarse` is ten minutes and 500 points.

        Raises
        ------
        Unavailable
            Prometheus did not answer, failed or refused the query, as of too many samples; with its
            reason. What is not known holds a rollout and does not end it.
        """
        span, points = end - start + LOOKBACK, _FEW_POINTS if coarse else _POINTS
        if span <= (_RAW_COARSE if coarse else _RAW):
            query = f"{selector}[{max(1, round(span.total_seconds()))}s]"
            data = self._get("/api/v1/query", {"query": query, "time": f"{end.timestamp():.3f}"})
        else:
            times = {"start": f"{(start - LOOKBACK).timestamp():.3f}", "end": f"{end.timestamp():.3f}"}
            step = f"{span.total_seconds() / points:.3f}"
            data = self._get("/api/v1/query_range", {"query": selector, "step": step, **times})
        return [_series(entry) for entry in data["result"]]

    def values(self, query: str, times: Span, every_s: float) -> list[Series]:
        """Return what any query answers at `times.start` and each `every_s` from there to `times.end`.

        Raises
        ------
        Unavailable
            As `samples`.
        """
        found: list[Series] = []
        start, stride = times.start, every_s * _ANSWERS
        while start <= times.end:
            end = min(start + stride - every_s, times.end)
            params = {"start": f"{start:.3f}", "end": f"{end:.3f}", "step": f"{every_s:.3f}"}
            found += [
                _series(one) for one in self._get("/api/v1/query_range", {"query": query, **params})["result"]
            ]
            start += stride
        return found

    def _get(self, path: str, params: Mapping[str, str]) -> dict[str, Any]:
        self.silent = True
        try:
            answer = httpx.post(self._url + path, data=params, timeout=self._timeout_s, trust_env=False)
            content = answer.json()
        except (httpx.TransportError, json.JSONDecodeError) as error:
            msg = f"Prometheus at {self._url} did not answer: {error}"
            raise Unavailable(msg) from error
        if answer.is_server_error:
            msg = f"Prometheus at {self._url} failed: {content.get('error')}"
            raise Unavailable(msg)
        self.silent = False
        if content.get("status") != "success":
            msg = f"Prometheus refused {params['query']!r}: {content.get('error')}"
            raise Unavailable(msg)
        data: dict[str, Any] = content["data"]
        return data


def selector(metric: str, **labels: str) -> str:
    """Return ``metric{label="value",…}``; a value that starts with ``~`` is a regular expression."""
    matchers = [
        f"{label}=~{json.dumps(value[1:])}" if value.startswith("~") else f"{label}={json.dumps(value)}"
        for label, value in labels.items()
    ]
    return f"{metric}{{{','.join(matchers)}}}"


def _series(entry: Mapping[str, Any]) -> Series:
    return Series(entry["metric"], tuple((float(time), float(value)) for time, value in entry["values"]))
