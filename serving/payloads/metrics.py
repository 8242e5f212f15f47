"""What Prometheus sees of a payload receiver."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from serving.payloads.pairs import Kind, Outcome
from serving.spool_disk import free_ratio

Reason = Literal["credential", "envelope", "unknown_model", "payload", "version", "rows", "too_large"]
OUTCOMES: tuple[Outcome | Literal["ignored"], ...] = ("paired", "waiting", "duplicate", "ignored")
REASONS: tuple[Reason, ...] = (
    "credential", "envelope", "unknown_model", "payload", "version", "rows", "too_large",
)  # fmt: skip
LOG_SLOT = "kserve"
"""Label `slot` of the log's own series: the alerts on the logs of model servers watch them too."""


class PayloadMetrics:
    """All series of one receiver, in a registry of their own; each exists from the start, at zero."""

    def __init__(self, model: str) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._model = model
        self._events = Counter(
            "trimtab_payload_events_total",
            "Events taken; ignored: not of a predictor, or without a body.",
            ("model", "outcome"),
            registry=self.registry,
        )
        self._rejected = Counter(
            "trimtab_payload_rejected_total",
            "Events, or deliveries of them, that were turned away.",
            ("model", "reason"),
            registry=self.registry,
        )
        self._dropped = Counter(
            "trimtab_payload_dropped_total",
            "Requests and responses whose other half did not come in time.",
            ("model", "half"),
            registry=self.registry,
        )
        self._waiting = Gauge(
            "trimtab_payload_waiting",
            "Requests and responses whose other half has not come yet.",
            ("model",),
            registry=self.registry,
        )
        log = ("model", "slot")
        self._pending = Gauge(
            "trimtab_log_pending_rows", "Finished rows not yet in Delta.", log, registry=self.registry
        )
        self._disk = Gauge(
            "trimtab_log_disk_free_ratio",
            "Free share of the disk of what is kept.",
            log,
            registry=self.registry,
        )
        self.commit_failures = Counter(
            "trimtab_log_commit_failures_total", "Failed Delta commits.", log, registry=self.registry
        ).labels(model, LOG_SLOT)
        self.write_failures = Counter(
            "trimtab_log_write_failures_total",
            "Events refused because nothing can be kept.",
            log,
            registry=self.registry,
        ).labels(model, LOG_SLOT)
        for outcome in OUTCOMES:
            self._events.labels(model, outcome)
        for reason in REASONS:
            self._rejected.labels(model, reason)
        self.dropped({"request": 0, "response": 0})

    def took(self, outcome: Outcome | Literal["ignored"]) -> None:
        """Count an event that was taken."""
        self._events.labels(self._model, outcome).inc()

    def rejected(self, reason: Reason) -> None:
        """Count an event that was not."""
        self._rejected.labels(self._model, reason).inc()

    def dropped(self, halves: Mapping[Kind, int]) -> None:
        """Count halves that stayed alone."""
        for kind, count in halves.items():
            self._dropped.labels(self._model, kind).inc(count)

    def follow(self, waiting: Callable[[], int], pending: Callable[[], int]) -> None:
        """Take the numbers of waiting halves and uncommitted rows whenever Prometheus asks."""
        self._waiting.labels(self._model).set_function(waiting)
        self._pending.labels(self._model, LOG_SLOT).set_function(pending)

    def log_disk(self, folder: Path) -> None:
        """Look at the disk of what is kept whenever Prometheus asks."""
        self._disk.labels(self._model, LOG_SLOT).set_function(partial(free_ratio, folder))

    def exposition(self) -> tuple[bytes, str]:
        """Return the text format and its content type."""
        return generate_latest(self.registry), CONTENT_TYPE_LATEST
