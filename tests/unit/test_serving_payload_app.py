"""The receiver's door: who may deliver, what is answered, and what is counted."""

import asyncio
import base64
import json
import re
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pytest
from deltalake import write_deltalake

import spec
from monitors.tables import inference_log
from serving.payloads import create_app
from spec.payloads import Payloads

TIDES = spec.loads("""
model: high_tides
task: binary
data: {inference_log: log, labels: labels, id: id, time: at, target: {name: late}}
features: {depth: numeric, spring: boolean, port: categorical}
serving: {body: 2kB}
""")
NOON = datetime(2024, 2, 29, 12, tzinfo=UTC)
BEARER = {"authorization": "Bearer sesame"}
REQUEST: dict[str, Any] = {"instances": [[2.5, True, "Brest"]]}
RESPONSE: dict[str, Any] = {"predictions": [[0.75, 0.25]]}
BATCH = {"content-type": "application/cloudevents-batch+json"}


@pytest.fixture
def settings(tmp_path: Path) -> spec.Settings:
    """A home with a token, at noon of a leap day."""
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets/payload").write_text("sesame\n")
    spec.set_clock(tmp_path / "clock", NOON)
    return spec.Settings.from_env({"TRIMTAB_HOME": str(tmp_path), "TRIMTAB_CLOCK": str(tmp_path / "clock")})


@asynccontextmanager
async def serving(
    settings: spec.Settings, version: str | None = "7", service: str | None = None
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a receiver in this process; at the end the receiver has committed and stopped."""
    app = create_app(TIDES, settings, Payloads(version=version, service=service))
    messages: asyncio.Queue[dict[str, str]] = asyncio.Queue()
    told: asyncio.Queue[Any] = asyncio.Queue()
    life = asyncio.create_task(app({"type": "lifespan"}, messages.get, told.put))
    await messages.put({"type": "lifespan.startup"})
    started = await told.get()
    assert started == {"type": "lifespan.startup.complete"}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://t") as client:
        yield client
    await messages.put({"type": "lifespan.shutdown"})
    await life


def event(kind: str, **more: str) -> dict[str, str]:
    """Headers of an event as KServe's logger sends it."""
    said = {
        "specversion": "1.0", "id": "42", "source": "http://localhost:9081/", "namespace": "harbour",
        "type": f"org.kubeflow.serving.inference.{kind}", "inferenceservicename": "high-tides",
        "component": "predictor", "endpoint": "", "metadata": "{}", "time": "2024-02-29T11:00:00.5Z",
    }  # fmt: skip
    return {f"ce-{name}": value for name, value in (said | more).items()}


async def send(client: httpx.AsyncClient, kind: str, body: object = None, **more: str) -> httpx.Response:
    """Deliver one event in binary mode."""
    usual = REQUEST if kind == "request" else RESPONSE
    return await client.post("/", headers=BEARER | event(kind, **more), json=usual if body is None else body)


async def counted(client: httpx.AsyncClient) -> dict[str, float]:
    """The receiver's own series that are not 0, without their model; not the room on the disk."""
    lines = re.sub(r',?model="high_tides",?', "", (await client.get("/metrics")).text).splitlines()
    found = [line.rpartition(" ") for line in lines if line.startswith(("trimtab_payload", "trimtab_log"))]
    names = re.compile("_created|_free_ratio")
    return {name: float(value) for name, _, value in found if float(value) and not names.search(name)}


def rows(settings: spec.Settings) -> list[dict[str, Any]]:
    """What monitors read."""
    return inference_log.read(TIDES, settings).to_pylist()


async def test_a_pair_is_a_row_that_monitors_read(settings: spec.Settings) -> None:
    """Both halves, in any order and more than once, are one row of the log."""
    async with serving(settings) as client:
        answers = [
            await send(client, "response", time="2024-02-29T11:00:00.75Z"),
            await send(client, "request"),
        ]
        answers += [await send(client, "request"), await send(client, "response")]
        found = await counted(client)

    assert [(one.status_code, one.json()) for one in answers] == [(200, {"events": 1})] * 4
    assert found['trimtab_payload_events_total{outcome="duplicate"}'] == 2
    assert found['trimtab_payload_events_total{outcome="paired"}'] == 1
    (row,) = rows(settings)
    assert row.pop("row_id").endswith("-0")
    assert row == {
        "prediction_id": "42", "event_time": NOON.replace(hour=11, microsecond=500_000), "logged_at": NOON,
        "event_date": "2024-02-29", "version": "7", "slot": "blue", "shadow": False, "latency_ms": 250.0,
        "scores": [0.25], "f_depth": 2.5, "f_spring": True, "f_port": "Brest",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("about", "body", "wanted"),
    [
        ({}, RESPONSE, ("7", "blue")),
        ({}, RESPONSE | {"model_version": "8"}, ("8", "blue")),
        ({"annotations": '{"trimtab/version": "9"}'}, RESPONSE | {"model_version": "8"}, ("9", "blue")),
        ({"annotations": '{"trimtab/slot": "green"}'}, RESPONSE, ("7", "green")),
        ({"endpoint": "canary"}, RESPONSE, ("7", "green")),
        ({"endpoint": "canary", "annotations": '{"trimtab/slot": "blue"}'}, RESPONSE, ("7", "blue")),
    ],
)
async def test_version_and_slot(
    settings: spec.Settings, about: dict[str, str], body: object, wanted: tuple[str, str]
) -> None:
    """Annotations say it first, then the body and the endpoint, then the start of the receiver."""
    async with serving(settings) as client:
        await send(client, "request", **about)
        await send(client, "response", body, **about)

    assert [(row["version"], row["slot"]) for row in rows(settings)] == [wanted]


@pytest.mark.parametrize(
    ("kind", "about", "body", "status", "reason"),
    [
        ("request", {"inferenceservicename": "low-tides"}, None, 404, "unknown_model"),
        ("request", {"inferenceservicename": ""}, None, 400, "envelope"),
        ("explanation", {}, None, 400, "envelope"),
        ("request", {"id": ""}, None, 400, "envelope"),
        ("request", {}, {"instances": 1}, 400, "payload"),
        ("response", {}, {"predictions": [1]}, 400, "payload"),
        ("response", {"annotations": "{"}, None, 400, "payload"),
        ("response", {"annotations": "[]"}, None, 400, "payload"),
        ("response", {"annotations": '{"trimtab/slot": "red"}'}, None, 400, "payload"),
        ("response", {}, None, 400, "version"),
        ("request", {}, {"instances": ["x" * 3000]}, 413, "too_large"),
    ],
)
async def test_a_callers_fault_is_told_and_counted(
    settings: spec.Settings, kind: str, about: dict[str, str], body: object, status: int, reason: str
) -> None:
    """Never a 5xx; the text says what is wrong, the counter why, and nothing is kept."""
    async with serving(settings, version=None) as client:
        answer = await send(client, kind, body, **about)

        assert (answer.status_code, list(answer.json())) == (status, ["error"])
        assert await counted(client) == {f'trimtab_payload_rejected_total{{reason="{reason}"}}': 1}


async def test_an_answer_for_other_rows_is_refused(settings: spec.Settings) -> None:
    """A response that does not fit its request is told; the right one still finishes the pair."""
    async with serving(settings) as client:
        await send(client, "request")
        wrong = await send(client, "response", {"predictions": [0.5, 0.25]})
        right = await send(client, "response")

        assert (wrong.status_code, right.status_code) == (400, 200)
        assert "must answer the 1 rows" in wrong.json()["error"]
        assert (await counted(client))['trimtab_payload_rejected_total{reason="rows"}'] == 1


async def test_what_is_not_a_prediction_is_ignored(settings: spec.Settings) -> None:
    """The logger sends what passes by: explainers and transformers, and requests without a body."""
    async with serving(settings) as client:
        assert (await send(client, "request", component="transformer")).status_code == 200
        empty = await client.post("/", headers=BEARER | event("request"), content=b"")

        assert empty.status_code == 200
        assert await counted(client) == {'trimtab_payload_events_total{outcome="ignored"}': 2}


@pytest.mark.parametrize(
    ("router", "service", "known"),
    [
        ("kserve", None, "routed"),
        ("envoy", None, "routed"),
        ("gateway_api", None, "high-tides"),
        ("kserve", "named", "named"),
    ],
)
async def test_the_service_is_the_named_one(
    settings: spec.Settings, router: str, service: str | None, known: str
) -> None:
    """The YAML's name wins over the routes', and the name of an HTTPRoute is none of KServe's."""
    routed = replace(settings, router=router, routes={"high_tides": "routed"})
    async with serving(routed, service=service) as client:
        answers = [
            (await send(client, "request", inferenceservicename=name)).status_code
            for name in ("routed", "high-tides", "named")
        ]

    assert answers == [200 if name == known else 404 for name in ("routed", "high-tides", "named")]


async def test_good_events_of_a_batch_are_kept(settings: spec.Settings) -> None:
    """Those that are not good are told by their places; sending the batch again does no harm."""
    batch = [
        {name[3:]: value for name, value in event(kind, **more).items()} | {"data": body}
        for kind, body, more in (
            ("response", RESPONSE, {}), ("request", {}, {}), ("request", REQUEST, {}),
            ("request", REQUEST, {"inferenceservicename": "low-tides"}),
        )
    ] + [3]  # fmt: skip
    async with serving(settings) as client:
        for _ in range(2):
            answer = await client.post("/", headers=BEARER | BATCH, content=json.dumps(batch))

            assert answer.status_code == 400
            places = re.findall(r"(\[\d\][^ :]*): must", answer.json()["error"])
            assert places == ["[1].inputs", "[3]", "[4]"]

    assert [row["prediction_id"] for row in rows(settings)] == ["42"]


def basic(password: str) -> str:
    """What Go's client sends for ``http://kserve:PASSWORD@host/``."""
    return f"Basic {base64.b64encode(f'kserve:{password}'.encode()).decode()}"


@pytest.mark.parametrize(
    ("credential", "status"),
    [
        ("Bearer sesame", 200), (basic("sesame"), 200), ("", 401), ("Bearer", 401), ("Bearer open", 401),
        (basic("open"), 401), ("Basic ?", 401), ("sesame", 401), ("Digest sesame", 401),
    ],
)  # fmt: skip
async def test_nothing_is_taken_without_the_token(
    settings: spec.Settings, credential: str, status: int
) -> None:
    """The token comes as a bearer token, or as the password in the logger's URL."""
    async with serving(settings) as client:
        headers = event("request") | {"authorization": credential}
        answer = await client.post("/", headers=headers, json=REQUEST)
        found = await counted(client)

    assert answer.status_code == status
    assert found.get('trimtab_payload_rejected_total{reason="credential"}', 0) == (status == 401)
    assert "sesame" not in answer.text


async def test_paths_and_methods(settings: spec.Settings) -> None:
    """Health and metrics are open; nothing else is there."""
    async with serving(settings) as client:
        health, lost, wrong = await client.get("/health"), await client.get("/x"), await client.get("/")

    assert health.json() == {"status": "ok"}
    assert (lost.status_code, wrong.status_code, wrong.headers["allow"]) == (404, 405, "POST")


async def test_what_stays_alone_is_dropped_and_counted(settings: spec.Settings) -> None:
    """After its time a half is given up; the metric says which."""
    async with serving(settings) as client:
        await send(client, "request")
        assert (await counted(client))["trimtab_payload_waiting{}"] == 1
        spec.set_clock(settings.home / "clock", NOON.replace(minute=11))
        for _ in range(200):
            found = await counted(client)
            if "trimtab_payload_waiting{}" not in found:
                break
            await asyncio.sleep(0.1)

    assert found == {
        'trimtab_payload_events_total{outcome="waiting"}': 1,
        'trimtab_payload_dropped_total{half="request"}': 1,
    }


def in_the_way(settings: spec.Settings) -> None:
    """A file stands where the table should be."""
    (settings.home / "log").write_text("")


def of_another_type(settings: spec.Settings) -> None:
    """The table holds a feature as a number that is text now: Delta never takes such rows."""
    write_deltalake(settings.home / "log", pa.table({"f_port": [1.5], "event_date": ["2024-02-29"]}))


@pytest.mark.parametrize("trouble", [in_the_way, of_another_type])
async def test_rows_that_delta_does_not_take_are_kept(
    settings: spec.Settings, caplog: pytest.LogCaptureFixture, trouble: Callable[[spec.Settings], None]
) -> None:
    """They are told of and counted, and the next start commits them."""
    trouble(settings)
    async with serving(settings) as client:
        await send(client, "request")
        await send(client, "response")
        for _ in range(200):
            found = await counted(client)
            if 'trimtab_log_commit_failures_total{slot="kserve"}' in found:
                break
            await asyncio.sleep(0.1)
    assert found['trimtab_log_commit_failures_total{slot="kserve"}'] == 1
    assert [record for record in caplog.records if record.levelname == "ERROR"]

    log = settings.home / "log"
    log.unlink() if log.is_file() else shutil.rmtree(log)
    async with serving(settings):
        pass
    assert [row["prediction_id"] for row in rows(settings)] == ["42"]
