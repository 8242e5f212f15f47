"""What every router promises: the one in memory, a real Envoy, and both on a Kubernetes API over HTTP."""

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from rollout import guard, leases
from rollout.routers import Router, connect
from rollout.routers.envoy import EnvoyRouter, bootstrap, command
from rollout.routers.memory import MemoryRouter
from rollout.split import Slot, Split
from rollout.steps import Step, at_step
from spec import SHADOW, ModelSpec, NotFound, Refused, Settings, SpecError, loads

ENVOY = str(Path(sys.executable).with_name("envoy"))
SPECS: dict[str, ModelSpec] = {
    name: loads(f"""
model: {name}
task: binary
data: {{inference_log: log, labels: labels, id: id, time: t, target: {{name: late}}}}
features: {{x: numeric}}
""")
    for name in ("flights", "hotels")
}
Make = Callable[[], Router]


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(one.getsockname()[1]) for one in sockets]
    for one in sockets:
        one.close()
    return ports


def _settings(home: Path, admin: int) -> Settings:
    urls = {"blue": "http://127.0.0.1:9", "green": "http://127.0.0.1:9"}
    slots = dict.fromkeys(SPECS, urls)
    env = {"TRIMTAB_HOME": str(home), "TRIMTAB_ENVOY_ADMIN_URL": f"http://127.0.0.1:{admin}"}
    return Settings.from_env(env | {"TRIMTAB_SLOTS": str(slots).replace("'", '"')})


@pytest.fixture(scope="module")
def envoy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Settings of a running Envoy."""
    port, admin = _free_ports(2)
    settings = _settings(tmp_path_factory.mktemp("home"), admin)
    bootstrap(settings, SPECS, port, admin)
    with subprocess.Popen([*command(settings, ENVOY), "--concurrency", "1"]) as process:
        try:
            deadline = time.monotonic() + 20
            while not _ready(admin):
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.02)
            yield settings
        finally:
            process.terminate()


def _ready(admin: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{admin}/ready", timeout=1).is_success
    except httpx.TransportError:
        return False


@pytest.fixture(params=["memory", "gateway_api", "kserve", pytest.param("envoy", marks=pytest.mark.service)])
def make(request: pytest.FixtureRequest) -> Make:
    """Make routers that share their state, one after another, with all models settled at first."""
    if request.param == "memory":
        router = MemoryRouter(SPECS)
        return lambda: router
    if request.param != "envoy":
        cluster = request.getfixturevalue({"gateway_api": "gateway"}.get(request.param, request.param))
        there = cluster.settings(request.param)
        return lambda: connect(there, SPECS)
    settings = request.getfixturevalue("envoy")
    for model in SPECS:
        EnvoyRouter(settings, SPECS).apply(model, Split())
    return lambda: connect(settings, SPECS)


def step(make: Make, champion: Slot, share: Step, until: datetime) -> Split:
    """A step's split, as the rollout makes it for this router."""
    return at_step(champion, share, until, mirrors=make().mirrors)


def lease(seconds: float = 60) -> datetime:
    """Some wall time from now."""
    return datetime.now(UTC) + timedelta(seconds=seconds)


def test_untouched_model_is_all_blue(make: Make) -> None:
    """A model that was never touched sends everything to the champion in blue."""
    assert make().read("flights") == Split()


@pytest.mark.parametrize("share", [0.05, 0.5, 1.0])
def test_read_returns_what_was_applied(make: Make, share: float) -> None:
    """Another router reads what one applied, to the last field."""
    split = step(make, "blue", share, lease())
    make().apply("flights", split)

    assert make().read("flights") == split


def test_shadow_is_applied_or_refused_with_words(make: Make) -> None:
    """A router with a mirror takes a shadow step; one without says so before the step and when it is told."""
    split = at_step("blue", SHADOW, lease())
    if make().mirrors:
        make().apply("flights", split)
        assert make().read("flights") == split
        return
    with pytest.raises(SpecError, match="without shadow"):
        step(make, "blue", SHADOW, lease())
    with pytest.raises(Refused, match="cannot mirror"):
        make().apply("flights", split)
    assert make().read("flights") == Split()


def test_promoted_slot_is_the_champion(make: Make) -> None:
    """From 100 % of the traffic the lease's holder makes the slot the champion's, and may say so twice."""
    make().apply("flights", step(make, "blue", 1.0, lease()))
    for _ in range(2):
        leases.promote(make(), "flights", "green")

    assert make().read("flights") == Split(champion="green")


def test_ended_canary_may_begin_again(make: Make) -> None:
    """After a return to the champion the next rollout begins where the first did."""
    make().apply("flights", step(make, "blue", 0.25, lease()))
    leases.release(make(), "flights")
    again = step(make, "blue", 0.05, lease())
    leases.begin(make(), "flights", again)

    assert make().read("flights") == again


def test_models_are_apart(make: Make) -> None:
    """A change of one model leaves the other as it was."""
    split = step(make, "green", 0.25, lease())
    make().apply("hotels", split)
    make().apply("flights", step(make, "blue", 0.5, lease()))
    make().apply("flights", Split())

    assert make().read("hotels") == split


def test_unknown_model_is_not_found(make: Make) -> None:
    """Each method reports a model that does not exist, with those that do."""
    router = make()
    calls = (
        lambda: router.read("cars"),
        lambda: router.apply("cars", Split()),
        lambda: router.amend("cars", Split.returned),
    )
    for call in calls:
        with pytest.raises(NotFound, match="Known: flights, hotels"):
            call()


def test_amend_that_raises_changes_nothing(make: Make) -> None:
    """What a change raises is passed on, and the split stays."""
    split = step(make, "blue", 0.05, lease())
    make().apply("flights", split)

    def change(_: Split) -> Split:
        msg = "no"
        raise Refused(msg)

    with pytest.raises(Refused, match="no"):
        make().amend("flights", change)
    assert make().read("flights") == split


def test_writers_exclude_each_other(make: Make) -> None:
    """Of forty changes at once by eight writers none is lost."""
    start = lease()
    make().apply("flights", step(make, "blue", 0.05, start))

    def second_longer(split: Split) -> Split:
        assert split.lease_until is not None
        return step(make, "blue", 0.05, split.lease_until + timedelta(seconds=1))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: make().amend("flights", second_longer), range(40)))

    assert make().read("flights").lease_until == start + timedelta(seconds=40)


class Diary:
    """Events, kept in memory."""

    def __init__(self) -> None:
        self.entries: list[tuple[str, str, str]] = []

    def record_event(self, model: str, kind: str, text: str, at: datetime, payload: object = None) -> None:
        """Keep one."""
        assert at.tzinfo is not None
        assert payload
        self.entries.append((model, kind, text))


def test_guard_ends_an_expired_canary(make: Make, tmp_path: Path) -> None:
    """An expired lease returns the traffic to its champion and is written down once; others stay."""
    diary, settings = Diary(), _settings(tmp_path, 9)
    make().apply("flights", step(make, "green", 0.05, lease(-1)))
    kept = step(make, "blue", 0.5, lease())
    make().apply("hotels", kept)
    looks = [guard.look(SPECS, settings, make(), diary) for _ in range(2)]

    assert looks == [["flights"], []]
    assert [entry[:2] for entry in diary.entries] == [("flights", "guard")]
    assert make().read("flights") == Split(champion="green")
    assert make().read("hotels") == kept


def test_renewal_after_the_guard_is_refused(make: Make, tmp_path: Path) -> None:
    """A judge that comes back after the guard is told that its lease is lost, and moves no traffic."""
    make().apply("flights", step(make, "blue", 0.25, lease(-1)))
    guard.look(SPECS, _settings(tmp_path, 9), make(), Diary())

    with pytest.raises(Refused, match="was lost"):
        leases.renew(make(), "flights", lease())
    assert make().read("flights") == Split()


def test_guard_daemon_stops_when_told(make: Make, tmp_path: Path) -> None:
    """The daemon takes an expired canary's traffic by itself and ends when it is told to."""
    diary, stop = Diary(), threading.Event()
    make().apply("flights", step(make, "blue", 0.05, lease(0.2)))
    arguments = {"stop": stop, "events": diary}
    daemon = threading.Thread(
        target=guard.run, args=(SPECS, _settings(tmp_path, 9), make()), kwargs=arguments
    )
    daemon.start()
    deadline = time.monotonic() + 10
    while not diary.entries and time.monotonic() < deadline:
        time.sleep(0.02)
    stop.set()
    daemon.join(timeout=5)

    assert not daemon.is_alive()
    assert make().read("flights") == Split()
