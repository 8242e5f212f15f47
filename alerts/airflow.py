"""Airflow's REST API, version 2 of Airflow 3: the few calls that the receiver makes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any, Self

import httpx

from spec import Refused, Unavailable, read_secret

_FINISHED = frozenset({"success", "failed"})
_NEWEST = 100
_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a DAG; `requested_at` is the clock's time where its `conf` tells it, else Airflow's."""

    run_id: str
    state: str
    requested_at: datetime

    @classmethod
    def read(cls, record: dict[str, Any]) -> Self:
        """Read a run of Airflow's answer; a run that a person started need not tell `requested_at`."""
        told = _time((record["conf"] or {}).get("requested_at"))
        return cls(record["dag_run_id"], record["state"], told or datetime.fromisoformat(record["run_after"]))

    @property
    def in_flight(self) -> bool:
        """Whether it is neither done nor failed."""
        return self.state not in _FINISHED


class Airflow:
    """A client of one Airflow, used within ``async with``.

    The token is fetched when first needed and again when Airflow refuses it: after it expired
    (401) and after Airflow got a new signing key (403). The password is read from its file each
    time and not kept.

    Parameters
    ----------
    url
        Base URL of the API server.
    user, password_file
        A user who may start DAG runs (SimpleAuthManager: role ``user``).
    """

    def __init__(self, url: str, user: str, password_file: Path) -> None:
        self._client = httpx.AsyncClient(base_url=url, timeout=_TIMEOUT_S, trust_env=False)
        self._user = user
        self._password_file = password_file
        self._token = ""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def paused(self, dag_id: str) -> bool:
        """Return whether the DAG is paused: Airflow would take a run and never start it."""
        answer = await self._call("GET", f"/api/v2/dags/{dag_id}")
        return bool(_field(answer, "is_paused"))

    async def runs(self, dag_id: str) -> tuple[Run, ...]:
        """Return the newest 100 runs of the DAG, newest first."""
        query = {"order_by": "-id", "limit": _NEWEST}
        answer = await self._call("GET", f"/api/v2/dags/{dag_id}/dagRuns", params=query)
        return tuple(Run.read(record) for record in _field(answer, "dag_runs"))

    async def trigger(self, dag_id: str, run_id: str, conf: dict[str, Any], note: str) -> bool:
        """Start a run; return False if a run of that id exists already.

        Raises
        ------
        Refused
            If Airflow does not accept the run, for example because `conf` breaks a Param's schema.
        Unavailable
            If Airflow did not answer, does not know the DAG (yet), or lets the user not in.
        """
        body = {"dag_run_id": run_id, "logical_date": None, "conf": conf, "note": note[:1000]}
        answer = await self._call("POST", f"/api/v2/dags/{dag_id}/dagRuns", json=body)
        if answer.status_code in {HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY}:
            msg = f"Airflow does not accept a run of {dag_id}: {_detail(answer)}"
            raise Refused(msg)
        return answer.status_code != HTTPStatus.CONFLICT

    async def _call(self, method: str, path: str, **content: Any) -> httpx.Response:
        answer = await self._send(method, path, **content)
        if answer.status_code in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
            self._token = ""
            answer = await self._send(method, path, **content)
        expected = {HTTPStatus.BAD_REQUEST, HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY}
        if answer.is_success or (method == "POST" and answer.status_code in expected):
            return answer
        msg = f"Airflow answered {answer.status_code} to {method} {path}: {_detail(answer)}"
        raise Unavailable(msg)

    async def _send(self, method: str, path: str, **content: Any) -> httpx.Response:
        try:
            self._token = self._token or await self._log_in()
            headers = {"Authorization": f"Bearer {self._token}"}
            return await self._client.request(method, path, headers=headers, **content)
        except httpx.TransportError as error:
            msg = f"Airflow at {self._client.base_url} did not answer: {error!r}"
            raise Unavailable(msg) from error

    async def _log_in(self) -> str:
        who = {"username": self._user, "password": read_secret(self._password_file)}
        answer = await self._client.post("/auth/token", json=who)
        if not answer.is_success:
            msg = f"Airflow does not let user {self._user!r} in ({answer.status_code}): {_detail(answer)}"
            raise Unavailable(msg)
        return str(_field(answer, "access_token"))


def _field(answer: httpx.Response, name: str) -> Any:
    """Return a field of an answer; where there is none, another server stands in Airflow's place."""
    try:
        return answer.json()[name]
    except (ValueError, KeyError, TypeError) as error:
        msg = f"What answers at {answer.url} is not Airflow: {_detail(answer)}"
        raise Unavailable(msg) from error


def _detail(answer: httpx.Response) -> str:
    return " ".join(answer.text.split())[:300]


def _time(text: object) -> datetime | None:
    try:
        time = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return time if time.tzinfo else None
