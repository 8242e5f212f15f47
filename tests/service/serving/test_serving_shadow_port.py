"""Mirrored copies that come by a port of their own, from gateways that do not mark them."""

import http.client
import json
import socket
from collections.abc import Callable
from typing import Any

import pytest

pytestmark = pytest.mark.service
Start = Callable[..., Any]
BODY = {
    "id": "copy",
    "inputs": [
        {"name": "depth", "shape": [1], "datatype": "FP64", "data": [2.5]},
        {"name": "spring", "shape": [1], "datatype": "BOOL", "data": [True]},
        {"name": "port", "shape": [1], "datatype": "BYTES", "data": ["Brest"]},
    ],
}


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> int:
    """A free port, which servers take for copies."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    monkeypatch.setenv("TRIMTAB_SHADOW_PORT", str(port))
    return port


def test_what_comes_by_the_shadow_port_is_a_copy(start: Start, port: int) -> None:
    """The same host and path by one port is a request, by the other a copy: answered, and logged as one."""
    server = start()
    server.infer("request")
    copies = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    copies.request("POST", "/v2/models/tides/infer", json.dumps(BODY), {"host": f"127.0.0.1:{server.port}"})
    status = copies.getresponse().status
    copies.close()
    server.stop()

    assert 200 == status
    assert {"request": False, "copy": True} == {row["prediction_id"]: row["shadow"] for row in server.rows()}


def test_a_port_for_copies_makes_the_host_the_callers_own(start: Start, port: int) -> None:
    """A request whose Host ends as those of Envoy's copies is live on the other port, however answered."""
    assert port
    server = start()
    directly = server.infer("directly", host="tides-shadow")
    with_expectation = server.infer("by ASGI", host="tides-shadow:80", expect="100-continue")
    server.stop()

    assert (directly[0], with_expectation[0]) == (200, 200)
    assert {row["prediction_id"]: row["shadow"] for row in server.rows()} == {
        "directly": False,
        "by ASGI": False,
    }


def test_nobody_can_send_the_mark_of_a_copy(start: Start, port: int) -> None:
    """It is no header's name, so a request with it is refused before anything of it is read."""
    assert port
    server = start()
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as caller:
        body = json.dumps(BODY).encode()
        head = b"POST /v2/models/tides/infer HTTP/1.1\r\nhost: a\r\n:copy: 1\r\ncontent-length: %d\r\n\r\n"
        caller.sendall(head % len(body) + body)
        answer = caller.recv(4096)
    server.infer("good")
    server.stop()

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert [row["prediction_id"] for row in server.rows()] == ["good"]


def test_shadow_port_that_is_taken_is_named(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """A port that somebody has ends the start with its variable's name."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        monkeypatch.setenv("TRIMTAB_SHADOW_PORT", port)
        with pytest.raises(
            pytest.fail.Exception, match=f"TRIMTAB_SHADOW_PORT: must be a free port; found {port}"
        ):
            start()
