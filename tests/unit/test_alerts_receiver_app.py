from __future__ import annotations

import json
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from alerts.receiver import create_app
from spec import Settings, SettingsError, loads

TOKEN = {"Authorization": "Bearer right"}
SPECS = {
    "flights": loads(
        "{model: flights, task: binary, features: {x: numeric}, "
        "data: {inference_log: a, labels: b, id: id, time: t, target: {name: y}}}"
    )
}


def settings(home: Path, airflow_port: int) -> Settings:
    """Make the settings of a receiver whose Airflow is on a port of this machine."""
    (home / "token").write_text("right\n", "utf-8")
    (home / "password").write_text("secret", "utf-8")
    return Settings.from_env(
        {
            "TRIMTAB_HOME": str(home),
            "TRIMTAB_AIRFLOW_URL": f"http://127.0.0.1:{airflow_port}",
            "TRIMTAB_AIRFLOW_PASSWORD_FILE": str(home / "password"),
            "TRIMTAB_RECEIVER_TOKEN_FILE": str(home / "token"),
        }
    )


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """Call a receiver in this process; nobody listens where its Airflow should be."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    app = create_app(SPECS, settings(tmp_path, port))
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://t") as open_,
    ):
        yield open_


def body(**labels: str) -> dict[str, Any]:
    """Make a webhook body with one firing alert."""
    firing = {"status": "firing", "labels": labels, "annotations": {}, "startsAt": "2026-11-22T08:00:00Z"}
    return {"version": "4", "groupKey": "{}:{}", "alerts": [firing]}


RETRAIN = body(model="flights", action="retrain", monitor="performance", alertname="A")


async def outcomes(client: httpx.AsyncClient) -> dict[str, float]:
    """Return the counter by outcome, without the zeros."""
    lines = (await client.get("/metrics")).text.splitlines()
    counted = [line for line in lines if line.startswith("trimtab_receiver_requests_total{")]
    split = {line.split('"')[1]: float(line.rpartition(" ")[2]) for line in counted}
    return {outcome: count for outcome, count in split.items() if count}


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Bearer wrong",
        "bearer right",
        "Basic right",
        "Bearer right ",
        "Bearer r\xefght",
    ],
)
async def test_nobody_gets_in_without_the_token(client: httpx.AsyncClient, header: str | None) -> None:
    """Any other credential is 401, before the body is looked at, and nothing is told of the right one."""
    headers = {} if header is None else {"Authorization": header.encode("latin-1")}
    answer = await client.post("/alerts", content=b"no json", headers=headers)

    assert answer.status_code == 401
    assert "right" not in answer.text
    assert await outcomes(client) == {"unauthorized": 1}


async def test_a_new_token_is_known_without_a_restart(client: httpx.AsyncClient, tmp_path: Path) -> None:
    """The token's file is read at every delivery, so it can be changed while the receiver runs."""
    (tmp_path / "token").write_text("other", "utf-8")

    assert (await client.post("/alerts", json=RETRAIN, headers=TOKEN)).status_code == 401
    other = {"Authorization": "Bearer other"}
    assert (await client.post("/alerts", json=body(), headers=other)).status_code == 200


async def test_a_bad_body_is_told_all_its_problems(client: httpx.AsyncClient) -> None:
    """400 with each problem on its line: place, what must hold, what was found."""
    answer = await client.post("/alerts", json={"version": "3", "alerts": [{}]}, headers=TOKEN)

    assert answer.status_code == 400
    lines = answer.json()["error"].splitlines()
    assert [line.split(":")[0] for line in lines] == [
        "version",
        "groupKey",
        "alerts.0.status",
        "alerts.0.labels",
        "alerts.0.startsAt",
    ]
    assert await outcomes(client) == {"bad_request": 1}


async def test_an_unknown_model_is_told_the_known_ones(client: httpx.AsyncClient) -> None:
    """422, because only a person can repair it; the answer lists the models."""
    answer = await client.post("/alerts", json=body(model="flight", action="retrain"), headers=TOKEN)

    assert answer.status_code == 422
    assert answer.json()["results"][0]["reason"] == (
        "no model 'flight'. Did you mean 'flights'? Known: flights"
    )
    assert await outcomes(client) == {"unknown_model": 1}


async def test_an_alert_that_only_tells_people_starts_nothing(client: httpx.AsyncClient) -> None:
    """Without the action the receiver does not even ask Airflow."""
    answer = await client.post("/alerts", json=body(model="flights"), headers=TOKEN)

    assert (answer.status_code, answer.json()) == (200, {"results": [], "outcome": "ignored"})


async def test_an_airflow_that_does_not_answer_is_tried_again(client: httpx.AsyncClient) -> None:
    """503, so that Alertmanager delivers again; the answer says who did not answer."""
    answer = await client.post("/alerts", json=RETRAIN, headers=TOKEN)

    assert answer.status_code == 503
    assert "Airflow at http://127.0.0.1:" in answer.json()["results"][0]["reason"]
    assert await outcomes(client) == {"unavailable": 1}


async def test_the_worst_result_is_the_answers_status(client: httpx.AsyncClient) -> None:
    """A body with several models is answered for each, and repeated if one of them needs it."""
    both = RETRAIN | {"alerts": RETRAIN["alerts"] + body(model="gone", action="retrain")["alerts"]}
    answer = await client.post("/alerts", content=json.dumps(both), headers=TOKEN)

    assert answer.status_code == 503
    assert [result["outcome"] for result in answer.json()["results"]] == ["unavailable", "unknown_model"]


async def test_a_missing_password_is_told_by_its_file(client: httpx.AsyncClient, tmp_path: Path) -> None:
    """A secret that cannot be read is 503 and names the file."""
    (tmp_path / "password").unlink()
    answer = await client.post("/alerts", json=RETRAIN, headers=TOKEN)

    assert answer.status_code == 503
    assert "password: must be a readable secret file" in answer.text


async def test_health_and_metrics_are_open(client: httpx.AsyncClient) -> None:
    """Probes need no token, and every outcome is counted from zero so that its first rise is seen."""
    assert (await client.get("/health")).json() == {"status": "ok"}
    text = (await client.get("/metrics")).text
    assert 'trimtab_receiver_requests_total{outcome="unauthorized"} 0.0' in text


def test_a_receiver_without_a_token_does_not_start(tmp_path: Path) -> None:
    """A missing or empty token file is told at the start, not at the first alert."""
    known = settings(tmp_path, 9)
    known.receiver_token_file.write_text("", "utf-8")

    with pytest.raises(SettingsError, match="must hold a secret"):
        create_app(SPECS, known)
