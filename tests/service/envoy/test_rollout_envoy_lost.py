"""A canary whose Envoy, judge or stack is lost: the traffic goes back to the champion."""

import json
import subprocess
import sys
import threading
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from rollout import guard
from rollout.routers.envoy import bootstrap
from rollout.split import Split
from rollout.steps import at_step
from spec import Settings, Unavailable

pytestmark = pytest.mark.service


def test_dead_envoy_is_unavailable(gateway: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Envoy a canary is not begun, and the Envoy that comes back starts without it."""
    monkeypatch.setattr("rollout.routers.envoy.CONFIRM_S", 0.3)
    gateway.process.kill()
    gateway.process.wait()

    with pytest.raises(Unavailable, match="did not confirm"):
        gateway.router.apply("flights", at_step("blue", 1.0, gateway.lease()))
    assert gateway.router.read("flights") == Split()
    with gateway.started():
        assert gateway.answered_by(10) == {"blue": 10}


def test_return_to_the_champion_outlives_a_dead_envoy(gateway: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A return that no Envoy confirmed is reported, kept for the next Envoy, and tried again by the guard."""
    gateway.router.apply("flights", at_step("blue", 1.0, gateway.lease(0)))
    monkeypatch.setattr("rollout.routers.envoy.CONFIRM_S", 0.3)
    gateway.process.kill()
    gateway.process.wait()

    assert guard.look(gateway.specs, gateway.settings, gateway.router, Diary()) == []
    with gateway.started():
        assert gateway.answered_by(10) == {"blue": 10}
        assert guard.look(gateway.specs, gateway.settings, gateway.router, Diary()) == ["flights"]
    assert gateway.router.read("flights") == Split()


def test_a_slot_whose_name_is_gone_is_not_answered_for(gateway: Any, tmp_path: Path) -> None:
    """Without a rollout the idle slot may hold anything: callers get an error, and not its version."""
    port, admin = gateway.free_ports(2)
    green = gateway.settings.slots["flights"]["green"]
    env = {
        "TRIMTAB_HOME": str(tmp_path / "named"),
        "TRIMTAB_GATEWAY_URL": f"http://127.0.0.1:{port}",
        "TRIMTAB_ENVOY_ADMIN_URL": f"http://127.0.0.1:{admin}",
        "TRIMTAB_SLOTS": json.dumps(
            {name: {"blue": "http://gone.invalid:80", "green": green} for name in gateway.specs}
        ),
    }
    settings = Settings.from_env(env)
    bootstrap(settings, gateway.specs, port, admin)

    with replace(gateway, settings=settings).started():
        url = f"{settings.gateway_url}/v2/models/flights/infer"
        answer = httpx.post(url, content="{}", timeout=20, trust_env=False)

    assert (503, []) == (answer.status_code, gateway.green.seen)


class Diary:
    """Events, kept in memory."""

    def __init__(self) -> None:
        self.kinds: list[str] = []

    def record_event(self, model: str, kind: str, text: str, at: datetime, payload: object = None) -> None:
        """Keep one."""
        assert (model, bool(text), at.tzinfo, bool(payload)) == ("flights", True, UTC, True)
        self.kinds.append(kind)


JUDGE = """
import sys, time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from rollout import renew
from rollout.routers.envoy import EnvoyRouter
from spec import Settings, loads
specs = {"flights": loads(sys.argv[1])}
router = EnvoyRouter(Settings.from_env(), specs)
while True:
    renew(router, "flights", datetime.now(UTC) + timedelta(seconds=1))
    print("renewed", flush=True)
    time.sleep(0.1)
"""


def test_guard_takes_over_when_the_judge_is_killed(gateway: Any) -> None:
    """While a judge renews, the canary keeps its traffic; after kill -9 the guard returns it all."""
    gateway.router.apply("flights", at_step("blue", 1.0, gateway.lease(15)))
    diary, stop = Diary(), threading.Event()
    daemon = threading.Thread(
        target=guard.run,
        args=({"flights": gateway.specs["flights"]}, gateway.settings, gateway.router),
        kwargs={"stop": stop, "events": diary},
    )
    text = json.dumps(gateway.specs["flights"].model_dump(mode="json", by_alias=True, exclude_unset=True))
    env = {
        "TRIMTAB_HOME": str(gateway.settings.home),
        "TRIMTAB_ENVOY_ADMIN_URL": gateway.settings.envoy_admin_urls[0],
    }
    with subprocess.Popen([sys.executable, "-c", JUDGE, text], env=env, stdout=subprocess.PIPE) as judge:
        try:
            assert judge.stdout is not None
            for _ in range(5):
                assert judge.stdout.readline() == b"renewed\n"
            daemon.start()
            while_judged = gateway.answered_by(20)
            judge.kill()
            gateway.until(lambda: diary.kinds == ["guard"])
        finally:
            judge.kill()
            stop.set()
            daemon.join()

    assert while_judged == {"green": 20}
    assert gateway.answered_by(20) == {"blue": 20}


def test_bootstrap_keeps_a_running_rollout(gateway: Any) -> None:
    """A restart of the stack resumes a rollout whose lease holds, and not one whose lease ran out."""
    gateway.router.apply("flights", at_step("blue", 0.5, gateway.lease()))
    gateway.router.apply("hotels", at_step("green", 0.5, gateway.lease(-1)))
    before = gateway.router.read("flights")
    bootstrap(gateway.settings, gateway.specs, *gateway.free_ports(2))

    assert gateway.router.read("flights") == before
    assert gateway.router.read("hotels") == Split(champion="green")
