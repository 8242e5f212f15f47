"""Slack messages by the provider, and the events that the exporter and the auditor read."""

from __future__ import annotations

from typing import Any

from airflow.providers.slack.notifications.slack_webhook import SlackWebhookNotifier

from spec import ModelSpec, Settings

SLACK_CONNECTION = "slack"


def slack(spec: ModelSpec, text: str) -> SlackWebhookNotifier:
    """Return a callback that posts `text` (a Jinja template over the task's context) to Slack."""
    return SlackWebhookNotifier(slack_webhook_conn_id=SLACK_CONNECTION, text=f"*{spec.model}* {text}")


def record(
    spec: ModelSpec, settings: Settings, kind: str, text: str, key: str | None = None, /, **payload: Any
) -> None:
    """Write one event to the results store, at the clock's time; of the same key only the first is kept."""
    from monitors.results.store import Store

    now = settings.clock.now()
    Store(settings.results_url).record_event(spec.model, kind, text, at=now, payload=payload, key=key)
