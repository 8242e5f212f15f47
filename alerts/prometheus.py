"""The configuration of Prometheus: what is scraped, which rules are read, where alerts go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
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
    payloads
        Base URL of the receiver of KServe's payloads, of each model that has one.
    envoy_admins
        Base URLs of the admin ports of the Envoys.
    alertmanager
        Where alerts are sent; scraped too (job ``alertmanager``), so that failed notifications are seen.
    prometheus
        Prometheus itself, by the URL that it reaches itself on, so that failing rules are seen.
    """

    exporter: Target
    receiver: Target
    slots: Mapping[str, Mapping[str, str]]
    payloads: Mapping[str, str] = field(default_factory=dict)
    envoy_admins: Sequence[str] = ()
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
        "alertmanager": targets.alertmanager,
        "prometheus": targets.prometheus,
    }
    jobs = [_job(name, target) for name, target in named.items() if target is not None]
    jobs += [_envoys(targets.envoy_admins)] if targets.envoy_admins else []
    jobs += [_labelled_job("trimtab-serving", _slots(targets.slots))] if targets.slots else []
    jobs += [_labelled_job("trimtab-payloads", _receivers(targets.payloads))] if targets.payloads else []
    content: dict[str, Any] = {
        "global": {"scrape_interval": span, "scrape_timeout": span, "evaluation_interval": span},
        "rule_files": [str(path) for path in rules],
        "scrape_configs": jobs,
    }
    if targets.alertmanager is not None:
        content["alerting"] = {"alertmanagers": [targets.alertmanager.fields()]}
    return content


def _job(name: str, target: Target) -> dict[str, Any]:
    return {"job_name": name} | target.fields()


def _envoys(admins: Sequence[str]) -> dict[str, Any]:
    static = [{"targets": [urlsplit(url).netloc for url in admins]}]
    return {"job_name": "envoy", "metrics_path": "/stats/prometheus", "static_configs": static}


def _labelled_job(name: str, static: list[dict[str, Any]]) -> dict[str, Any]:
    """One job for servers of many models; its targets' labels stand on `up` even when nothing answers.

    The servers label their own series with model and slot; those are kept as they are
    (`honor_labels`), not renamed to ``exported_model``.
    """
    return {"job_name": name, "honor_labels": True, "static_configs": static}


def _slots(slots: Mapping[str, Mapping[str, str]]) -> list[dict[str, Any]]:
    return [
        {"targets": [urlsplit(url).netloc], "labels": {"model": model, "slot": slot}}
        for model, of_model in slots.items()
        for slot, url in of_model.items()
    ]


def _receivers(payloads: Mapping[str, str]) -> list[dict[str, Any]]:
    return [
        {"targets": [urlsplit(url).netloc], "labels": {"model": model}} for model, url in payloads.items()
    ]
