"""The receiver: Alertmanager's webhook in, at most one Airflow run an alert episode's attempt out.

It keeps nothing: Airflow's own runs and the results store are the memory, so it may be restarted, or run
twice.

What Alertmanager makes of an answer: 2xx is final until the alert changes or `repeat_interval`
passes; 5xx is tried again with a growing pause; 4xx is counted as failed and comes again every
`group_interval`. So "not now" is 200, "could not" is 503, and only what a person must repair is 4xx.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict, replace
from http import HTTPStatus
from typing import Any

import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import CollectorRegistry, Counter, Gauge, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from alerts import history
from alerts.airflow import Airflow
from alerts.decision import Decision, Outcome, decide
from alerts.requests import Alert, Notification, RetrainRequest
from monitors.results.store import Store
from spec import (
    ModelSpec,
    Refused,
    RequestError,
    Settings,
    SettingsError,
    Unavailable,
    did_you_mean,
    read_secret,
)

log = logging.getLogger(__name__)

_STATUS = {
    Outcome.UNKNOWN_MODEL: HTTPStatus.UNPROCESSABLE_ENTITY,
    Outcome.NOT_ACCEPTED: HTTPStatus.UNPROCESSABLE_ENTITY,
    Outcome.PAUSED: HTTPStatus.SERVICE_UNAVAILABLE,
    Outcome.UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
}
_WANTS_DAG = frozenset({Outcome.TRIGGERED, Outcome.DUPLICATE})


class Metrics:
    """The receiver's metrics, in a registry of their own; every outcome is there from the start."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._requests = Counter(
            "trimtab_receiver_requests",
            "Deliveries, counted once for each model that asks for a retrain.",
            ["outcome"],
            registry=self.registry,
        )
        self._paused = Gauge(
            "trimtab_receiver_dag_paused",
            "1 if the model's retrain DAG was paused when it was last wanted.",
            ["model"],
            registry=self.registry,
        )
        for outcome in Outcome:
            self._requests.labels(outcome)

    def count(self, outcome: Outcome) -> None:
        """Count one request."""
        self._requests.labels(outcome).inc()

    def set_paused(self, model: str, *, paused: bool) -> None:
        """Note whether the model's retrain DAG is paused."""
        self._paused.labels(model).set(paused)


class Desk:
    """Answers the requests of every model, one at a time for each model."""

    def __init__(
        self, specs: Mapping[str, ModelSpec], settings: Settings, airflow: Airflow, metrics: Metrics
    ) -> None:
        self._specs = specs
        self._clock = settings.clock
        self._results = Store(settings.results_url)
        self._airflow = airflow
        self._metrics = metrics
        self._turns = {model: asyncio.Lock() for model in specs}

    async def answer(self, model: str, group_key: str, alerts: tuple[Alert, ...]) -> Decision:
        """Decide on the request of one model's alerts and carry it out."""
        spec = self._specs.get(model)
        if spec is None:
            return Decision(Outcome.UNKNOWN_MODEL, f"no model {model!r}. {did_you_mean(model, self._specs)}")
        request = RetrainRequest.of(group_key, alerts, self._clock.now())
        try:
            async with self._turns[model]:
                return await self._carry_out(spec, request)
        except Refused as error:
            return Decision(Outcome.NOT_ACCEPTED, str(error))
        except (Unavailable, SettingsError) as error:
            return Decision(Outcome.UNAVAILABLE, str(error))

    def forget_paused(self, models: Iterable[str]) -> None:
        """Note that nobody waits for the DAGs of these models any more."""
        for model in self._specs.keys() & set(models):
            self._metrics.set_paused(model, paused=False)

    async def _carry_out(self, spec: ModelSpec, request: RetrainRequest) -> Decision:
        dag = f"retrain_{spec.model}"
        retrains = await self._airflow.runs(dag)
        rollouts = await self._airflow.runs(f"rollout_{spec.model}")
        rejected = await asyncio.to_thread(self._rejected, spec.model)
        decision = decide(spec, request, retrains, rollouts, rejected)
        # A paused DAG takes runs and starts none, and stalls those it has.
        paused = await self._airflow.paused(dag) and decision.outcome in _WANTS_DAG
        self._metrics.set_paused(spec.model, paused=paused)
        if paused:
            return Decision(Outcome.PAUSED, f"{dag} is paused in Airflow; unpause it", decision.run_id)
        if decision.outcome is not Outcome.TRIGGERED:
            return decision
        if not await self._airflow.trigger(dag, decision.run_id, request.conf(), request.summary):
            return replace(decision, outcome=Outcome.DUPLICATE, reason="another delivery was first")
        return decision

    def _rejected(self, model: str) -> int:
        return history.rejected(self._results.events(model, kinds=history.KINDS))

    def close(self) -> None:
        """Close the connections to the results store."""
        self._results.close()


def create_app(specs: Mapping[str, ModelSpec], settings: Settings) -> FastAPI:
    """Make the receiver's application.

    ``POST /alerts`` wants ``Authorization: Bearer <content of settings.receiver_token_file>`` and
    Alertmanager's webhook body; the answer lists what became of each model's request.
    ``GET /health`` and ``GET /metrics`` are open.

    Raises
    ------
    SettingsError
        If the token's file cannot be read; it is read again at every delivery.
    """
    read_secret(settings.receiver_token_file)
    metrics = Metrics()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        login = (settings.airflow_url, settings.airflow_user, settings.airflow_password_file)
        async with Airflow(*login) as airflow:
            app.state.desk = desk = Desk(specs, settings, airflow, metrics)
            try:
                yield
            finally:
                desk.close()

    app = FastAPI(title="Trimtab receiver", lifespan=lifespan, openapi_url=None)

    @app.post("/alerts")
    async def alerts(request: Request) -> JSONResponse:
        if not _authorized(request, settings):
            metrics.count(Outcome.UNAUTHORIZED)
            return _error(HTTPStatus.UNAUTHORIZED, "a bearer token is needed that this receiver knows")
        try:
            notification = Notification.read(await request.body())
        except RequestError as error:
            metrics.count(Outcome.BAD_REQUEST)
            return _error(HTTPStatus.BAD_REQUEST, str(error))
        return await _deliver(notification, app.state.desk, metrics)

    @app.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/metrics")
    async def exposition() -> Response:
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)

    return app


def run(specs: Mapping[str, ModelSpec], settings: Settings, host: str, port: int) -> None:
    """Serve until SIGTERM; deliveries that are under way are answered first."""
    uvicorn.run(create_app(specs, settings), host=host, port=port, log_level="info", access_log=False)


async def _deliver(notification: Notification, desk: Desk, metrics: Metrics) -> JSONResponse:
    wanted = notification.retrains()
    desk.forget_paused(notification.solved())
    if not wanted:
        metrics.count(Outcome.IGNORED)
        return JSONResponse({"results": [], "outcome": Outcome.IGNORED})
    results: list[dict[str, Any]] = []
    status = HTTPStatus.OK
    for model, alerts in wanted.items():
        decision = await desk.answer(model, notification.group_key, alerts)
        metrics.count(decision.outcome)
        log.info("%s of %s: %s", decision.outcome, model, decision.reason)
        results.append({"model": model, **asdict(decision)})
        status = max(status, _STATUS.get(decision.outcome, HTTPStatus.OK))
    return JSONResponse({"results": results}, status)


def _authorized(request: Request, settings: Settings) -> bool:
    given = request.headers.get("authorization", "")
    expected = f"Bearer {read_secret(settings.receiver_token_file)}"
    return hmac.compare_digest(given.encode("utf-8"), expected.encode("utf-8"))


def _error(status: HTTPStatus, text: str) -> JSONResponse:
    return JSONResponse({"error": text}, status)
