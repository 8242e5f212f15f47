"""What a real server does with more requests than it can answer; the model is slow, so that queues form."""

import http.client
import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.service

Start = Callable[..., Any]
INFER = "/v2/models/tides/infer"
REJECTED = 'trimtab_requests_rejected_total{{model="tides",reason="{}"'


@pytest.fixture
def clients() -> Iterator[ThreadPoolExecutor]:
    """Threads that each send one request at a time."""
    with ThreadPoolExecutor(32) as pool:
        yield pool


def rows(identity: str, count: int = 1) -> dict[str, Any]:
    """A request of so many rows."""
    values = {"depth": ("FP64", 2.5), "spring": ("BOOL", True), "port": ("BYTES", "Brest")}
    inputs = [
        {"name": name, "shape": [count], "datatype": datatype, "data": [value] * count}
        for name, (datatype, value) in values.items()
    ]
    return {"id": identity, "inputs": inputs}


def ask(server: Any, body: dict[str, Any], **headers: str) -> tuple[int, dict[str, Any], str | None]:
    """Send a request on a connection of its own; give back status, JSON and Retry-After."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)
    connection.request("POST", INFER, json.dumps(body), headers)
    response = connection.getresponse()
    answer = json.loads(response.read())
    connection.close()
    return response.status, answer, response.getheader("retry-after")


def occupy(server: Any, clients: ThreadPoolExecutor) -> list[Future[Any]]:
    """Keep both threads of a server busy for seconds."""
    busy = [clients.submit(ask, server, rows(f"large-{one}", 1200)) for one in range(2)]
    server.await_total("trimtab_prediction_queue_seconds_count", 2)  # their turns have begun
    return busy


def limited(home: Path, serving: str) -> None:
    """State limits in the model's YAML."""
    with (home / "tides.yaml").open("a") as file:
        file.write(f"serving: {{{serving}}}\n")


def test_more_than_the_queue_holds_is_turned_away(
    start: Start, home: Path, slow: Path, clients: ThreadPoolExecutor
) -> None:
    """The ones too many hear 429 with a Retry-After at once, health answers all the while, nobody is lost."""
    limited(home, "queue: 6")
    server = start(file=slow)
    busy = occupy(server, clients)
    waiting = [clients.submit(ask, server, rows(f"waiting-{one}")) for one in range(4)]
    server.await_total("trimtab_requests_in_flight{", 6)
    refused = [ask(server, rows("refused")) for _ in range(5)]
    ready = server.call("GET", "/v2/health/ready")

    assert not any(one.done() for one in busy), "the threads were not busy for long enough"
    for status, answer, seconds in refused:
        assert (status, list(answer)) == (429, ["error"])
        assert seconds is not None
        assert int(seconds) >= 1
    assert ready == (200, {"live": True, "ready": True})
    assert [one.result()[0] for one in (*busy, *waiting)] == [200] * 6
    assert ask(server, rows("afterwards"))[0] == 200
    assert server.total(REJECTED.format("queue_full")) == 5
    assert server.total("trimtab_requests_in_flight_limit") == 6


def test_who_waits_together_is_run_together(start: Start, slow: Path, clients: ThreadPoolExecutor) -> None:
    """Requests that had to wait share a run of the model; each is answered and logged as if alone."""
    server = start(file=slow)
    alone = ask(server, rows("alone"))[1]["outputs"]
    busy = occupy(server, clients)
    waiting = [clients.submit(ask, server, rows(f"waiting-{one}")) for one in range(8)]
    server.await_total("trimtab_requests_waiting{", 8)
    answers = [one.result() for one in waiting]

    for number, (status, answer, _) in enumerate(answers):
        assert (status, answer["id"]) == (200, f"waiting-{number}")
        assert answer["outputs"][0] == alone[0]
        np.testing.assert_allclose(answer["outputs"][1]["data"], alone[1]["data"], rtol=1e-6)
    assert [one.result()[0] for one in busy] == [200, 200]
    assert server.total("trimtab_batch_rows_sum") == 1 + 2 * 1200 + 8
    assert server.total("trimtab_batch_rows_count") < 1 + 2 + 8
    assert server.stop() == 0
    logged = [row["prediction_id"] for row in server.rows()]
    assert sorted(one for one in logged if one.startswith("waiting")) == [f"waiting-{n}" for n in range(8)]


def test_who_has_given_up_is_not_computed(
    start: Start, home: Path, slow: Path, clients: ThreadPoolExecutor
) -> None:
    """A client that left and one whose time is over cost no run of the model, and are in no log."""
    server = start(file=slow)
    busy = occupy(server, clients)
    left = [http.client.HTTPConnection("127.0.0.1", server.port) for _ in range(3)]
    for connection in left:
        connection.request("POST", INFER, json.dumps(rows("left")))
    server.await_total("trimtab_requests_waiting{", 3)
    for connection in left:
        connection.close()
    by_header = ask(server, rows("late"), **{"x-envoy-expected-rq-timeout-ms": "20"})
    by_parameter = clients.submit(ask, server, rows("late") | {"parameters": {"timeout": 20_000}})
    last = ask(server, rows("last"))

    assert (by_header[0], by_parameter.result()[0], last[0]) == (504, 504, 200)
    assert "deadline" in by_header[1]["error"]
    assert [one.result()[0] for one in busy] == [200, 200]
    assert server.total(REJECTED.format("disconnected")) == 3
    assert server.total(REJECTED.format("deadline")) == 2
    assert server.stop() == 0
    assert {row["prediction_id"].partition("-")[0] for row in server.rows()} == {"large", "last"}
    del home


def test_a_request_is_limited(start: Start, home: Path) -> None:
    """Too many rows and too many bytes are told with the limit."""
    limited(home, "rows: 3, body: 2kB")
    server = start()

    assert ask(server, rows("three", 3))[0] == 200
    status, answer, _ = ask(server, rows("four", 4))
    assert (status, "must hold at most 3 rows; found 4" in answer["error"]) == (400, True)
    status, answer, _ = ask(server, rows("x" * 2000))
    assert (status, "must not be larger than 2000 bytes" in answer["error"]) == (413, True)


def test_a_repeated_row_is_answered_from_the_cache(start: Start, home: Path) -> None:
    """It is the same answer, logged once more, counted, and forgotten with its version."""
    limited(home, "cache: 100")
    server = start()
    first, second = ask(server, rows("first"))[1], ask(server, rows("second"))[1]
    assert server.load(version="2")[0] == 200
    third = ask(server, rows("third"))[1]

    assert first["outputs"] == second["outputs"]
    assert (first["model_version"], third["model_version"]) == ("1", "2")
    assert third["outputs"] != first["outputs"]
    cached = 'trimtab_cached_rows_total{{model="tides",slot="blue",version="{}"}}'
    assert (server.metric(cached.format(1)), server.metric(cached.format(2))) == (1, 0)
    assert server.stop() == 0
    assert sorted(row["prediction_id"] for row in server.rows()) == ["first", "second", "third"]


def test_a_draining_server_loses_nobody(start: Start, slow: Path, clients: ThreadPoolExecutor) -> None:
    """After SIGTERM what runs and what waits is answered and logged, and says that it is the last."""
    server = start(file=slow)
    busy = occupy(server, clients)
    waiting = [clients.submit(ask, server, rows(f"waiting-{one}")) for one in range(12)]
    server.await_total("trimtab_requests_waiting{", 12)

    assert server.stop() == 0
    assert [one.result()[0] for one in (*busy, *waiting)] == [200] * 14
    logged = {row["prediction_id"] for row in server.rows()}
    assert {f"waiting-{one}" for one in range(12)} <= logged


def test_clients_that_keep_their_connections_see_no_reset(start: Start) -> None:
    """Under steady traffic each client is told to leave by an answer; no request that was begun is lost."""
    server = start()
    flowing = threading.Barrier(9)
    outcomes: list[list[int | str]] = [[] for _ in range(8)]

    def keep_asking(mine: list[int | str]) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        connection.connect()
        connection.auto_open = 0  # a new connection may be refused; this one must not be
        while connection.sock is not None:
            connection.request("POST", INFER, json.dumps(rows(f"{id(mine)}-{len(mine)}")))
            response = connection.getresponse()
            response.read()
            mine.append(response.status)
            if len(mine) == 50:
                flowing.wait()

    threads = [threading.Thread(target=keep_asking, args=(mine,)) for mine in outcomes]
    for thread in threads:
        thread.start()
    flowing.wait()
    assert server.stop() == 0
    for thread in threads:
        thread.join()

    assert {status for mine in outcomes for status in mine} == {200}
    asked = {f"{id(mine)}-{number}" for mine in outcomes for number in range(len(mine))}
    assert asked == {row["prediction_id"] for row in server.rows()}
