"""What Prometheus sees of a model server; labels are prepared once a version, not once a request."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from serving import door
from serving.origin import Origin
from serving.spool_disk import free_ratio
from spec import ModelSpec

Outcome = Literal["ok", "client_error", "error"]
Reason = Literal["queue_full", "deadline", "disconnected"]

_EDGES_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
_EDGES_ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 1024)
_NOTHING_LOADED = "none"
_MOST_CHECKS = 200
_OTHER = "other"


@dataclass(frozen=True, slots=True)
class RequestMetrics:
    """The series of one version and one origin of its requests."""

    requests: dict[Outcome, Counter]
    seconds: Histogram
    broken: dict[tuple[str, str], Counter]
    """By feature and check of the door; empty where nothing is checked."""
    rows: Counter
    """Rows answered: one request may hold many."""
    received_bytes: Counter
    sent_bytes: Counter
    """Bodies of the answered requests, and of their answers."""
    queued_seconds: Histogram
    """Wait for the turn."""
    rejected: dict[Reason, Counter]
    """Requests that were not computed; each has its outcome in `requests` as well."""


class ServingMetrics:
    """All series of one slot, in a registry of their own.

    Duration buckets hold an edge at the latency that the canary's gate asks for, so that the gate
    counts and does not interpolate.
    """

    def __init__(self, spec: ModelSpec, slot: str) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._model, self._slot = spec.model, slot
        labels = ("model", "version", "slot")
        requests = (*labels, "shadow")
        edges = {*_EDGES_S, spec.monitor.latency.p99.total_seconds(), spec.latency_gate.total_seconds()}
        self._requests = Counter(
            "trimtab_predictions_total", "Requests.", (*requests, "outcome"), registry=self.registry
        )
        self._seconds = Histogram(
            "trimtab_prediction_duration_seconds",
            "Time of a request, from its last byte received to the answer.",
            requests,
            registry=self.registry,
            buckets=sorted(edges),
        )
        self._rows = Counter(
            "trimtab_prediction_rows_total", "Rows answered.", requests, registry=self.registry
        )
        self._bytes = Counter(
            "trimtab_prediction_bytes_total",
            "Bodies of answered requests, and of their answers.",
            (*requests, "direction"),
            registry=self.registry,
        )
        self._queued = Histogram(
            "trimtab_prediction_queue_seconds",
            "Time from a request's last byte to its turn.",
            requests,
            registry=self.registry,
            buckets=_EDGES_S,
        )
        self._rejected = Counter(
            "trimtab_requests_rejected_total",
            "Requests that were not computed.",
            (*requests, "reason"),
            registry=self.registry,
        )
        self._cached = Counter(
            "trimtab_cached_rows_total", "Rows answered from the cache.", labels, registry=self.registry
        )
        self._batch_rows = Histogram(
            "trimtab_batch_rows",
            "Rows of one run of the model.",
            labels,
            registry=self.registry,
            buckets=_EDGES_ROWS,
        )
        self._provider = Gauge(
            "trimtab_model_provider_info",
            "1; what runs the model, and what the spec would rather have.",
            (*labels, "provider", "wanted"),
            registry=self.registry,
        )
        self._wanted = _wanted(spec)
        self._info = Gauge(
            "trimtab_slot_info", "1 for the version that answers.", labels, registry=self.registry
        )
        self._load = Gauge(
            "trimtab_model_load_seconds", "Time to fetch, check and warm up.", labels, registry=self.registry
        )
        self._size = Gauge(
            "trimtab_model_size_bytes", "Size of the ONNX file.", labels, registry=self.registry
        )
        log = ("model", "slot")
        self._in_flight = Gauge(
            "trimtab_requests_in_flight", "Requests that have no answer yet.", log, registry=self.registry
        )
        self._waiting = Gauge(
            "trimtab_requests_waiting", "Requests that wait for their turn.", log, registry=self.registry
        )
        self._most = Gauge(
            "trimtab_requests_in_flight_limit",
            "Requests in flight from which on more are rejected.",
            log,
            registry=self.registry,
        )
        self._most.labels(spec.model, slot).set(spec.serving.queue)
        self.loop_lag_seconds = Histogram(
            "trimtab_event_loop_lag_seconds",
            "How late the event loop is: what a request waits before it is looked at.",
            log,
            registry=self.registry,
            buckets=_EDGES_S,
        ).labels(spec.model, slot)
        self._pending = Gauge(
            "trimtab_log_pending_rows", "Answered rows not yet in Delta.", log, registry=self.registry
        )
        self._disk = Gauge(
            "trimtab_log_disk_free_ratio", "Free share of the spool's disk.", log, registry=self.registry
        )
        self.commit_failures = Counter(
            "trimtab_log_commit_failures_total", "Failed Delta commits.", log, registry=self.registry
        ).labels(spec.model, slot)
        self.log_write_failures = Counter(
            "trimtab_log_write_failures_total",
            "Requests without an answer because the spool took no rows.",
            log,
            registry=self.registry,
        ).labels(spec.model, slot)
        constraints = door.constraints(spec)
        self._checks = constraints.checks if constraints is not None else ()
        self._broken = Counter(
            "trimtab_door_violations_total",
            "Rows that break what the spec states of a feature.",
            ("model", "version", "feature", "check"),
            registry=self.registry,
        )
        self.nothing_loaded = self.requests(_NOTHING_LOADED)

    def requests(self, version: str) -> tuple[RequestMetrics, ...]:
        """Return the series of a version by origin. They exist from now on, at zero."""
        return tuple(self._requests_of(version, origin.label) for origin in Origin)

    def batch_rows(self, version: str) -> Histogram:
        """Return the series of a version's runs."""
        return self._batch_rows.labels(self._model, version, self._slot)

    def cached_rows(self, version: str) -> Counter:
        """Return the series of a version's answers from the cache."""
        return self._cached.labels(self._model, version, self._slot)

    def live(self, version: str, load_seconds: float, size_bytes: int, provider: str) -> None:
        """Say which version answers from now on."""
        self.not_live()
        labels = (self._model, version, self._slot)
        self._info.labels(*labels).set(1)
        self._load.labels(*labels).set(load_seconds)
        self._size.labels(*labels).set(size_bytes)
        self._provider.labels(*labels, provider, self._wanted).set(1)

    def not_live(self) -> None:
        """Say that nothing is loaded."""
        for gauge in (self._info, self._load, self._size, self._provider):
            gauge.clear()

    def pending_rows(self, count: Callable[[], int]) -> None:
        """Take the number of uncommitted rows from `count` whenever Prometheus asks."""
        self._pending.labels(self._model, self._slot).set_function(count)

    def log_disk(self, folder: Path) -> None:
        """Look at the disk of what waits for Delta whenever Prometheus asks."""
        self._disk.labels(self._model, self._slot).set_function(partial(free_ratio, folder))

    def in_flight(self, count: Callable[[], int]) -> None:
        """Take the number of requests without an answer from `count` whenever Prometheus asks."""
        self._in_flight.labels(self._model, self._slot).set_function(count)

    def waiting(self, count: Callable[[], int]) -> None:
        """Take the number of requests that wait from `count` whenever Prometheus asks."""
        self._waiting.labels(self._model, self._slot).set_function(count)

    def exposition(self) -> tuple[bytes, str]:
        """Return the text format and its content type."""
        return generate_latest(self.registry), CONTENT_TYPE_LATEST

    def _requests_of(self, version: str, shadow: str) -> RequestMetrics:
        labels = (self._model, version, self._slot, shadow)
        outcomes: tuple[Outcome, ...] = ("ok", "client_error", "error")
        reasons: tuple[Reason, ...] = ("queue_full", "deadline", "disconnected")
        return RequestMetrics(
            {outcome: self._requests.labels(*labels, outcome) for outcome in outcomes},
            self._seconds.labels(*labels),
            self._broken_of(version),
            self._rows.labels(*labels),
            self._bytes.labels(*labels, "received"),
            self._bytes.labels(*labels, "sent"),
            self._queued.labels(*labels),
            {reason: self._rejected.labels(*labels, reason) for reason in reasons},
        )

    def _broken_of(self, version: str) -> dict[tuple[str, str], Counter]:
        """Return a counter a feature and check; beyond the first 200 the features share one of each check."""
        return {
            (feature, check): self._broken.labels(
                self._model, version, feature if at < _MOST_CHECKS else _OTHER, check
            )
            for at, (feature, check) in enumerate(self._checks)
            if version != _NOTHING_LOADED
        }


def _wanted(spec: ModelSpec) -> str:
    providers = spec.serving.providers
    return providers if isinstance(providers, str) else providers[0]
