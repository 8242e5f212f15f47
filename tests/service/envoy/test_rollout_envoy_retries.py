"""What the gateway's own counters say of an attempt that it hid from the caller."""

import json
import re
import socket
import struct
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from rollout.counts import RETRIED
from rollout.routers.envoy import bootstrap
from spec import Settings

pytestmark = pytest.mark.service
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}"
RESET = struct.pack("ii", 1, 0)
MOST = 100


def _lose_every_other(door: socket.socket) -> None:
    """Reset the first connection, as a server that just died does, answer the second, and so on."""
    while True:
        try:
            lost, _ = door.accept()
            lost.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            lost.close()
            served, _ = door.accept()
        except OSError:  # the door was shut
            return
        with served:
            served.recv(65536)
            served.sendall(ANSWER)


def _retried(settings: Settings) -> int:
    text = httpx.get(f"{settings.envoy_admin_urls[0]}/stats/prometheus", trust_env=False).text
    found = re.search(rf'^{RETRIED}{{envoy_cluster_name="flights-blue"}} (\d+)$', text, re.MULTILINE)
    return int(found[1]) if found else 0


def test_hidden_attempts_are_in_the_gateways_counters(gateway: Any, tmp_path: Path) -> None:
    """An attempt that failed and was tried again stands in a counter that the gate on errors reads.

    Only what never reached the server is tried again, and a reset may come behind the request: so one is sent
    after the other until one was tried again.
    """
    port, admin = gateway.free_ports(2)
    with socket.create_server(("127.0.0.1", 0)) as door:
        lossy = f"http://127.0.0.1:{door.getsockname()[1]}"
        env = {
            "TRIMTAB_HOME": str(tmp_path / "lossy"),
            "TRIMTAB_GATEWAY_URL": f"http://127.0.0.1:{port}",
            "TRIMTAB_ENVOY_ADMIN_URL": f"http://127.0.0.1:{admin}",
            "TRIMTAB_SLOTS": json.dumps({name: {"blue": lossy, "green": lossy} for name in gateway.specs}),
        }
        settings = Settings.from_env(env)
        bootstrap(settings, gateway.specs, port, admin)
        thread = threading.Thread(target=_lose_every_other, args=(door,))
        thread.start()
        try:
            with replace(gateway, settings=settings).started():
                url = f"{settings.gateway_url}/v2/models/flights/infer"
                statuses = []
                while not _retried(settings) and len(statuses) < MOST:
                    statuses.append(httpx.post(url, content="{}", trust_env=False).status_code)
                retried = _retried(settings)
        finally:
            door.shutdown(socket.SHUT_RDWR)
            thread.join()

    assert (retried, statuses[-1]) == (1, 200)


def test_a_champion_that_stays_down_is_not_waited_for_for_ever(gateway: Any, tmp_path: Path) -> None:
    """Without a rollout it is asked sixteen times; then the caller hears that nobody listens."""
    port, admin, nobody = gateway.free_ports(3)
    env = {
        "TRIMTAB_HOME": str(tmp_path / "down"),
        "TRIMTAB_GATEWAY_URL": f"http://127.0.0.1:{port}",
        "TRIMTAB_ENVOY_ADMIN_URL": f"http://127.0.0.1:{admin}",
        "TRIMTAB_SLOTS": json.dumps(
            {
                name: {"blue": f"http://127.0.0.1:{nobody}", "green": gateway.settings.slots[name]["green"]}
                for name in gateway.specs
            }
        ),
    }
    settings = Settings.from_env(env)
    bootstrap(settings, gateway.specs, port, admin)
    with replace(gateway, settings=settings).started():
        url = f"{settings.gateway_url}/v2/models/flights/infer"
        answer = httpx.post(url, content="{}", trust_env=False, timeout=30)
        assert (answer.status_code, _retried(settings)) == (503, 15)
