"""The configuration of Alertmanager: who hears of what, and which alert asks for a retrain.

It keeps to what Alertmanager 0.25 knows (Debian 12), and newer ones read it too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from spec import InputError, ModelSpec, Problem

AIRFLOW, WATCHDOG, DEFAULT = "airflow", "watchdog", "people"
_HARM = (
    "TrimtabDataDrift|TrimtabCorrelationDrift|TrimtabPredictionDrift"
    "|TrimtabPerformanceBelowBand|TrimtabErrorAboveBand|TrimtabWorseSlice"
)
_GROUPS = "TrimtabUnequalGroups"  # told whatever else is decided: no repair or retrain makes up for it
_QUALITY = "TrimtabDataQuality"
_PEOPLE = "TrimtabFixData|TrimtabFixInfra|TrimtabCollectLabels"
_RETRAIN = "TrimtabRetrainNeeded"
_TITLE = (
    '{{ if ne .Status "firing" }}[RESOLVED] {{ else if .CommonLabels.severity }}'
    "[{{ .CommonLabels.severity | toUpper }}] {{ else }}[CRITICAL] {{ end }}"
    "{{ .CommonLabels.alertname }}{{ if .CommonLabels.model }}: {{ .CommonLabels.model }}{{ end }}"
)
_TEXT = """\
{{ range .Alerts }}*{{ .Annotations.summary }}*{{ if eq .Status "resolved" }} (resolved){{ end }}
{{ .Annotations.description }}
{{ if .Annotations.runbook_url }}Runbook: {{ .Annotations.runbook_url }}
{{ end }}Since {{ .StartsAt.UTC.Format "2006-01-02 15:04:05" }} UTC. <{{ .GeneratorURL }}|Graph>
{{ end }}"""
_COLOUR = (
    '{{ if eq .Status "resolved" }}good{{ else if eq .CommonLabels.severity "critical" }}danger'
    "{{ else }}warning{{ end }}"
)


@dataclass(frozen=True, slots=True)
class Timing:
    """How long Alertmanager gathers alerts and when it repeats itself; all wall time.

    `retry` is `repeat` for the retrain route: how often a request that was refused (cooldown,
    busy) is made again while its alert fires. Alertmanager looks only once an `interval`.
    """

    wait: timedelta = timedelta(seconds=30)
    interval: timedelta = timedelta(minutes=5)
    repeat: timedelta = timedelta(hours=4)
    retry: timedelta = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Slack:
    """Slack's incoming webhook: its URL, or better the file that holds it."""

    url: str | None = None
    url_file: Path | None = None

    def __post_init__(self) -> None:
        if (self.url is None) == (self.url_file is None):
            raise InputError([Problem("slack", "must name either url or url_file", "both or neither")])

    def fields(self) -> dict[str, str]:
        """Return the keys that Alertmanager wants."""
        return {"api_url": self.url} if self.url else {"api_url_file": str(self.url_file)}


def config(
    specs: Mapping[str, ModelSpec],
    *,
    receiver_url: str,
    receiver_token_file: Path,
    slack: Slack | None = None,
    channel: str = "#ml-alerts",
    watchdog_url: str | None = None,
    timing: Timing | None = None,
) -> dict[str, Any]:
    """Return the whole configuration, to be written as YAML.

    Parameters
    ----------
    specs
        The models; each one's alerts go to the channel of its `notify.slack`.
    receiver_url, receiver_token_file
        Base URL of our receiver, and the file with its bearer token, readable by Alertmanager.
    slack
        None tells nobody: alerts are seen in Alertmanager only.
    channel
        Slack channel of alerts that belong to no model.
    watchdog_url
        Where a dead man's switch listens for `TrimtabWatchdog`; None for nowhere.
    timing
        See `Timing`; a replay makes all of them short.
    """
    timing = timing or Timing()
    people = {model: spec.notify.slack for model, spec in specs.items()}
    return {
        "route": _route(tuple(people), timing),
        "inhibit_rules": _INHIBIT,
        "receivers": [
            _slack_receiver(DEFAULT, channel, slack),
            *(_slack_receiver(f"{DEFAULT}-{model}", name, slack) for model, name in people.items()),
            _airflow_receiver(receiver_url, receiver_token_file),
            _watchdog_receiver(watchdog_url),
        ],
    }


def _route(models: tuple[str, ...], timing: Timing) -> dict[str, Any]:
    to_airflow = {
        "matchers": ['action="retrain"'],
        "receiver": AIRFLOW,
        "group_by": ["model", "action"],
        "repeat_interval": _span(timing.retry),
        "continue": True,
    }
    to_watchdog = {
        "matchers": ['alertname="TrimtabWatchdog"'],
        "receiver": WATCHDOG,
        "repeat_interval": _span(timing.interval),
    }
    to_people = [{"matchers": [f'model="{m}"'], "receiver": f"{DEFAULT}-{m}"} for m in models]
    return {
        "receiver": DEFAULT,
        "group_by": ["model", "alertname"],
        "group_wait": _span(timing.wait),
        "group_interval": _span(timing.interval),
        "repeat_interval": _span(timing.repeat),
        # The last route has no matcher: the parent's receiver hears only of what no child matches,
        # so an alert that went to Airflow would reach no person.
        "routes": [to_watchdog, to_airflow, *to_people, {"receiver": DEFAULT}],
    }


_FAULTS = "constant|constraint|duplicate_ids|null_rate|schema|uniqueness|unit_change"
# Labels that are missing on both sides count as equal.
_INHIBIT = [
    {
        "source_matchers": ['severity="critical"'],
        "target_matchers": ['severity="warning"'],
        "equal": ["model", "alertname", "slot"],
    },
    {  # a frozen figure keeps its alert firing
        "source_matchers": ['alertname="TrimtabMonitorStale"'],
        "target_matchers": [f'alertname=~"{_HARM}|{_GROUPS}|{_QUALITY}|{_PEOPLE}|{_RETRAIN}"'],
        "equal": ["model", "monitor"],
    },
    {  # one message: what was decided says what was found
        "source_matchers": [f'alertname=~"{_PEOPLE}|{_RETRAIN}"'],
        "target_matchers": [f'alertname=~"{_HARM}"'],
        "equal": ["model", "version"],
    },
    {
        "source_matchers": [f'alertname=~"{_PEOPLE}"'],
        "target_matchers": [f'alertname="{_QUALITY}"'],
        "equal": ["model", "version"],
    },
    {  # a fault of the data is repaired, not trained into the next version
        "source_matchers": [f'alertname="{_QUALITY}"', f'check=~"{_FAULTS}"'],
        "target_matchers": ['action="retrain"'],
        "equal": ["model", "version"],
    },
]


def _airflow_receiver(url: str, token_file: Path) -> dict[str, Any]:
    hook = {
        "url": f"{url.rstrip('/')}/alerts",
        "send_resolved": True,
        "http_config": {"authorization": {"type": "Bearer", "credentials_file": str(token_file)}},
    }
    return {"name": AIRFLOW, "webhook_configs": [hook]}


def _watchdog_receiver(url: str | None) -> dict[str, Any]:
    if url is None:
        return {"name": WATCHDOG}
    return {"name": WATCHDOG, "webhook_configs": [{"url": url, "send_resolved": False}]}


def _slack_receiver(name: str, channel: str, slack: Slack | None) -> dict[str, Any]:
    if slack is None:
        return {"name": name}
    message = {
        "channel": channel,
        "send_resolved": True,
        "title": _TITLE,
        "title_link": "{{ .ExternalURL }}",
        "text": _TEXT,
        "fallback": f"{_TITLE} {{{{ .CommonAnnotations.summary }}}}",
        "color": _COLOUR,
    }
    return {"name": name, "slack_configs": [slack.fields() | message]}


def _span(value: timedelta) -> str:
    """Write a span as Prometheus reads it; milliseconds are its finest."""
    return f"{max(1, round(value.total_seconds() * 1000))}ms"
