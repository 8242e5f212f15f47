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


def test_what_comes_by_the_shadow_port_is_a_copy(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same host and path by one port is a request, by the other a copy: answered, and logged as one."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    monkeypatch.setenv("TRIMTAB_SHADOW_PORT", str(port))
    server = start()
    server.infer("request")
    copies = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    copies.request("POST", "/v2/models/tides/infer", json.dumps(BODY), {"host": f"127.0.0.1:{server.port}"})
    status = copies.getresponse().status
    copies.close()
    server.stop()

    assert 200 == status
    assert {"request": False, "copy": True} == {row["prediction_id"]: row["shadow"] for row in server.rows()}


def test_shadow_port_that_is_taken_is_named(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """A port that somebody has ends the start with its variable's name."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        monkeypatch.setenv("TRIMTAB_SHADOW_PORT", port)
        with pytest.raises(
            pytest.fail.Exception, match=f"TRIMTAB_SHADOW_PORT: must be a free port; found {port}"
        ):
            start()
