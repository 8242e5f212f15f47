from __future__ import annotations

import io
import json
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from click.testing import CliRunner
from rich.console import Console

from dashboards import queries
from dashboards.model import dashboard
from monitors.results.store import Store
from retraining.registry import Registry
from spec import PerformanceMetric, read_secret
from trimtab.cli import cli
from trimtab.demo.flights import load_flights
from trimtab.demo.run import Outcome, Plan, bring_up, fresh_stack, replay
from trimtab.stack import Stack

pytestmark = [pytest.mark.e2e, pytest.mark.service, pytest.mark.timeout(900)]


WITHOUT_CAUSE = (
    "trimtab_slice_performance",  # flights declare no slices,
    "trimtab_fairness_",  # protect
    "trimtab_door_",  # and guard no feature,
    "trimtab_slot_cost_",  # and state no prices;
    "trimtab_slot_carbon_",
    "trimtab_gpu_energy_",  # there need be no GPU;
    "trimtab_worst_slice_",  # and no slice may have become worse,
    "trimtab_service_anomaly_ratio",  # nor the service have been unlike its past,
    "trimtab_triage_onset_",  # no change have been dated
    "trimtab_loss_change",  # or explained
)


@dataclass(frozen=True)
class Loop:
    """What a replay of the spring and summer left behind; the stack still runs."""

    stack: Stack
    outcome: Outcome
    first: str


@pytest.fixture(scope="module")
def loop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loop]:
    """Replay May to mid-December, one flight in four, with a smaller first forest; nothing else is done."""
    plan = Plan(
        home=tmp_path_factory.mktemp("loop") / "home",
        models=Path("models").absolute(),
        day_seconds=1.2,
        start=datetime(2013, 5, 1, tzinfo=UTC),
        until=datetime(2013, 12, 20, tzinfo=UTC),
        trees=30,
    )
    console = Console(file=io.StringIO(), width=160)
    started = datetime.now(UTC)
    with fresh_stack(plan, console) as stack:
        flights = load_flights()
        first = bring_up(plan, stack, flights, console)
        yield Loop(stack, replay(plan, stack, flights, first, console, started), first)
    assert [] == stack.members()


def test_a_loop_closes_by_itself(loop: Loop) -> None:
    """Traffic, late labels and a moving clock are enough: a better version ends up as champion."""
    assert loop.outcome.promoted
    assert loop.outcome.promoted[-1] == Registry(loop.stack.settings).version("flights", "champion")


def test_no_request_was_lost(loop: Loop) -> None:
    """Every request got an answer, through loads, mirrors, weight shifts and the promotion."""
    assert loop.outcome.answered > 25_000
    assert 0 == loop.outcome.failed, loop.outcome.first_failure


def test_the_retrain_was_started_by_the_alert_and_once(loop: Loop) -> None:
    """The DAG run bears the episode's id, and each attempt of an episode has one run."""
    ids = [run["dag_run_id"] for run in _runs(loop.stack, "retrain_flights")]
    prometheus = loop.stack.settings.prometheus_url
    asked = {outcome: _last(prometheus, outcome) for outcome in ("triggered", "duplicate", "busy")}

    assert ids
    assert all(run_id.startswith("alert-") for run_id in ids)
    assert len(ids) == asked["triggered"]
    assert asked["duplicate"] + asked["busy"] > 0


def test_people_were_told_what_and_why(loop: Loop) -> None:
    """Slack heard of the decision, of each passed step and of the promotion; the run was told the reason."""
    told = "\n".join(event.text for event in loop.outcome.events)

    assert "TrimtabRetrainNeeded" in told
    reasons = [run["conf"]["description"] for run in _runs(loop.stack, "retrain_flights")]
    assert all(reason.startswith("Labels show") for reason in reasons)
    assert all("Realised roc_auc is 0." in reason for reason in reasons)
    assert "registered as challenger" in told
    assert "passed shadow" in told
    assert "promoted to champion" in told


def test_drift_alone_starts_nothing(loop: Loop) -> None:
    """The seasons drift from the first weeks on: the alert fires, and no run of Airflow comes from it.

    Whether Slack has a message of its own about it depends on which comes first: a decision about the
    same version says what was found, and holds the alert back.
    """
    fired = 'count_over_time(ALERTS{alertname="TrimtabDataDrift",alertstate="firing"}[10m])'
    alerts = {run["conf"]["alert"] for run in _runs(loop.stack, "retrain_flights")}

    assert _series(loop.stack.settings.prometheus_url, fired)
    assert alerts <= {"TrimtabRetrainNeeded"}


def test_the_new_champion_is_better_smaller_and_faster(loop: Loop) -> None:
    """On the same live rows the promoted version beats the first champion beyond the interval."""
    found = loop.outcome.comparisons[-1]

    assert found.metrics[PerformanceMetric.ROC_AUC].low > 0
    assert found.after.size * 10 < found.before.size


def test_the_registry_tells_the_story(loop: Loop) -> None:
    """The old version keeps the alias previous, the new one champion, and the slot serves what it names."""
    registry = Registry(loop.stack.settings)
    with urllib.request.urlopen(f"{loop.stack.settings.gateway_url}/v2/models/flights") as answer:
        served = json.load(answer)

    assert registry.version("flights", "previous") is not None
    assert [registry.version("flights", "champion")] == served["versions"]


def test_results_carry_the_version_they_are_about(loop: Loop) -> None:
    """Windows of both versions are in the results store, each with its own reference."""
    with Store(loop.stack.settings.results_url) as store:
        seen = {(r.version, r.reference) for r in store.history("flights", "drift")}

    assert {loop.first, loop.outcome.promoted[0]} <= {version for version, _ in seen}
    assert all(reference is not None for _, reference in seen)


def test_every_panel_of_the_dashboard_has_data(loop: Loop) -> None:
    """Each query of the model's dashboard is answered, but for what flights do not ask for or meet."""
    silent = [
        query
        for query in queries(
            dashboard(loop.stack.specs["flights"]), {"model": "flights", "metric": "roc_auc"}
        )
        if not _series(loop.stack.settings.prometheus_url, query)
        and not any(metric in query for metric in WITHOUT_CAUSE)
    ]

    assert [] == silent


def test_everything_listens_on_loopback_only(loop: Loop) -> None:
    """No process of the stack can be reached from another machine."""
    listening = [
        (process.name(), connection.laddr.ip)
        for process in loop.stack.members()
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    ]

    assert listening
    assert {"127.0.0.1"} == {address for _, address in listening}


def test_the_stack_needs_no_more_memory_than_promised(loop: Loop) -> None:
    """All processes together hold less than 6 GiB (proportional set size)."""
    used = sum(process.memory_full_info().pss for process in loop.stack.members())

    assert used < 6 * 2**30


def test_one_command_brings_the_version_before_back(loop: Loop) -> None:
    """The gateway answers with the version before, the aliases change places, and the name is kept."""
    settings, registry = loop.stack.settings, Registry(loop.stack.settings)
    champion, previous = (registry.version("flights", name) for name in ("champion", "previous"))
    done = CliRunner().invoke(
        cli,
        ["rollback", "flights", "--home", str(settings.home), "--as", "ada", "--reason", "a test", "--json"],
    )

    assert done.exit_code == 0, done.output
    assert json.loads(done.output)["version"] == previous
    with urllib.request.urlopen(f"{settings.gateway_url}/v2/models/flights") as answer:
        assert [previous] == json.load(answer)["versions"]
    assert (registry.version("flights", "champion"), registry.version("flights", "previous")) == (
        previous,
        champion,
    )
    assert registry.history("flights")[-1].approved == "ada: a test"


def _runs(stack: Stack, dag: str) -> list[dict[str, Any]]:
    """Return the runs of a DAG, as Airflow's REST API has them."""
    settings = stack.settings
    login = {"username": settings.airflow_user, "password": read_secret(settings.airflow_password_file)}
    with httpx.Client(base_url=settings.airflow_url, trust_env=False) as airflow:
        token = airflow.post("/auth/token", json=login).raise_for_status().json()["access_token"]
        answer = airflow.get(f"/api/v2/dags/{dag}/dagRuns", headers={"Authorization": f"Bearer {token}"})
    runs: list[dict[str, Any]] = answer.raise_for_status().json()["dag_runs"]
    return runs


def _last(prometheus: str, outcome: str) -> float:
    """Return how many deliveries of alerts ended in an outcome."""
    query = {"query": f'sum(trimtab_receiver_requests_total{{outcome="{outcome}"}})'}
    with urllib.request.urlopen(f"{prometheus}/api/v1/query?{urllib.parse.urlencode(query)}") as answer:
        return float(json.load(answer)["data"]["result"][0]["value"][1])


def _series(prometheus: str, query: str) -> list[object]:
    """Return the series that a query had at any time of the replay."""
    end = datetime.now(UTC).timestamp()
    span = {"query": query, "start": end - 600, "end": end, "step": 5}
    with urllib.request.urlopen(f"{prometheus}/api/v1/query_range?{urllib.parse.urlencode(span)}") as answer:
        result: list[object] = json.load(answer)["data"]["result"]
    return result
