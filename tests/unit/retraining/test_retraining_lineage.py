from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from monitors.results.records import Event
from monitors.results.store import Store
from monitors.triage.records import Action, Cause, Triage
from retraining.lineage import Lineage, lineage
from retraining.records import Snapshot
from retraining.registry import Approval, Registry, Reign
from retraining.registry.history import reigns
from retraining.release import Release
from spec import NotFound

pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")

START = datetime(2024, 3, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
LINKS = ("alert", "triage", "run", "snapshot", "trials", "passes", "gates", "rollout")


def moved(hours: int, version: str, outcome: str) -> Event:
    """Return the event of a move of an alias."""
    payload = {"version": version, "outcome": outcome}
    return Event("shop", "registry", f"{version} {outcome}", START + hours * HOUR, payload)


def test_the_history_tells_who_was_champion_when() -> None:
    """A champion ends when the next begins, a challenger when it is promoted, rejected or superseded."""
    told = [
        moved(0, "1", "promoted"),
        moved(1, "2", "published"),
        moved(2, "3", "published"),
        moved(3, "3", "promoted"),
        moved(4, "4", "published"),
        moved(5, "4", "rejected"),
    ]

    found = reigns(told, {"champion": "3", "previous": "1"})

    assert (
        Reign("champion", "1", START, START + 3 * HOUR),
        Reign("challenger", "2", START + HOUR, START + 2 * HOUR),
        Reign("challenger", "3", START + 2 * HOUR, START + 3 * HOUR),
        Reign("champion", "3", START + 3 * HOUR),
        Reign("challenger", "4", START + 4 * HOUR, START + 5 * HOUR),
    ) == found


def test_a_move_that_was_told_twice_is_one() -> None:
    """A promotion that died after its event is told again by the retry."""
    told = [moved(0, "1", "promoted"), moved(1, "1", "promoted")]

    assert (Reign("champion", "1", START),) == reigns(told, {"champion": "1"})


def test_an_alias_that_somebody_else_moved_is_told_without_a_time() -> None:
    """MLflow keeps no history: what was moved in its own pages has no beginning."""
    found = reigns([moved(0, "1", "promoted")], {"champion": "7"})

    assert Reign("champion", "7", None) == found[-1]


def snapshot(run: str, taken_at: datetime) -> Snapshot:
    """Return the record of a run's rows."""
    return Snapshot(
        run=run,
        taken_at=taken_at,
        log_version=7,
        labels_version=3,
        history_sha256=None,
        window_start=START,
        holdout_start=START + 240 * HOUR,
        window_end=START + 480 * HOUR,
        train_rows=900,
        holdout_rows=300,
        gap_rows=10,
        history_rows=0,
        copies=0,
        base_prediction=(0.5,),
        sha256="ab" * 32,
    )


@pytest.fixture
def house(house: Any) -> tuple[Any, Release]:
    """A world, and a release to register under any source."""
    world, release = house
    return world, release("adopt-0", params={}, metrics={}, tags={})


def told(found: Lineage, name: str) -> str:
    """Return the sentences of a link."""
    return " ".join(next(link for link in found.links if link.name == name).told)


def lived(world: Any, release: Release, folder: Path) -> str:
    """Adopt a version, retrain another for an alert, roll it out and promote it; return its number."""
    now = world.settings.clock.now()
    taken = snapshot("r1", now)
    record = folder / "snapshot.json"
    record.write_text(taken.model_dump_json(), "utf-8")
    asked = {"alert": "PerformanceLost", "version": "1", "summary": "shop is worse", "run": "r1"}
    trigger = {"reason": "performance", "requested_at": now.isoformat(), **asked}
    tags = {f"trigger.{name}": value for name, value in trigger.items()}
    decided = Triage("shop", "1", Action.RETRAIN, Cause.PERFORMANCE, now, "ROC AUC fell", ("roc_auc 0.6",))
    with Store(world.settings.results_url) as store:
        store.record_event("shop", "triage", "retrain: ROC AUC fell", now, decided.payload())
        started = {"outcome": "started", "run": "r1"}
        store.record_event("shop", "retrain", "retrain of shop started", now, started)
        registry = Registry(world.settings)
        registry.adopt(world.spec, release)
        version = registry.publish(
            world.spec, replace(release, source="retrain/r1", artifacts=(record,), tags=tags)
        )
        for named, text in ((version, "rollout of version 2 started"), ("9", "another")):
            store.record_event("shop", "rollout", text, now, {"outcome": "started", "version": named})
        passed = {"outcome": "step", "verdict": {"challenger": version, "decision": "promote"}}
        store.record_event("shop", "rollout", "All gates pass.", now, passed)
        registry.promote("shop", version, Approval.by_hand("ada", "the board agreed"))
        later = replace(decided, why="Something else").payload()
        store.record_event("shop", "triage", "retrain: Something else", now + HOUR, later)
    return version


def test_a_version_is_traced_from_the_alert_to_the_rollout(
    house: tuple[Any, Release], tmp_path: Path
) -> None:
    """Every link of the chain is there, each with its own record; what a later run did is not in it."""
    world, release = house
    version = lived(world, release, tmp_path)

    found = lineage(world.spec, world.settings)

    assert (version, "champion", "retrain/r1") == (found.version, found.status, found.source)
    assert LINKS == tuple(link.name for link in found.links)
    assert "PerformanceLost about version 1: shop is worse" == told(found, "alert")
    assert "retrain: ROC AUC fell" in told(found, "triage")
    assert "evidence: roc_auc 0.6" in told(found, "triage")
    assert "r1 of the DAG retrain_shop, started at" in told(found, "run")
    assert "900 rows to train on and 300 to judge by" in told(found, "snapshot")
    assert "predictions at Delta version 7, labels at Delta version 3" in told(found, "snapshot")
    assert "Not known: the version's run in MLflow has no tuning.json." == told(found, "trials")
    assert "rollout of version 2 started" in told(found, "rollout")
    assert "All gates pass." in told(found, "rollout")
    assert "another" not in told(found, "rollout")
    assert "in place of version 1, approved by ada (the board agreed); its" in told(found, "rollout")
    assert "ada: the board agreed" == found.reigns[-1].approved
    plain = json.loads(json.dumps(found.to_json()))
    assert "ab" * 32 == plain["links"]["snapshot"]["facts"]["sha256"]
    assert ["challenger", "champion"] == [reign["alias"] for reign in plain["reigns"]]
    assert plain["reigns"][0]["end"] == world.settings.clock.now().isoformat()


def test_runs_that_overlap_or_repeat_are_not_mixed_up(house: tuple[Any, Release], tmp_path: Path) -> None:
    """Each version names the start of its own run; where that was cleared, the one that led to its rows."""
    world, release = house
    registry, now = Registry(world.settings), world.settings.clock.now()
    began = [
        ("r1", -9),
        ("r2", -8),
        ("r1", -4),
        ("r3", -2),
        ("r1", 1),
    ]  # r1 once more after its rows were read
    with Store(world.settings.results_url) as store:
        for run, hours in began:
            payload = {"outcome": "started", "run": run}
            store.record_event("shop", "retrain", f"{run} started", now + hours * HOUR, payload)
        store.record_event("shop", "retrain", "of an older version", now, {"outcome": "started"})
    versions = {}
    for run, hours in {"r1": 0, "r2": -1}.items():
        record = tmp_path / run / "snapshot.json"
        record.parent.mkdir()
        record.write_text(snapshot(run, now + hours * HOUR).model_dump_json(), "utf-8")
        tags = {"trigger.run": run, "trigger.episode": "e5"}
        made = replace(release, source=f"retrain/{run}", artifacts=(record,), tags=tags)
        versions[run] = registry.publish(world.spec, made)

    found = {run: lineage(world.spec, world.settings, version) for run, version in versions.items()}

    facts = {run: one.to_json()["links"]["run"]["facts"] for run, one in found.items()}
    assert (now - 4 * HOUR).isoformat() == facts["r1"]["started_at"]
    assert (now - 8 * HOUR).isoformat() == facts["r2"]["started_at"]
    assert "for the alert's episode e5" in told(found["r1"], "run")


def test_an_adopted_model_says_what_it_has_not(house: tuple[Any, Release]) -> None:
    """There was no alert, no snapshot and no search; each is said in a sentence of its own."""
    world, release = house
    Registry(world.settings).adopt(world.spec, release)

    found = lineage(world.spec, world.settings)

    assert all(told(found, name).startswith("None: the model was adopted, and") for name in LINKS[:-1])
    assert "Champion since" in told(found, "rollout")


def test_a_version_that_is_not_there_is_named_with_the_known_ones(house: tuple[Any, Release]) -> None:
    """Without a champion the way out is named; a wrong number lists the right ones."""
    world, release = house
    with pytest.raises(NotFound, match="shop has no champion yet; name a version, or adopt a model with"):
        lineage(world.spec, world.settings)
    Registry(world.settings).adopt(world.spec, release)

    with pytest.raises(NotFound, match=r"shop has no version '8' in the registry. Known: 1"):
        lineage(world.spec, world.settings, "8")
