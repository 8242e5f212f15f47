"""The configuration of Prometheus: what is scraped, which rules are read, where alerts go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from spec import InputError, Problem


@dataclass(frozen=True, slots=True)
class Target:
    """A server by its base URL (no path), with user and password's file where it wants them."""

    url: str
    user: str | None = None
    password_file: Path | None = None

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in {"http", "https"} or not parts.netloc or parts.path.strip("/"):
            raise InputError([Problem("url", "must be a base URL such as http://host:9090", self.url)])
        if (self.user is None) != (self.password_file is None):
            raise InputError([Problem(self.url, "must have user and password_file, or neither")])

    def fields(self) -> dict[str, Any]:
        """Return what Prometheus wants to know of a target: scheme, address, login."""
        parts = urlsplit(self.url)
        fields: dict[str, Any] = {"scheme": parts.scheme, "static_configs": [{"targets": [parts.netloc]}]}
        if self.user is not None:
            fields["basic_auth"] = {"username": self.user, "password_file": str(self.password_file)}
        return fields


@dataclass(frozen=True, slots=True)
class Targets:
    """Everything that Prometheus looks at.

    Parameters
    ----------
    exporter, receiver
        Our servers.
    slots
        Base URL of every model server: model to slot to URL, as in ``Settings.slots``.
    envoy_admin
        Envoy, by its admin port.
    alertmanager
        Where alerts are sent; scraped too (job ``alertmanager``), so that failed notifications are seen.
    prometheus
        Prometheus itself, by the URL that it reaches itself on, so that failing rules are seen.
    """

    exporter: Target
    receiver: Target
    slots: Mapping[str, Mapping[str, str]]
    envoy_admin: Target | None = None
    alertmanager: Target | None = None
    prometheus: Target | None = None


def config(
    targets: Targets, *, rules: Sequence[Path] = (), interval: timedelta = timedelta(seconds=15)
) -> dict[str, Any]:
    """Return the whole configuration, to be written as YAML.

    Parameters
    ----------
    targets
        What is scraped and where alerts go.
    rules
        Rule files, as `rules.rule_files` returns them.
    interval
        Time between scrapes, and between evaluations; a millisecond at the least.
    """
    span = f"{max(1, round(interval.total_seconds() * 1000))}ms"
    named = {
        "trimtab-exporter": targets.exporter,
        "trimtab-receiver": targets.receiver,
        "envoy": targets.envoy_admin,
        "alertmanager": targets.alertmanager,
        "prometheus": targets.prometheus,
    }
    jobs = [_job(name, target) for name, target in named.items() if target is not None]
    jobs += [_slots_job(targets.slots)] if targets.slots else []
    content: dict[str, Any] = {
        "global": {"scrape_interval": span, "scrape_timeout": span, "evaluation_interval": span},
        "rule_files": [str(path) for path in rules],
        "scrape_configs": jobs,
    }
    if targets.alertmanager is not None:
        content["alerting"] = {"alertmanagers": [targets.alertmanager.fields()]}
    return content


def _job(name: str, target: Target) -> dict[str, Any]:
    path = {"metrics_path": "/stats/prometheus"} if name == "envoy" else {}
    return {"job_name": name} | path | target.fields()


def _slots_job(slots: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    """One job for all model servers; the labels stand on `up` even when nothing answers.

    The servers label their own series with model and slot; those are kept as they are
    (`honor_labels`), not renamed to ``exported_model``.
    """
    static = [
        {"targets": [urlsplit(url).netloc], "labels": {"model": model, "slot": slot}}
        for model, of_model in slots.items()
        for slot, url in of_model.items()
    ]
    return {"job_name": "trimtab-serving", "honor_labels": True, "static_configs": static}
