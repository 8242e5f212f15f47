import json
import threading
from collections.abc import Callable
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
from tritonclient.http import InferenceServerClient

pytestmark = pytest.mark.service

Start = Callable[..., Any]


def test_a_new_blue_slot_takes_the_champion_and_keeps_it(start: Start, home: Path) -> None:
    """Blue fetches the champion from the registry; a restart answers with it while the registry is away."""
    server = start(loaded=None)
    server.await_status("/v2/health/ready")
    assert server.infer("a")[1]["model_version"] == "1"
    assert server.stop() == 0

    again = start(loaded=None, mlflow_uri="http://127.0.0.1:9")
    again.await_status("/v2/health/ready", seconds=10)
    assert again.infer("b")[1]["model_version"] == "1"
    assert json.loads((home / "slots/tides-blue.json").read_text())["version"] == "1"


def test_swapping_under_load_loses_nothing(start: Start) -> None:
    """While versions load all requests are answered, each switch happens once, a failed load none."""
    server = start()
    client = InferenceServerClient(f"127.0.0.1:{server.port}", network_timeout=120.0)
    done = threading.Event()
    answers: list[list[tuple[int, str]]] = [[], []]

    def ask(worker: int) -> None:
        while not done.wait(0.005):
            status, body = server.infer(f"{worker}-{len(answers[worker])}")
            answers[worker].append((status, body.get("model_version", "")))

    workers = [threading.Thread(target=ask, args=(worker,)) for worker in range(len(answers))]
    for worker in workers:
        worker.start()
    try:
        assert server.load(version="2") == (200, {"name": "tides", "version": "2", "state": "READY"})
        status, body = server.load(version="9")
        assert (status, "has no version 9 of the model 'tides'" in body["error"]) == (404, True)
        status, body = server.load(version="3")
        assert (status, "input moon: must be a feature of the spec" in body["error"]) == (422, True)
        status, body = server.load(version="4")
        assert (status, body["error"]) == (404, "Version 4 of 'tides' has no model.onnx; it has README.txt")
        client.load_model("tides", headers={"Authorization": "Bearer sesame"})
        seen = [len(each) for each in answers]
        while any(len(each) < before + 3 for each, before in zip(answers, seen, strict=True)):
            done.wait(0.01)
    finally:
        done.set()
        for worker in workers:
            worker.join()
        client.close()

    for each in answers:
        assert {status for status, _ in each} == {200}
        assert [version for version, _ in groupby(version for _, version in each)] == ["1", "2", "1"]
    assert server.metric('trimtab_slot_info{model="tides",slot="blue",version="1"}') == 1
    assert server.metric('trimtab_slot_info{model="tides",slot="blue",version="2"}') == 0
    assert len(list((server.home / "slots/tides-blue").iterdir())) == 1
    assert server.stop() == 0
    counted = sorted(row["version"] for row in server.rows())
    assert counted == sorted(version for each in answers for _, version in each)


def test_one_load_at_a_time(start: Start) -> None:
    """While a version loads, another load and an unload are refused with 409, and the index says why."""
    server = start("green", loaded=None)
    first: list[tuple[int, Any]] = []
    loading = threading.Thread(target=lambda: first.append(server.load(alias="challenger")))
    loading.start()
    pause = threading.Event()
    while server.call("POST", "/v2/repository/index")[1][0]["state"] != "LOADING":
        pause.wait(0.01)

    status, body = server.load(version="1")
    assert (status, "is loading alias challenger" in body["error"]) == (409, True)
    headers = {"authorization": "Bearer sesame"}
    assert server.call("POST", "/v2/repository/models/tides/unload", None, headers)[0] == 409
    loading.join()
    assert first == [(200, {"name": "tides", "version": "2", "state": "READY"})]
    assert server.infer("a")[1]["model_version"] == "2"


def test_an_unloaded_slot_stays_empty(start: Start) -> None:
    """After an unload nothing is answered, also after a restart, though blue would take the champion."""
    server = start()
    headers = {"authorization": "Bearer sesame"}
    assert server.call("POST", "/v2/repository/models/tides/unload", None, headers)[0] == 200
    assert server.infer("a")[0] == 503
    assert server.call("POST", "/v2/repository/models/tides/unload", None, headers)[0] == 404
    assert server.stop() == 0

    again = start(loaded=None)
    assert again.infer("b")[0] == 503
    assert again.call("POST", "/v2/repository/index")[1][0]["state"] == "UNAVAILABLE"


def test_loading_needs_the_token(start: Start) -> None:
    """A wrong token, another scheme or none is a 401 that changes nothing and does not show the token."""
    server = start()
    load, unload = (f"/v2/repository/models/tides/{word}" for word in ("load", "unload"))
    for headers in ({}, {"authorization": "Bearer wrong"}, {"authorization": "Basic sesame"}):
        for path in (load, unload):
            status, body = server.call("POST", path, {"parameters": {"version": "2"}}, headers)
            assert (status, "sesame" in body["error"]) == (401, False)

    assert server.infer("a")[1]["model_version"] == "1"


def test_wrong_load_requests_are_explained(start: Start) -> None:
    """A load request that cannot be meant is a 400 with every problem in it."""
    server = start()
    for parameters, text in [
        ({"version": 2}, "parameters.version: must be a version number"),
        ({"version": "two"}, "parameters.version: must be a version number"),
        ({"version": "2", "alias": "champion"}, "one of version and alias"),
        ({"config": "{}"}, "parameters.config: must be 'version' or 'alias'"),
        ({"alias": ""}, "parameters.alias: must be an alias"),
    ]:
        status, body = server.load(**parameters)
        assert (status, text in body["error"]) == (400, True)

    assert server.call("POST", "/v2/repository/models/tides/load", b"[]", AUTHORIZED)[0] == 400
    assert server.call("POST", "/v2/repository/models/tides/load", b"{", AUTHORIZED)[0] == 400


AUTHORIZED = {"authorization": "Bearer sesame"}


def test_a_registry_that_is_away_is_503(start: Start) -> None:
    """A load from a registry that does not answer is a 503; the running version goes on."""
    server = start(mlflow_uri="http://127.0.0.1:9")
    status, body = server.load(version="2")

    assert (status, "http://127.0.0.1:9 did not give version 2" in body["error"]) == (503, True)
    assert server.infer("a")[1]["model_version"] == "1"
