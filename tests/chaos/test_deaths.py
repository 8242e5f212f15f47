"""What dies while a canary has a quarter of the traffic: who notices, and until when.

A client that is asking at the moment of a death may lose that one request, and no other.
"""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from monitors.results.store import Store
from rollout import slots
from rollout.guard import INTERVAL_S
from rollout.routers.envoy_config import TIMEOUT_S
from rollout.split import Split
from trimtab.stack.ports import ENVOYS

pytestmark = [pytest.mark.service, pytest.mark.timeout(120)]

LEASE_S = 2.0
MARGIN_S = 5.0
"""For a busy machine; nothing of what is measured here takes longer than a second on an idle one."""
JUDGE = """
import sys, time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from rollout import leases
from rollout.routers.envoy import EnvoyRouter
from spec import Settings, load_folder
model, lease = sys.argv[1], timedelta(seconds=float(sys.argv[2]))
settings = Settings.from_env()
router = EnvoyRouter(settings, load_folder(settings.models))
while True:
    leases.renew(router, model, datetime.now(UTC) + lease)
    print("renewed", flush=True)
    time.sleep(lease.total_seconds() / 20)
"""


@contextmanager
def judge(house: Any) -> Iterator[subprocess.Popen[str]]:
    """A judge that sees the canary well and renews its lease as the triggerer's does: 20 times a lease."""
    argv = [sys.executable, "-c", JUDGE, house.model, str(LEASE_S)]
    with subprocess.Popen(
        argv, env=house.stack.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "renewed\n", process.stderr
            yield process
        finally:
            process.kill()


@contextmanager
def judged_canary(house: Any) -> Iterator[tuple[Any, subprocess.Popen[str]]]:
    """Users of a canary that a judge keeps alive; both versions answer them."""
    house.canary(lease_s=30)
    with judge(house) as process, house.users() as users:
        users.wait_for(60)
        assert users.versions_since(0) == {"1", "2"}
        assert users.failures == []
        yield users, process


def returned(house: Any, users: Any, since: float) -> float:
    """Wait until the champion has all traffic; return how long after `since` the challenger had some."""
    deadline = time.time() + LEASE_S + INTERVAL_S + MARGIN_S
    while not house.split().settled:
        assert time.time() < deadline, f"nobody has ended the canary: {house.split()}"
        users.wait_for(1)
    settled = time.time()
    users.wait_for(50)
    assert users.versions_since(settled) == {"1"}
    seconds = float(users.last_of("2") - since)
    assert seconds < LEASE_S + INTERVAL_S + MARGIN_S
    return seconds


def kill(process: subprocess.Popen[str], number: int = signal.SIGKILL) -> float:
    """Send a signal; return when."""
    process.send_signal(number)
    return time.time()


def only_in_flight(users: Any, killed: float) -> bool:
    """Whether no client lost more than the one request that was under way when something died."""
    lost = users.failures
    return len(lost) <= users.clients and all(one.sent < killed + 0.1 for one in lost)


@pytest.mark.chaos
def test_a_judge_that_dies_loses_the_canary_and_no_request(house: Any, told: Callable[..., None]) -> None:
    """With kill -9 of whoever renews the lease, the champion has all traffic within the lease."""
    with judged_canary(house) as (users, process):
        began = time.time()
        while time.time() < began + 2 * LEASE_S:
            users.wait_for(10)
        killed = kill(process)
        assert users.last_of("2") > began + LEASE_S  # or it was not the judge who kept the canary
        told(users, returned(house, users, killed))

    assert users.failures == []


def test_a_judge_that_hangs_loses_the_canary_and_never_gets_it_back(
    house: Any, told: Callable[..., None]
) -> None:
    """It is stopped where it stands; when it goes on, its next renewal is refused."""
    with judged_canary(house) as (users, process):
        told(users, returned(house, users, kill(process, signal.SIGSTOP)))
        kill(process, signal.SIGCONT)
        _, said = process.communicate(timeout=20)
        resumed = time.time()
        users.wait_for(50)

    assert "The lease of tides's canary was lost" in said
    assert users.versions_since(resumed) == {"1"}
    assert users.failures == []


def test_a_guard_that_dies_comes_back_and_does_its_duty(house: Any, told: Callable[..., None]) -> None:
    """Guard and judge are killed at once: the supervisor's next guard ends the canary."""
    with judged_canary(house) as (users, process):
        first = house.pid("guard")
        house.kill("guard")
        told(users, returned(house, users, kill(process)))

    assert house.pid("guard") not in {0, first}
    assert users.failures == []


@pytest.mark.chaos
def test_a_guard_that_dies_again_and_again_is_started_again(
    house: Any, until: Callable[..., None], told: Callable[..., None]
) -> None:
    """Killed at each of five starts, it is not given up: what lapsed meanwhile ends as soon as it lives."""
    house.canary(lease_s=LEASE_S)
    dead = [0]
    with house.users() as users:
        for _ in range(5):
            until(lambda: house.pid("guard") not in dead, 20, "the next guard")
            dead.append(house.pid("guard"))
            killed = house.kill("guard")
        until(lambda: house.split().settled, 30, "the end of the canary")
        users.wait_for(50)
    told(users, users.last_of("2") - killed)

    assert users.failures == []


def test_a_results_store_that_hangs_keeps_no_canary(
    house: Any, until: Callable[..., None], told: Callable[..., None]
) -> None:
    """A writer that never ends locks it: both models' canaries end in time, and are written down later."""
    began = datetime.now(UTC)
    with judged_canary(house) as (users, process), closing(_locked(house)) as lock:
        house.canary(lease_s=LEASE_S, model="waves")
        killed = kill(process)
        told(users, returned(house, users, killed))
        until(lambda: house.router.read("waves") == Split(), LEASE_S + INTERVAL_S + MARGIN_S, "its return")
        lock.rollback()
        for model in ("tides", "waves"):
            until(lambda model=model: _guarded(house, model, began), 30, "the event")

    assert users.failures == []


@pytest.mark.chaos
def test_a_results_store_that_is_gone_keeps_no_canary(house: Any, told: Callable[..., None]) -> None:
    """Its file is no database any more; the guard also starts without it."""
    file = house.stack.home / "results.db"
    kept = file.with_name("kept.db")
    with judged_canary(house) as (users, process):
        file.rename(kept)
        file.write_text("this is not a database, and long enough to be taken for one " * 100)
        try:
            house.kill("guard")
            told(users, returned(house, users, kill(process)))
        finally:
            kept.replace(file)

    assert users.failures == []


def test_an_envoy_that_dies_costs_what_it_had(house: Any, told: Callable[..., None]) -> None:
    """The other answers what comes; the judge dies with it, and the lease ends the canary all the same."""
    with judged_canary(house) as (users, process):
        killed = house.kill("envoy")
        told(users, returned(house, users, kill(process)))

    assert only_in_flight(users, killed)


def test_envoys_that_die_in_turn_end_no_canary_that_is_vouched_for(
    house: Any, told: Callable[..., None]
) -> None:
    """The one that comes back divides the traffic as the other, before that dies too."""
    killed = []
    with judged_canary(house) as (users, _):
        for name in ENVOYS:
            killed.append(house.kill(name))
            house.revive(name)
        again = time.time()
        users.wait_for(100)

    told(users)
    assert users.versions_since(again) == {"1", "2"}
    assert len(users.failures) <= len(killed) * users.clients
    assert all(any(moment - 1 < one.sent < moment + 0.1 for moment in killed) for one in users.failures)


@pytest.mark.chaos
def test_envoys_that_die_together_lose_what_is_sent_while_they_are_down(
    house: Any, told: Callable[..., None]
) -> None:
    """What comes back divides by the files, and the lease still ends the canary."""
    with judged_canary(house) as (users, process):
        killed = [house.kill(name) for name in ENVOYS]
        told(users, returned(house, users, kill(process)))

    up_again = max(one.received for one in users.failures)
    assert up_again - killed[0] < LEASE_S + MARGIN_S
    assert users.failures[0].received > killed[0] - 0.1


@pytest.mark.chaos
def test_envoy_that_hangs_goes_on_without_the_canary(
    house: Any, until: Callable[..., None], told: Callable[..., None]
) -> None:
    """While it hangs nobody is answered; as soon as it goes on, the lease that ran out ends the canary."""
    with judged_canary(house) as (users, process):
        house.signal("envoy", signal.SIGSTOP)
        killed = kill(process)
        until(lambda: time.time() > killed + 2 * LEASE_S, 30, "twice the lease")
        resumed = house.signal("envoy", signal.SIGCONT)
        told(users, returned(house, users, resumed))

    assert users.failures == []


@pytest.mark.chaos
def test_a_slot_that_hangs_keeps_nobody_longer_than_the_route(
    house: Any, until: Callable[..., None], told: Callable[..., None]
) -> None:
    """What it had taken ends with a 504 after the route's ten seconds; the lease's end spares the others."""
    with judged_canary(house) as (users, process):
        house.signal("tides-green", signal.SIGSTOP)
        try:
            killed = kill(process)
            until(lambda: house.split().settled, LEASE_S + INTERVAL_S + MARGIN_S, "the end of the canary")
            until(lambda: time.time() > killed + TIMEOUT_S + MARGIN_S, 30, "the end of what it had taken")
            users.wait_for(50)
        finally:
            house.signal("tides-green", signal.SIGCONT)
    told(users, users.last_of("2") - killed)

    assert 0 < len(users.failures) <= users.clients
    assert all(one.failure.startswith("504") for one in users.failures)
    assert all(one.received - one.sent < TIMEOUT_S + 1 for one in users.failures)


def test_a_challenger_that_dies_is_answered_for_by_the_champion(
    house: Any, told: Callable[..., None]
) -> None:
    """Its share gets the champion's answers at once, and only what it was asked at that moment is lost."""
    with judged_canary(house) as (users, _):
        killed = house.kill("tides-green")
        users.wait_for(50)
        assert users.last_of("2") <= killed + 0.1
        house.revive("tides-green")
        again = time.time()
        users.wait_for(100)

    told(users)
    assert only_in_flight(users, killed), users.failures
    assert "2" in users.versions_since(again)


def test_a_challenger_that_stays_down_costs_no_request(
    house: Any, until: Callable[..., None], told: Callable[..., None]
) -> None:
    """Nobody starts it again: all traffic is the champion's, before the lease and after it."""
    with judged_canary(house) as (users, process):
        killed = house.kill_for_good("tides-green")
        users.wait_for(50)
        kill(process)
        until(lambda: house.split().settled, LEASE_S + INTERVAL_S + MARGIN_S, "the end of the canary")
        users.wait_for(50)

    told(users, users.last_of("2") - killed)
    assert only_in_flight(users, killed), users.failures
    assert users.versions_since(killed + 0.1) == {"1"}


def test_a_champion_that_dies_is_answered_for_by_the_challenger(
    house: Any, told: Callable[..., None]
) -> None:
    """While it starts and loads, the other version that the registry names answers everybody."""
    with judged_canary(house) as (users, _):
        killed = house.kill("tides-blue")
        users.wait_for(50)
        house.revive("tides-blue")
        again = time.time()
        users.wait_for(100)

    told(users)
    assert only_in_flight(users, killed), users.failures
    assert "1" in users.versions_since(again)


def test_an_empty_slot_is_answered_for(house: Any) -> None:
    """A challenger that somebody unloads says that no version answers, and the champion does."""
    spec, settings = house.stack.specs["tides"], house.stack.settings
    remembered = house.stack.home / "slots" / "tides-green.json"
    before = remembered.read_text()
    house.canary(lease_s=60)
    with house.users() as users:
        users.wait_for(60)
        slots.unload(spec, settings, "green")
        emptied = time.time()
        users.wait_for(60)
    remembered.write_text(before)
    house.kill("tides-green")  # which loads it again

    assert users.failures == []
    assert users.versions_since(emptied) == {"1"}


def test_a_champion_that_dies_without_a_rollout_is_waited_for(house: Any, told: Callable[..., None]) -> None:
    """The idle slot may hold anything, so it answers nobody; who asks waits until the champion is back."""
    with house.users() as users:
        killed = house.kill("tides-blue")
        house.revive("tides-blue")
        users.wait_for(100)

    told(users)
    assert only_in_flight(users, killed), users.failures
    assert users.versions_since(0) == {"1"}


def _locked(house: Any) -> sqlite3.Connection:
    """Hold the results store as a writer that never ends."""
    with Store(house.stack.settings.results_url) as store:
        store.events("tides")  # makes it, where nobody has yet
    lock = sqlite3.connect(house.stack.home / "results.db", isolation_level=None)
    lock.execute("BEGIN EXCLUSIVE")
    return lock


def _guarded(house: Any, model: str, since: datetime) -> bool:
    """Whether the guard has written down that it ended a canary."""
    with Store(house.stack.settings.results_url) as store:
        return any(event.at >= since for event in store.events(model, kinds=("guard",)))
