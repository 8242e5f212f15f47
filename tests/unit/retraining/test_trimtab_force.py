"""Promotion past the gates, on a real registry and a real router; the slots are a dictionary."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from monitors.results.store import Store
from retraining.registry import Approval, Registry
from rollout import slots
from rollout.split import Split
from rollout.steps import at_step
from spec import NotFound, Refused
from trimtab import force
from trimtab.commands.promote import promote as command
from trimtab.switch import Switched

pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")
ADA = Approval.by_hand("ada", "the champion answers nonsense")


@pytest.fixture
def world(traffic: Callable[..., Any]) -> Any:
    """A model whose champion is version 1 in blue; 2 and 3 are registered, 3 the challenger."""
    return traffic(versions=3, promoted=1, blue="1", green=None)


def promote(world: Any, version: str | None = None) -> Switched:
    """Promote for Ada."""
    return force.promote(world.spec, world.settings, world.router, version, ADA)


def canary() -> Split:
    """A canary in green at a quarter of the traffic."""
    return at_step("blue", 0.25, datetime.now(UTC) + timedelta(minutes=1))


def test_the_challenger_is_champion_at_once(world: Any) -> None:
    """It is loaded, gets all traffic, then the alias; the registry and the lineage know who and why."""
    done = promote(world)
    force.note(world.settings, done, ADA)

    assert (done.version, done.slot, world.loads) == ("3", "green", [("green", "3")])
    assert world.router.read("shop") == Split(champion="green")
    assert (world.alias("champion"), world.alias("previous"), world.alias("challenger")) == ("3", "1", None)
    assert Registry(world.settings).history("shop")[-1].approved == str(ADA)
    with Store(world.settings.results_url) as store:
        (event,) = store.events("shop", kinds=["rollout"])
    assert event.payload["outcome"] == "forced"
    assert event.payload["version"] == "3"
    assert str(ADA) in event.text


def test_a_canary_of_the_version_is_promoted_where_it_stands(world: Any) -> None:
    """What has earned evidence is not loaded anew; a lease that was renewed meanwhile does not matter."""
    world.held["green"] = "3"
    world.router.apply("shop", canary())

    assert promote(world, "3").slot == "green"
    assert world.loads == []
    assert world.router.read("shop") == Split(champion="green")


def test_a_canary_of_another_version_loses_its_traffic_first(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No request meets the slot while the version is swapped in it."""
    world.held["green"] = "3"
    world.router.apply("shop", canary())
    seen: list[Split] = []
    load = slots.load

    def watched(*given: Any) -> None:
        seen.append(world.router.read("shop"))
        load(*given)

    monkeypatch.setattr(slots, "load", watched)
    promote(world, "2")

    assert seen == [Split(champion="blue")]
    assert (world.alias("champion"), world.router.read("shop")) == ("2", Split(champion="green"))


def test_a_late_roll_back_of_the_canary_does_not_win(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run that lost its lease gave the traffic back before the alias moved: it is taken again."""
    world.held["green"] = "3"
    world.router.apply("shop", canary())
    move = Registry.promote

    def slow(self: Registry, *given: Any, **more: Any) -> None:
        world.router.apply("shop", Split(champion="blue"))
        move(self, *given, **more)

    monkeypatch.setattr(Registry, "promote", slow)
    done = promote(world, "3")

    assert done.slot == world.router.read("shop").champion == "green"
    assert world.alias("champion") == "3"


def test_what_broke_between_traffic_and_alias_is_finished(world: Any) -> None:
    """A second call moves the alias alone."""
    world.held["green"] = "3"
    world.router.apply("shop", Split(champion="green"))

    assert promote(world, "3").slot == "green"
    assert (world.loads, world.alias("champion")) == ([], "3")


def test_traffic_that_moves_meanwhile_is_left_alone(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two people at once do not trample on each other; the registry stays as it was."""
    monkeypatch.setattr(slots, "load", lambda *_: world.router.apply("shop", canary()))

    with pytest.raises(Refused, match=r"moved meanwhile .*; look, and try again"):
        promote(world, "2")
    assert world.alias("champion") == "1"


def test_only_a_version_that_is_there_and_not_champion(world: Any) -> None:
    """Unknown names list the known ones; the champion is refused."""
    with pytest.raises(NotFound, match=r"no version '9'.*Known: 1, 2, 3"):
        promote(world, "9")
    with pytest.raises(Refused, match="champion already"):
        promote(world, "1")
    Registry(world.settings).reject("shop", "3", "no")
    with pytest.raises(NotFound, match="no challenger; name a version"):
        promote(world)


@pytest.mark.parametrize("missing", ["--force", "--reason"])
def test_the_command_wants_both_the_word_and_the_reason(missing: str, tmp_path: Path) -> None:
    """Nothing is promoted past its gates by a slip."""
    given = {"--force": ["--force"], "--reason": ["--reason", "nonsense"]}
    arguments = [part for name, parts in given.items() if name != missing for part in parts]

    done = CliRunner().invoke(command, ["shop", "2", "--home", str(tmp_path), *arguments])

    assert done.exit_code == 2
    assert f"Missing option '{missing}'" in done.output
