"""Two Envoys on one port: one goes on without the other, and a split is in force once both have it."""

from __future__ import annotations

import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

import httpx
import pytest

from rollout.routers.envoy import EnvoyRouter, bootstrap
from rollout.split import Split
from rollout.steps import at_step
from spec import Settings, Unavailable

pytestmark = pytest.mark.service

REQUESTS = 40
"""New connections; chance leaves one of two Envoys out of so many once in 5e11 times."""


@dataclass
class Pair:
    """Two Envoys before the slots of a gateway."""

    gateway: Any
    settings: Settings
    processes: list[subprocess.Popen[bytes]]

    @property
    def router(self) -> EnvoyRouter:
        """A router of all models."""
        return EnvoyRouter(self.settings, self.gateway.specs)

    def answered_by(self) -> Counter[str]:
        """Who answers requests of a new connection each."""
        url = f"{self.settings.gateway_url}/v2/models/flights/infer"
        answers = (httpx.post(url, content="{}", trust_env=False, timeout=10) for _ in range(REQUESTS))
        return Counter(str(answer.raise_for_status().json()["slot"]) for answer in answers)

    def taken(self) -> list[int]:
        """Requests that each Envoy has answered."""
        query = {"filter": "^http.gateway.downstream_rq_completed$"}
        told = [httpx.get(f"{url}/stats", params=query, trust_env=False).text for url in self.urls]
        return [int(text.rpartition(": ")[2]) for text in told]

    @property
    def urls(self) -> tuple[str, ...]:
        """Where each is asked about itself."""
        return self.settings.envoy_admin_urls


@pytest.fixture
def pair(gateway: Any) -> Iterator[Pair]:
    """Two of them on one port, in a home of their own."""
    port, *admins = gateway.free_ports(3)
    settings = replace(
        gateway.settings,
        home=gateway.settings.home / "pair",
        gateway_url=f"http://127.0.0.1:{port}",
        envoy_admin_urls=tuple(f"http://127.0.0.1:{admin}" for admin in admins),
    )
    bootstrap(settings, gateway.specs, port, *admins)
    both = replace(gateway, settings=settings)
    with ExitStack() as stack:
        processes = [stack.enter_context(both.started(number)) for number in range(2)]
        yield Pair(both, settings, processes)


def test_both_take_the_traffic_and_every_change(pair: Pair) -> None:
    """As soon as a split is in force, it is so on any new connection, whichever of the two takes it."""
    assert pair.answered_by() == {"blue": REQUESTS}
    assert min(pair.taken()) > 0

    pair.router.apply("flights", at_step("blue", 1.0, pair.gateway.lease()))
    assert pair.answered_by() == {"green": REQUESTS}


def test_one_answers_while_the_other_is_gone(pair: Pair) -> None:
    """A death costs no new request; routes change meanwhile, and who comes back has them."""
    pair.processes[0].kill()
    pair.processes[0].wait()

    assert pair.answered_by() == {"blue": REQUESTS}
    pair.router.apply("flights", at_step("blue", 1.0, pair.gateway.lease()))
    assert pair.answered_by() == {"green": REQUESTS}
    with pair.gateway.started():
        assert pair.answered_by() == {"green": REQUESTS}
        assert min(pair.taken()) > 0


def test_one_that_hangs_keeps_a_canary_from_its_start(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """What only one of them has taken is not in force: the other might still divide as before."""
    monkeypatch.setattr("rollout.routers.envoy.CONFIRM_S", 0.5)
    pair.processes[1].send_signal(signal.SIGSTOP)
    try:
        with pytest.raises(Unavailable, match="did not confirm"):
            pair.router.apply("flights", at_step("blue", 1.0, pair.gateway.lease()))
        assert pair.router.read("flights") == Split()
    finally:
        pair.processes[1].send_signal(signal.SIGCONT)

    pair.gateway.until(lambda: pair.answered_by() == {"blue": REQUESTS})
