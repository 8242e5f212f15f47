"""`trimtab status` of two models on Kubernetes' real HTTP API, real slots and a real results store."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from monitors.results.store import Store
from rollout.routers.gateway_api import GatewayApiRouter
from rollout.split import Split
from spec import Settings, load_folder
from trimtab.cli import cli

MODEL = """
model: {}
task: binary
data: {{inference_log: log, labels: labels, id: id, time: t, target: {{name: late}}}}
features: {{x: numeric}}
"""
ROUTES = "/apis/gateway.networking.k8s.io/v1/namespaces/mon/httproutes"
NOON = datetime(2024, 5, 10, 12, tzinfo=UTC)
TERMS = {"share": 0.5, "for": "14d", "early": False}
Cluster = Any


class Slot(BaseHTTPRequestHandler):
    """A model server that holds version 7; below ``/other`` something else answers, in JSON."""

    def do_GET(self) -> None:
        """Tell the version."""
        body = b"[]" if self.path.startswith("/other") else json.dumps({"versions": ["7"]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def slot() -> Iterator[str]:
    """The URL of a slot that answers."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Slot)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def settings(gateway: Cluster, slot: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Two models whose slots answer, and the environment of a person who asks for them."""
    models = tmp_path / "models"
    models.mkdir()
    for model in ("flights", "hotels"):
        (models / f"{model}.yaml").write_text(MODEL.format(model))
    slots = json.dumps({model: {"blue": slot, "green": slot} for model in ("flights", "hotels")})
    for name, value in {
        "TRIMTAB_ROUTER": "gateway_api",
        "TRIMTAB_KUBERNETES_URL": gateway.url,
        "TRIMTAB_KUBERNETES_ACCOUNT": str(gateway.account),
        "TRIMTAB_MODELS": str(models),
        "TRIMTAB_SLOTS": slots,
        "TRIMTAB_HOME": str(tmp_path),
        "COLUMNS": "200",
    }.items():
        monkeypatch.setenv(name, value)
    return Settings.from_env()


def asked(*arguments: str) -> Result:
    """What `trimtab status` says."""
    return CliRunner().invoke(cli, ["status", *arguments])


def of(model: str, said: str) -> str:
    """The part of the screen about one model."""
    return next(part for part in said.split("\n\n") if part.strip().startswith(model))


def note(settings: Settings, kind: str, outcome: str, at: datetime = NOON, **payload: Any) -> None:
    """Something that happened to the flights."""
    with Store(settings.results_url) as store:
        told = f"{kind} of version 7 {outcome}"
        store.record_event("flights", kind, told, at, {"outcome": outcome, "version": "7", **payload})


def divide(gateway: Cluster) -> None:
    """Give the flights' green slot half of the requests."""
    canary = Split(weights={"blue": 50, "green": 50}, lease_until=datetime.now(UTC) + timedelta(minutes=1))
    settings = gateway.settings("gateway_api")
    GatewayApiRouter(settings, load_folder(Settings.from_env().models)).apply("flights", canary)


@pytest.mark.usefixtures("settings")
def test_a_missing_route_leaves_the_other_model_its_line(gateway: Cluster) -> None:
    """The model without a route says so and still tells its slots; the other one is whole; exit 1."""
    del gateway.objects[f"{ROUTES}/flights"]

    result = asked()

    assert 1 == result.exit_code, result.output
    broken, sound = of("flights", result.output), of("hotels", result.output)
    assert "! who gets the traffic is not known: " in broken
    assert "no HTTPRoute mon/flights" in broken
    assert 2 == broken.count("unknown")
    assert 2 == broken.count(" 7 ")
    assert "champion" in sound
    assert "100 %" in sound
    assert "!" not in sound


def test_a_server_that_is_away_is_named_with_what_it_should_answer(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its slot, its share of the traffic and why; the model beside it is whole."""
    slots = json.loads(json.dumps(settings.slots))
    slots["hotels"]["blue"] = "http://127.0.0.1:9"
    monkeypatch.setenv("TRIMTAB_SLOTS", json.dumps(slots))

    result = asked()

    assert 1 == result.exit_code
    said = "! slot blue (champion, 100 % of the traffic): its server at http://127.0.0.1:9 does not answer"
    assert said in of("hotels", result.output)
    assert "no answer" in of("hotels", result.output)
    assert "!" not in of("flights", result.output)


def test_another_server_in_a_slots_place_is_named(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """JSON that does not tell of a model is no version, and no traceback."""
    slots = json.loads(json.dumps(settings.slots))
    slots["hotels"]["blue"] += "/other"
    monkeypatch.setenv("TRIMTAB_SLOTS", json.dumps(slots))

    result = asked()

    assert (result.exit_code, type(result.exception)) == (1, SystemExit)
    assert "/other does not answer: another server's answer" in of("hotels", result.output)


def test_a_results_store_that_is_away_hides_no_traffic(settings: Settings) -> None:
    """Its file is no database: what monitors said is unknown, and who answers is told all the same."""
    Path(settings.results_url.removeprefix("sqlite:///")).write_bytes(b"no database" * 200)

    result = asked()

    assert 1 == result.exit_code, result.output
    assert "! what the monitors said and what is under way is not known: " in of("flights", result.output)
    assert "100 %" in of("flights", result.output)


@pytest.mark.usefixtures("settings")
def test_all_well_is_exit_0_and_no_complaint() -> None:
    """Nothing under way, everything answers."""
    result = asked()

    assert 0 == result.exit_code, result.output
    assert not any(mark in result.output for mark in ("!", "now:"))


def test_a_running_experiment_is_named(settings: Settings, gateway: Cluster) -> None:
    """Its version, its share, since and until when, who asked, and the lease; one that ended is not."""
    note(settings, "experiment", "started", asked_by="ada", terms=TERMS)
    divide(gateway)

    said = of("flights", asked().output)

    begin = "now: experiment of version 7 since 2024-05-10 12:00, held at 50% until 2024-05-24 12:00"
    assert (
        f"{begin} at the latest, asked for by ada; traffic now: blue 50 %, green 50 %; lease until " in said
    )
    (one,) = [view for view in json.loads(asked("--json").output)["models"] if view["model"] == "flights"]
    assert one["under_way"][0].startswith("experiment of version 7")
    assert begin in asked("flights").output.replace("\n ", " ")
    note(settings, "experiment", "ended")
    assert "no rollout or experiment is known; lease until" in of("flights", asked().output)


def test_a_rollout_without_traffic_says_what_it_waits_for(settings: Settings) -> None:
    """It began and no split was set: somebody may be asked; a retrain beside it is told, too."""
    note(settings, "rollout", "started", asked_by=None)
    note(settings, "retrain", "started")

    said = of("flights", asked().output)

    assert "now: rollout of version 7 since 2024-05-10 12:00; it has no traffic: it waits for a yes" in said
    assert "now: retrain since 2024-05-10 12:00: retrain of version 7 started" in said
