"""Who waits longer than whom, and what a refusing Prometheus means."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from rollout import slots
from rollout.prometheus import Prometheus
from rollout.routers import envoy_config
from serving import loader, server
from spec import Unavailable


def test_a_load_is_waited_for_longer_than_the_server_fetches() -> None:
    """A version that arrives late is loaded or refused by the server, not given up on before."""
    assert slots.LOAD_S > loader._FETCH_LIMIT_S


def test_envoy_lets_go_of_an_idle_connection_before_the_server() -> None:
    """No request meets a closing connection, and the comments on both sides say the other's number."""
    options: Any = envoy_config._cluster("c", ("127.0.0.1", 1))["typed_extension_protocol_options"]
    (protocol,) = options.values()
    idle = protocol["common_http_protocol_options"]["idle_timeout"]

    assert float(idle.removesuffix("s")) < server._KEEP_ALIVE_S
    assert f"Envoy: {idle.removesuffix('s')} s" in Path(server.__file__).read_text("utf-8")
    assert f"keep-alive ({server._KEEP_ALIVE_S} s)" in Path(envoy_config.__file__).read_text("utf-8")


@pytest.mark.parametrize("status", [400, 422, 429])
def test_a_query_that_prometheus_refuses_is_unknown(monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    """Too many samples make a look unknown, which holds; they do not end the rollout."""
    refusal = httpx.Response(status, json={"status": "error", "error": "too many samples"})
    monkeypatch.setattr(httpx, "post", lambda *_, **__: refusal)
    now = datetime(2026, 3, 1, tzinfo=UTC)

    with pytest.raises(Unavailable, match="too many samples"):
        Prometheus("http://prometheus").samples("m", now - timedelta(hours=1), now)
