"""Rollback by hand, on a real registry and a real router; the slots are a dictionary (e2e has servers)."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from monitors.results.store import Store
from retraining.registry import Approval, Registry
from rollout import slots
from rollout.routers.memory import MemoryRouter
from rollout.split import Split
from rollout.steps import at_step
from spec import NotFound, Refused, Unavailable
from trimtab import force, switch, undo
from trimtab.switch import Switched

pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")
ADA = Approval.by_hand("ada", "complaints")


@pytest.fixture
def world(traffic: Callable[..., Any]) -> Any:
    """A model whose version 2 has replaced version 1; green serves 2, and blue still holds 1."""
    made = traffic(versions=2, promoted=2, blue="1", green="2")
    made.router.apply("shop", Split(champion="green"))
    return made


def roll_back(world: Any) -> Switched:
    """Roll back for Ada."""
    return undo.roll_back(world.spec, world.settings, world.router, ADA)


def test_the_version_before_is_champion_again(world: Any) -> None:
    """Its slot gets all traffic without a load, the aliases change places, and the name is kept."""
    done = roll_back(world)
    undo.note(world.settings, done, ADA)

    assert (done.version, done.slot, world.loads) == ("1", "blue", [])
    assert world.router.read("shop") == Split(champion="blue")
    assert (world.alias("champion"), world.alias("previous")) == ("1", "2")
    assert Registry(world.settings).history("shop")[-1].approved == "ada: complaints"
    with Store(world.settings.results_url) as store:
        (event,) = store.events("shop", kinds=[undo.KIND])
    assert event.text == "version 1 is the champion again and answers from slot blue; version 2 is not"
    assert event.payload["approved"] == "ada: complaints"


@pytest.mark.parametrize(
    "by_hand",
    [undo.roll_back, lambda spec, known, router, by: force.promote(spec, known, router, "2", by)],
    ids=["rollback", "promote"],
)
def test_a_registry_that_hangs_is_given_up_in_seconds(
    world: Any, by_hand: Callable[..., Switched], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A port that takes calls and never answers: it is asked twice, for as long as a person's limit says."""
    for name in ("MLFLOW_HTTP_REQUEST_TIMEOUT", "MLFLOW_HTTP_REQUEST_MAX_RETRIES"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    switch.impatient()
    assert int(os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"]) <= 10
    monkeypatch.delenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        settings = replace(world.settings, mlflow_uri=url)
        with pytest.raises(Unavailable, match=f"MLflow at {url} did not answer"):
            by_hand(world.spec, settings, world.router, ADA)
        silent.settimeout(0)
        calls = 0
        with suppress(BlockingIOError):
            while True:
                silent.accept()[0].close()
                calls += 1

    assert calls == 2


def test_a_second_rollback_undoes_the_first(world: Any) -> None:
    """Version 2 comes back, as the help says."""
    roll_back(world)
    assert roll_back(world).version == "2"
    assert (world.alias("champion"), world.router.read("shop").champion) == ("2", "green")


def test_a_slot_that_no_longer_has_it_loads_it_first(world: Any) -> None:
    """The traffic moves only when the version is there."""
    world.held["blue"] = "7"
    roll_back(world)
    assert world.loads == [("blue", "1")]


def test_what_broke_between_traffic_and_alias_is_finished(world: Any) -> None:
    """With the traffic at the version before, a second call moves the alias alone."""
    world.router.apply("shop", Split(champion="blue"))

    done = roll_back(world)
    assert (done.slot, world.loads, world.alias("champion")) == ("blue", [], "1")
    assert world.router.read("shop") == Split(champion="blue")


def test_a_canary_is_ended_and_no_alias_moves(world: Any) -> None:
    """All traffic is the champion's again; the lease is gone, so the rollout cannot go on."""
    canary = at_step("green", 0.25, datetime.now(UTC) + timedelta(minutes=1))
    world.router.apply("shop", canary)

    done = roll_back(world)
    assert (done.version, done.slot) == ("2", "green")
    assert "it was: green 75 %, blue 25 %" in done.text
    assert world.router.read("shop").settled
    assert world.alias("champion") == "2"


def test_a_canary_is_ended_though_no_server_answers(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the version's name is missing then."""

    def silent(*_: object) -> str:
        msg = "no answer"
        raise Unavailable(msg)

    monkeypatch.setattr(slots, "loaded", silent)
    world.router.apply("shop", at_step("green", 0.25, datetime.now(UTC) + timedelta(minutes=1)))

    assert roll_back(world).version == "unknown"
    assert world.router.read("shop") == Split(champion="green")


def begin_rollout(world: Any) -> None:
    """Version 3 is asked about before its first step: its run waits, and no traffic is set."""
    told = {"outcome": "started", "version": "3", "run": "run-3"}
    with Store(world.settings.results_url) as store:
        store.record_event("shop", "rollout", "started", world.settings.clock.now(), told)


def taken_back(world: Any) -> list[tuple[Any, str]]:
    """The runs that were told that they are over, and by whom."""
    with Store(world.settings.results_url) as store:
        events = store.events("shop", kinds=["rollout"])
    return [(one.payload["run"], one.text) for one in events if one.payload["outcome"] == "taken_back"]


def test_a_rollout_without_traffic_is_ended_and_the_champion_stays(world: Any) -> None:
    """No traffic and no alias moves; its run is told; the next call goes to the version before."""
    begin_rollout(world)

    first = roll_back(world)
    assert ("2", "green", [("run-3", "taken back by ada: complaints")]) == (
        first.version,
        first.slot,
        taken_back(world),
    )
    assert "the rollout of version 3 had no traffic and is ended" in first.text
    assert (world.alias("champion"), world.router.read("shop")) == ("2", Split(champion="green"))

    assert roll_back(world).version == "1"
    assert (world.alias("champion"), len(taken_back(world))) == ("1", 1)


def test_a_second_call_after_a_canary_goes_to_the_version_before(world: Any) -> None:
    """Its run may not have ended yet: the first call has told it, so the second one is not taken for that."""
    begin_rollout(world)
    world.router.apply("shop", at_step("green", 0.25, datetime.now(UTC) + timedelta(minutes=1)))

    assert roll_back(world).version == "2"
    assert [("run-3", "taken back by ada: complaints")] == taken_back(world)
    assert roll_back(world).version == "1"


def test_a_rollout_that_is_promoted_this_moment_is_undone(world: Any) -> None:
    """Its version has all traffic, only the event of its end is missing: the version before comes back."""
    begin_rollout(world)
    world.held["green"] = "3"

    assert roll_back(world).version == "1"
    assert [] == taken_back(world)


def test_a_first_step_that_begins_meanwhile_is_ended(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The canary that came between the look and the word loses its traffic."""
    begin_rollout(world)
    canary = at_step("green", 0.25, datetime.now(UTC) + timedelta(minutes=1))

    def loaded(_spec: Any, _settings: Any, slot: str) -> str:
        world.router.apply("shop", canary)
        monkeypatch.setattr(slots, "loaded", lambda *_: "2")
        return world.held[slot]

    monkeypatch.setattr(slots, "loaded", loaded)

    assert "it was: green 75 %, blue 25 %" in roll_back(world).text
    assert world.router.read("shop") == Split(champion="green")
    assert 1 == len(taken_back(world))


def test_a_results_store_that_is_away_bars_no_way_back(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether a rollout waits is not known then; the version before comes back all the same."""
    begin_rollout(world)

    def away(*_: object, **__: object) -> None:
        msg = "no store"
        raise Unavailable(msg)

    monkeypatch.setattr(Store, "events", away)

    assert roll_back(world).version == "1"


def test_traffic_that_moves_meanwhile_is_left_alone(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rollout that begins while the version loads is not trampled on; the registry stays as it was."""
    world.held["blue"] = "7"
    canary = at_step("green", 0.05, datetime.now(UTC) + timedelta(minutes=1))
    monkeypatch.setattr(slots, "load", lambda *_: world.router.apply("shop", canary))

    with pytest.raises(Refused, match=r"moved meanwhile .*; look, and try again"):
        roll_back(world)
    assert world.router.read("shop") == canary
    assert world.alias("champion") == "2"


def test_a_first_champion_has_nothing_before_it(registry_world: Callable[..., Any]) -> None:
    """The error says so and names the command that makes it otherwise."""
    given = registry_world()
    with pytest.raises(NotFound, match=r"shop has no version before its champion"):
        undo.roll_back(given.spec, given.settings, MemoryRouter(["shop"]), ADA)
