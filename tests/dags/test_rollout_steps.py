from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import rollout.slots
from dags import ending, steps
from retraining.records import Rollout
from retraining.registry import Approval
from rollout.routers.memory import MemoryRouter
from rollout.split import Split
from rollout.verdict import Verdict
from spec import ModelSpec, NotFound, Refused, Settings, Unavailable, load

SPEC: ModelSpec = load(Path("models/flights.yaml"))
ROLLOUT: dict[str, Any] = {
    "challenger": "2",
    "champion": "1",
    "slot": "green",
    "began": "2013-04-01T00:00:00+00:00",
}


def verdict(step: str | float, decision: str, reason: str, *gates: dict[str, Any]) -> dict[str, Any]:
    """Return the judge's verdict of a step, as a task hands it on."""
    given = {"step": step, "decision": decision, "reason": reason, "gates": gates}
    told = {"model": "flights", "challenger": "2", "champion": "1", "at": "2013-04-02T00:00:00Z"} | given
    return Verdict.model_validate(told).model_dump(mode="json")


ERRORS = {
    "gate": "errors",
    "outcome": "pass",
    "value": 0.001,
    "low": 0.0,
    "high": 0.004,
    "limit": 0.01,
    "n": 900,
}
QUALITY = {"gate": "quality", "outcome": "pass", "limit": 0.02}
VERDICT = verdict(0.05, "rollback", "Harm is shown: errors.", ERRORS | {"outcome": "rollback"})
WATCHED = {"gate": "drift", "outcome": "hold", "limit": 0.5, "awaited": False}
ENDED = {"decision": "rollback", "reason": VERDICT["reason"], "summary": "", "verdict": VERDICT}
VERDICTS = {
    "shadow": verdict("shadow", "promote", "All gates pass.", ERRORS, WATCHED),
    "step_5": None,
    "step_100": verdict(1.0, "promote", "All gates pass.", ERRORS, QUALITY),
}
RETURNED = Split(champion="blue")


class Aliases:
    """The registry's aliases in memory: what `retraining.registry.Registry` does, without MLflow."""

    down = False

    def __init__(self, settings: Settings) -> None:
        del settings

    names: dict[str, str]
    approved: dict[str, str]
    rejected: dict[str, dict[str, Any]]
    tags: dict[str, dict[str, str]]
    kept: dict[str, Rollout]

    def version(self, model: str, alias: str) -> str | None:
        """As the registry's."""
        del model
        if self.down:
            msg = "MLflow did not answer"
            raise Unavailable(msg)
        return self.names.get(alias)

    def promote(
        self, model: str, version: str, approval: Approval, *, rollout: Rollout, force: bool = False
    ) -> None:
        """As the registry's."""
        del model, force
        self.kept[version] = rollout
        self.approved[version] = str(approval)
        if self.down:
            msg = "MLflow did not answer"
            raise Unavailable(msg)
        self.names["champion"] = version

    def reject(self, model: str, version: str, verdict: dict[str, Any], *, rollout: Rollout | None) -> None:
        """As the registry's."""
        del model
        if rollout is not None:
            self.kept[version] = rollout
        self.rejected[version] = verdict

    def tag(self, model: str, version: str, key: str, value: str) -> None:
        """As the registry's."""
        del model
        self.tags.setdefault(version, {})[key] = value


@pytest.fixture
def aliases(monkeypatch: pytest.MonkeyPatch) -> type[Aliases]:
    """Version 1 is champion, 2 the challenger."""
    monkeypatch.setattr(Aliases, "names", {"champion": "1", "challenger": "2"}, raising=False)
    monkeypatch.setattr(Aliases, "approved", {}, raising=False)
    monkeypatch.setattr(Aliases, "rejected", {}, raising=False)
    monkeypatch.setattr(Aliases, "kept", {}, raising=False)
    monkeypatch.setattr(Aliases, "tags", {}, raising=False)
    monkeypatch.setattr(Aliases, "down", False)
    monkeypatch.setattr("retraining.registry.Registry", Aliases)
    return Aliases


@pytest.fixture
def router(monkeypatch: pytest.MonkeyPatch) -> MemoryRouter:
    """Traffic of the flights in memory, and slots that load whatever they are told to."""
    memory = MemoryRouter(["flights"])
    monkeypatch.setattr(steps, "_router", lambda _: memory)
    monkeypatch.setattr(rollout.slots, "load", lambda *_: None)
    monkeypatch.setattr(rollout.slots, "loaded", lambda *_: "2")
    return memory


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A home."""
    return Settings.from_env({"TRIMTAB_HOME": str(tmp_path)})


def held(weights: dict[str, int]) -> Split:
    """Return a canary with a lease."""
    return Split(champion="blue", weights=weights, lease_until=datetime.now(UTC) + timedelta(minutes=1))


def test_the_challenger_loads_into_the_idle_slot(
    aliases: type[Aliases], router: MemoryRouter, settings: Settings
) -> None:
    """Without a named version the alias challenger is rolled out, beside the champion's slot."""
    del aliases, router

    found = steps.load_challenger(SPEC, settings, None)

    assert ("2", "1", "green") == (found["challenger"], found["champion"], found["slot"])


def test_a_slot_with_traffic_is_not_loaded_over(
    aliases: type[Aliases], router: MemoryRouter, settings: Settings
) -> None:
    """What takes live traffic is never swapped for something unproven."""
    del aliases
    router.apply("flights", held({"blue": 75, "green": 25}))

    with pytest.raises(Refused, match="is not idle"):
        steps.load_challenger(SPEC, settings, "3")


def test_the_champion_and_nothing_cannot_be_rolled_out(
    aliases: type[Aliases], router: MemoryRouter, settings: Settings
) -> None:
    """A version that is champion already, and a model without a challenger, are refused by name."""
    del router
    with pytest.raises(Refused, match="champion already"):
        steps.load_challenger(SPEC, settings, "1")

    del aliases.names["challenger"]
    with pytest.raises(NotFound, match="no challenger"):
        steps.load_challenger(SPEC, settings, None)


def test_a_step_may_begin_twice(aliases: type[Aliases], router: MemoryRouter, settings: Settings) -> None:
    """A task that is tried again finds its traffic and goes on."""
    del aliases
    first = steps.begin(SPEC, settings, 0, ROLLOUT)
    again = steps.begin(SPEC, settings, 0, ROLLOUT)

    assert set(first) == set(again) == {"wall", "clock"}
    assert "green" == router.read("flights").mirror


def test_a_step_does_not_begin_without_the_lease(
    aliases: type[Aliases], router: MemoryRouter, settings: Settings
) -> None:
    """After the guard has returned the traffic, no later step sends it out again."""
    del aliases
    router.apply("flights", RETURNED)

    with pytest.raises(Refused, match="lease"):
        steps.begin(SPEC, settings, 2, ROLLOUT)
    assert RETURNED == router.read("flights")


def test_a_step_does_not_begin_on_another_version(
    aliases: type[Aliases], router: MemoryRouter, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody loaded version 3 into the slot while a person was asked: no traffic goes there."""
    del aliases
    monkeypatch.setattr(rollout.slots, "loaded", lambda *_: "3")

    with pytest.raises(Refused, match="slot green of flights has version 3 by now"):
        steps.begin(SPEC, settings, 0, ROLLOUT)
    assert router.read("flights").settled


def test_a_rollout_is_announced_before_it_loads(
    aliases: type[Aliases], router: MemoryRouter, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Loading may take minutes, in which a person may want to take it back."""
    del aliases, router
    order: list[str] = []
    monkeypatch.setattr(rollout.slots, "load", lambda *_: order.append("load"))

    steps.load_challenger(SPEC, settings, None, lambda found: order.append(f"told {found['challenger']}"))

    assert ["told 2", "load"] == order


def test_a_load_waits_for_who_moves_the_traffic(
    aliases: type[Aliases], router: MemoryRouter, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a person gives a slot all traffic nothing is loaded; then the other slot is the idle one."""
    del aliases
    loads: list[str] = []
    monkeypatch.setattr(rollout.slots, "load", lambda *given: loads.append(given[2]))
    with ThreadPoolExecutor() as threads:
        with rollout.slots.held(SPEC, settings):
            loading = threads.submit(steps.load_challenger, SPEC, settings, None)
            with pytest.raises(TimeoutError):
                loading.result(timeout=0.2)
            router.apply("flights", Split(champion="green"))
        found = loading.result(timeout=10)

    assert (["blue"], "blue") == (loads, found["slot"])


def test_the_alias_moves_after_the_traffic(
    aliases: type[Aliases], router: MemoryRouter, settings: Settings
) -> None:
    """A promotion settles the traffic and names the challenger champion, by what passed; twice is once."""
    router.apply("flights", held({"blue": 0, "green": 100}))

    steps.promote_challenger(SPEC, settings, ROLLOUT, VERDICTS)
    steps.promote_challenger(SPEC, settings, ROLLOUT, VERDICTS)

    assert Split(champion="green") == router.read("flights")
    assert "2" == aliases.names["champion"]
    assert {"2": "automatic: gates errors, quality"} == aliases.approved


def test_the_registry_gets_the_numbers_of_every_step(
    aliases: type[Aliases], router: MemoryRouter, settings: Settings
) -> None:
    """Value, limit, interval and sample size of each gate are kept; a step passed by hand is told as that."""
    router.apply("flights", held({"blue": 0, "green": 100}))

    steps.promote_challenger(SPEC, settings, ROLLOUT, VERDICTS)

    kept = aliases.kept["2"].steps
    assert ["shadow", "step_5", "100%"] == [one.step for one in kept]
    assert "flights 2 against 1, step shadow: PROMOTE. All gates pass." == kept[0].told[0]
    assert "errors       pass     0.1 % ≤ 1 % [0 %, 0.4 %], 900 requests" == kept[0].told[1]
    assert ("step_5: no verdict; a person marked it as passed",) == kept[1].told
    assert [*VERDICTS.values()] == [one.verdict for one in kept]


def test_a_roll_back_keeps_the_verdict(
    aliases: type[Aliases], router: MemoryRouter, settings: Settings
) -> None:
    """The traffic is the champion's, the version rejected with why."""
    router.apply("flights", held({"blue": 50, "green": 50}))

    told = steps.reject_challenger(SPEC, settings, ROLLOUT, ENDED)

    assert RETURNED == router.read("flights")
    assert {"2": VERDICT} == aliases.rejected
    assert ["5%"] == [one.step for one in aliases.kept["2"].steps]
    assert "version 2: Harm is shown: errors." == told


def test_a_promotion_that_broke_gives_the_traffic_back_without_the_registry(
    aliases: type[Aliases], router: MemoryRouter, settings: Settings
) -> None:
    """With MLflow down after the traffic was settled, the roll-back still returns it, and then asks again."""
    router.apply("flights", held({"blue": 0, "green": 100}))
    aliases.down = True
    with pytest.raises(Unavailable):
        steps.promote_challenger(SPEC, settings, ROLLOUT, VERDICTS)

    with pytest.raises(Unavailable):
        steps.reject_challenger(SPEC, settings, ROLLOUT, None)

    assert RETURNED == router.read("flights")


def test_a_champion_is_not_rolled_back(
    aliases: type[Aliases], router: MemoryRouter, settings: Settings
) -> None:
    """Clearing the roll-back of an old run after its promotion changes nothing."""
    router.apply("flights", Split(champion="green"))
    aliases.names["champion"] = "2"

    told = steps.reject_challenger(SPEC, settings, ROLLOUT, ENDED)

    assert Split(champion="green") == router.read("flights")
    assert {} == aliases.rejected
    assert "stays it" in told


def test_a_version_that_was_never_loaded_is_not_judged(
    aliases: type[Aliases], router: MemoryRouter, settings: Settings
) -> None:
    """When loading failed the version keeps its alias, so that it can be rolled out again."""
    told = steps.reject_challenger(SPEC, settings, None, None)

    assert {} == aliases.rejected
    assert "nothing was rolled out" in told
    assert RETURNED == router.read("flights")


@pytest.mark.parametrize(
    "ended", [ending.broken("the lease was lost"), None], ids=["refused", "no ending at all"]
)
def test_a_rollout_that_broke_is_told_without_a_verdict(
    aliases: type[Aliases], router: MemoryRouter, settings: Settings, ended: dict[str, Any] | None
) -> None:
    """A step that ended without the judge returns the traffic, and the reason stands for the verdict."""
    router.apply("flights", held({"blue": 50, "green": 50}))

    told = steps.reject_challenger(SPEC, settings, ROLLOUT, ended)

    reason = "the lease was lost" if ended else "the rollout broke; see the log of its failed task"
    assert f"version 2: {reason}" == told
    assert {"2": {"decision": "rollback", "reason": reason}} == aliases.rejected
    assert RETURNED == router.read("flights")


def test_a_version_that_makes_room_is_not_rejected(
    aliases: type[Aliases], router: MemoryRouter, settings: Settings
) -> None:
    """A newer rollout takes the slot; the older version's status says so, and it is not rejected."""
    router.apply("flights", held({"blue": 75, "green": 25}))

    told = steps.reject_challenger(SPEC, settings, ROLLOUT, ending.superseded())

    assert RETURNED == router.read("flights")
    assert {} == aliases.rejected
    assert {"2": {"status": "superseded"}} == aliases.tags
    assert "version 2: a newer rollout of the model waits" == told


def test_whoever_was_asked_stands_in_the_approval(
    aliases: type[Aliases], router: MemoryRouter, settings: Settings
) -> None:
    """The registry names the people who said yes before the gates."""
    router.apply("flights", held({"blue": 0, "green": 100}))

    steps.promote_challenger(SPEC, settings, ROLLOUT, VERDICTS, ["ada before 50%"])

    assert {"2": "ada before 50%, and gates errors, quality"} == aliases.approved
