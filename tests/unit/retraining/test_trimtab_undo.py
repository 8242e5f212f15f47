"""Rollback by hand, on a real registry and a real router; the slots are a dictionary (e2e has servers)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from monitors.results import Store
from retraining.registry import Approval, Registry
from rollout import slots
from rollout.routers.memory import MemoryRouter
from rollout.split import Split
from rollout.steps import at_step
from spec import NotFound, Refused, Unavailable
from trimtab import undo
from trimtab.switch import Switched

pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")
ADA = Approval.by_hand("ada", "complaints")


class World:
    """A model whose version 2 has replaced version 1; green serves 2, and blue still holds 1."""

    def __init__(self, spec: Any, settings: Any) -> None:
        self.spec, self.settings = spec, settings
        self.router = MemoryRouter(["shop"])
        self.router.apply("shop", Split(champion="green"))
        self.held = {"blue": "1", "green": "2"}
        self.loads: list[tuple[str, str]] = []

    def roll_back(self) -> Switched:
        """Roll back for Ada."""
        return undo.roll_back(self.spec, self.settings, self.router, ADA)

    def alias(self, name: Any) -> str | None:
        """The version that an alias names."""
        return Registry(self.settings).version("shop", name)


@pytest.fixture
def world(house: Any, monkeypatch: pytest.MonkeyPatch) -> World:
    """Two versions in a registry of their own, the second one champion."""
    given, release = house
    registry = Registry(given.settings)
    for source in ("retrain/a", "retrain/b"):
        registry.promote("shop", registry.publish(given.spec, release(source)))
    found = World(given.spec, given.settings)

    def load(_spec: Any, _settings: Any, slot: str, version: str) -> None:
        found.loads.append((slot, version))
        found.held[slot] = version

    monkeypatch.setattr(slots, "loaded", lambda _spec, _settings, slot: found.held[slot])
    monkeypatch.setattr(slots, "load", load)
    return found


def test_the_version_before_is_champion_again(world: World) -> None:
    """Its slot gets all traffic without a load, the aliases change places, and the name is kept."""
    done = world.roll_back()
    undo.note(world.settings, done, ADA)

    assert (done.version, done.slot, world.loads) == ("1", "blue", [])
    assert world.router.read("shop") == Split(champion="blue")
    assert (world.alias("champion"), world.alias("previous")) == ("1", "2")
    assert Registry(world.settings).history("shop")[-1].approved == "ada: complaints"
    with Store(world.settings.results_url) as store:
        (event,) = store.events("shop", kinds=[undo.KIND])
    assert event.text == "version 1 is the champion again and answers from slot blue; version 2 is not"
    assert event.payload["approved"] == "ada: complaints"


def test_a_second_rollback_undoes_the_first(world: World) -> None:
    """Version 2 comes back, as the help says."""
    world.roll_back()
    assert world.roll_back().version == "2"
    assert (world.alias("champion"), world.router.read("shop").champion) == ("2", "green")


def test_a_slot_that_no_longer_has_it_loads_it_first(world: World) -> None:
    """The traffic moves only when the version is there."""
    world.held["blue"] = "7"
    world.roll_back()
    assert world.loads == [("blue", "1")]


def test_what_broke_between_traffic_and_alias_is_finished(world: World) -> None:
    """With the traffic at the version before, a second call moves the alias alone."""
    world.router.apply("shop", Split(champion="blue"))

    done = world.roll_back()
    assert (done.slot, world.loads, world.alias("champion")) == ("blue", [], "1")
    assert world.router.read("shop") == Split(champion="blue")


def test_a_canary_is_ended_and_no_alias_moves(world: World) -> None:
    """All traffic is the champion's again; the lease is gone, so the rollout cannot go on."""
    canary = at_step("green", 0.25, datetime.now(UTC) + timedelta(minutes=1))
    world.router.apply("shop", canary)

    done = world.roll_back()
    assert (done.version, done.slot) == ("2", "green")
    assert "it was: green 75 %, blue 25 %" in done.text
    assert world.router.read("shop").settled
    assert world.alias("champion") == "2"


def test_a_canary_is_ended_though_no_server_answers(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the version's name is missing then."""

    def silent(*_: object) -> str:
        msg = "no answer"
        raise Unavailable(msg)

    monkeypatch.setattr(slots, "loaded", silent)
    world.router.apply("shop", at_step("green", 0.25, datetime.now(UTC) + timedelta(minutes=1)))

    assert world.roll_back().version == "unknown"
    assert world.router.read("shop") == Split(champion="green")


def test_traffic_that_moves_meanwhile_is_left_alone(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rollout that begins while the version loads is not trampled on; the registry stays as it was."""
    world.held["blue"] = "7"
    canary = at_step("green", 0.05, datetime.now(UTC) + timedelta(minutes=1))
    monkeypatch.setattr(slots, "load", lambda *_: world.router.apply("shop", canary))

    with pytest.raises(Refused, match=r"moved meanwhile .*; look, and try again"):
        world.roll_back()
    assert world.router.read("shop") == canary
    assert world.alias("champion") == "2"


def test_a_first_champion_has_nothing_before_it(registry_world: Callable[..., Any]) -> None:
    """The error says so and names the command that makes it otherwise."""
    given = registry_world()
    with pytest.raises(NotFound, match=r"shop has no version before its champion"):
        undo.roll_back(given.spec, given.settings, MemoryRouter(["shop"]), ADA)
