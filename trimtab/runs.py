"""Start a run of a DAG because a person asked for it."""

from __future__ import annotations

import asyncio
import getpass
import json
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from alerts.airflow import Airflow
from spec import Refused, Settings


@dataclass(frozen=True, slots=True)
class Started:
    """A run that Airflow has taken; `url` is its page."""

    dag_id: str
    run_id: str
    url: str

    def as_json(self) -> str:
        """Return it as JSON text."""
        return json.dumps(asdict(self), indent=1)


def start(settings: Settings, dag_id: str, conf: Mapping[str, Any]) -> Started:
    """Start a run of a DAG.

    Raises
    ------
    Refused
        The DAG is paused (its run would wait for ever), or Airflow does not accept `conf`.
    Unavailable
        Airflow does not answer, or does not know the DAG.
    """
    return asyncio.run(_start(settings, dag_id, dict(conf)))


async def _start(settings: Settings, dag_id: str, conf: dict[str, Any]) -> Started:
    run_id = f"cli-{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(2)}"
    async with Airflow(
        settings.airflow_url, settings.airflow_user, settings.airflow_password_file
    ) as airflow:
        if await airflow.paused(dag_id):
            msg = f"{dag_id} is paused; unpause it at {settings.airflow_url}/dags/{dag_id}"
            raise Refused(msg)
        await airflow.trigger(dag_id, run_id, conf, f"trimtab, asked by {getpass.getuser()}")
    return Started(dag_id, run_id, f"{settings.airflow_url}/dags/{dag_id}/runs/{run_id}")
