"""Whose traffic it is when a rollout ends late: the rollout's, or somebody else's who was quicker."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import rollout.slots
from dags import ending, steps
from monitors.results.store import Store
from rollout.routers.memory import MemoryRouter
from rollout.split import Split
from spec import ModelSpec, Refused, Settings, Unavailable, load

SPEC: ModelSpec = load(Path("models/flights.yaml"))
BEGAN = "2013-04-01T00:00:00+00:00"
ROLLOUT: dict[str, Any] = {
    "challenger": "2",
    "champion": "1",
    "slot": "green",
    "began": BEGAN,
    "run": "run-7",
}
RETURNED, TAKEN = Split(champion="blue"), Split(champion="green")
LOST = ending.broken("the lease was lost")


class World:
    """Flights whose version 1 is champion in blue, and whose rollout of version 2 in green ends now."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.router = MemoryRouter(["flights"])
        self.loaded: str | None = "2"
        """What green answers with; None while its server is away."""
        self.champion: str | None = "1"
        """What the alias names; None while the registry is away."""
        self.rejected: dict[str, dict[str, Any]] = {}

    def version(self, model: str, alias: str) -> str | None:
        """As the registry's."""
        assert ("flights", "champion") == (model, alias)
        if self.champion is None:
            msg = "MLflow did not answer"
            raise Unavailable(msg)
        return self.champion

    def reject(self, model: str, version: str, verdict: dict[str, Any], **_: object) -> None:
        """As the registry's."""
        assert "flights" == model
        self.rejected[version] = verdict

    def ask(self, *_: object) -> str:
        """As `rollout.slots.loaded`."""
        if self.loaded is None:
            msg = "no answer"
            raise Unavailable(msg)
        return self.loaded

    def canary(self, share: int) -> None:
        """Give green a share under a lease."""
        lease = datetime.now(UTC) + timedelta(minutes=1)
        self.router.apply("flights", Split(weights={"blue": 100 - share, "green": share}, lease_until=lease))

    def end(self) -> str:
        """Run the roll-back of a rollout that lost its lease."""
        return steps.reject_challenger(SPEC, self.settings, ROLLOUT, LOST)

    @property
    def split(self) -> Split:
        """Who gets the traffic."""
        return self.router.read("flights")


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """A rollout that ends."""
    found = World(Settings.from_env({"TRIMTAB_HOME": str(tmp_path)}))
    monkeypatch.setattr(steps, "_router", lambda _: found.router)
    monkeypatch.setattr(rollout.slots, "loaded", found.ask)
    monkeypatch.setattr("retraining.registry.Registry", lambda _: found)
    return found


@pytest.mark.parametrize("share", [25, 100])
@pytest.mark.parametrize("registry_is_up", [True, False])
def test_a_dead_slot_loses_its_canary(world: World, share: int, *, registry_is_up: bool) -> None:
    """A challenger's server that does not answer cannot be asked what it has: the canary ends anyway."""
    world.loaded = None
    world.champion = "1" if registry_is_up else None
    world.canary(share)

    if registry_is_up:
        world.end()
    else:
        with pytest.raises(Unavailable, match="MLflow"):
            world.end()

    assert RETURNED == world.split


def test_a_canary_ends_while_somebody_loads(world: World) -> None:
    """It waits for nobody who holds the right to load: a load may take minutes."""
    world.canary(25)

    with rollout.slots.held(SPEC, world.settings):
        world.end()

    assert RETURNED == world.split


def test_a_promotion_that_broke_is_taken_back_from_a_dead_slot(world: World) -> None:
    """All traffic is settled on a server that died before the alias moved: the alias tells whose it is."""
    world.loaded = None
    world.router.apply("flights", TAKEN)

    world.end()

    assert RETURNED == world.split


def test_what_somebody_else_moved_meanwhile_is_not_given_back(world: World) -> None:
    """Version 3 was given all traffic by hand in the rollout's slot: the late roll-back leaves it there."""
    world.loaded = "3"
    world.router.apply("flights", TAKEN)

    world.end()

    assert TAKEN == world.split


def test_what_a_person_wanted_stays_though_its_server_is_away(world: World) -> None:
    """Version 3 is the champion in green, whose server just starts again: it is not the rollout's to move."""
    world.loaded, world.champion = None, "3"
    world.router.apply("flights", TAKEN)

    world.end()

    assert TAKEN == world.split


def test_all_traffic_of_nobody_knows_whom_waits_for_the_registry(world: World) -> None:
    """Neither server nor registry answers: the task is tried again, and then the alias tells."""
    world.loaded = world.champion = None
    world.router.apply("flights", TAKEN)

    with pytest.raises(Unavailable):
        world.end()
    assert TAKEN == world.split

    world.champion = "1"
    world.end()
    assert RETURNED == world.split


def test_another_version_that_loads_meanwhile_keeps_its_traffic(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A person's version came into the slot between the two looks: the second one is under the lock."""
    world.router.apply("flights", TAKEN)
    answers = iter(["2", "3"])
    monkeypatch.setattr(rollout.slots, "loaded", lambda *_: next(answers))

    world.end()

    assert TAKEN == world.split


def take_back(world: World) -> None:
    """What `trimtab rollback` writes for a run that has not ended."""
    told = {"outcome": ending.TAKEN_BACK, "run": "run-7", "version": "2"}
    with Store(world.settings.results_url) as store:
        store.record_event("flights", "rollout", "taken back by ada", world.settings.clock.now(), told)


def test_a_rollout_that_was_taken_back_does_not_begin(world: World) -> None:
    """A person took it back while it loaded: its first step gets no traffic."""
    take_back(world)

    with pytest.raises(Refused, match="taken back by ada"):
        steps.begin(SPEC, world.settings, 0, ROLLOUT)
    assert world.split.settled


def test_who_took_a_rollout_back_stands_with_its_version(world: World) -> None:
    """The person had the last word, whatever the step saw of it: a lost lease, or nothing."""
    take_back(world)

    assert "version 2: taken back by ada" == world.end()
    assert {"2": {"decision": "rollback", "reason": "taken back by ada"}} == world.rejected
