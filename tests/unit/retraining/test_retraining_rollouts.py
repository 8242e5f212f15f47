from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from monitors.results.store import Store
from retraining.records import Rollout, StepVerdict
from retraining.registry import Approval, Registry
from retraining.release import Release
from trimtab.cli import cli

pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")

AT = datetime(2024, 3, 2, 10, tzinfo=UTC)
LINE = "errors       pass     0.1 % ≤ 1 % [0 %, 0.4 %], 900 requests"
House = tuple[Any, Callable[..., Release]]


def verdict(version: str, step: str, decision: str = "promote", *lines: str) -> StepVerdict:
    """Return what the judge said of a step, with numbers."""
    data = {"challenger": version, "step": step, "decision": decision, "at": AT.isoformat(), "gates": [0.001]}
    headline = f"shop {version} against 1, step {step}: {decision.upper()}."
    return StepVerdict(step=step, told=(headline, *(lines or (LINE,))), verdict=data)


def client(world: Any) -> Any:
    """Return MLflow's own client of a world's registry."""
    from mlflow import MlflowClient

    return MlflowClient(world.settings.mlflow_uri, world.settings.mlflow_uri)


def challenger(house: House) -> tuple[Any, Registry, str]:
    """Return a world with a champion and a challenger, its registry, and the challenger's version."""
    world, release = house
    registry = Registry(world.settings)
    registry.adopt(world.spec, release("adopt-0"), Approval.by_hand("ada"))
    return world, registry, registry.publish(world.spec, release("retrain/a"))


def test_a_promoted_version_has_the_verdict_of_each_step(house: House, tmp_path: Path) -> None:
    """The file has all that the judge said, a tag a step its lines; what an earlier rollout said is gone."""
    world, registry, version = challenger(house)
    first = Rollout(steps=(verdict(version, "shadow"), verdict(version, "5%", "rollback")))
    second = Rollout(steps=(verdict(version, "shadow"), verdict(version, "50%")))
    registry.reject("shop", version, "harm", rollout=first)

    registry.promote("shop", version, rollout=second, force=True)

    found = registry.versions("shop")[-1]
    told = {name: text for name, text in found.tags.items() if name.startswith("trimtab.rollout.")}
    assert {"trimtab.rollout.shadow", "trimtab.rollout.50"} == told.keys()
    assert f"shop 2 against 1, step 50%: PROMOTE.\n{LINE}" == told["trimtab.rollout.50"]
    file = client(world).download_artifacts(found.run_id, "rollout.json", str(tmp_path))
    assert second == Rollout.model_validate_json(Path(file).read_text("utf-8"))


def test_a_long_verdict_is_cut_in_its_tag_only(house: House, tmp_path: Path) -> None:
    """MLflow's servers limit a tag's length: the tag ends with a mark, and the file has the whole."""
    world, registry, version = challenger(house)
    long = Rollout(steps=(verdict(version, "shadow", "promote", *(f"{LINE} {n}" for n in range(200))),))

    registry.promote("shop", version, rollout=long)

    found = registry.versions("shop")[-1]
    assert (4000, "…") == (
        len(found.tags["trimtab.rollout.shadow"]),
        found.tags["trimtab.rollout.shadow"][-1],
    )
    file = client(world).download_artifacts(found.run_id, "rollout.json", str(tmp_path))
    assert long == Rollout.model_validate_json(Path(file).read_text("utf-8"))


def shown(world: Any, version: str, *options: str) -> str:
    """Return what `trimtab lineage shop VERSION` prints."""
    places = ["--home", str(world.settings.home), "--models", str(world.settings.models)]
    runner = CliRunner(env={"TRIMTAB_MLFLOW_URI": world.settings.mlflow_uri})
    ran = runner.invoke(cli, ["lineage", "shop", version, *places, *options])
    assert 0 == ran.exit_code, ran.output
    return ran.stdout


def test_the_lineage_tells_each_gate_of_each_step(house: House) -> None:
    """Why a version answers: every step's verdict once, gate by gate, with and without the events of it."""
    world, registry, version = challenger(house)
    steps = (verdict(version, "shadow"), verdict(version, "5%"))
    with Store(world.settings.results_url) as store:
        payload = {"outcome": "step", "verdict": steps[0].verdict}
        store.record_event("shop", "rollout", "\n".join(steps[0].told), AT, payload)
    registry.promote("shop", version, Approval.by_gates(["errors"]), rollout=Rollout(steps=steps))

    told = shown(world, version).split("\nrollout\n")[1].splitlines()

    assert [
        "  2024-03-02 10:00 shop 2 against 1, step shadow: PROMOTE.",
        f"    {LINE}",
        "  2024-03-02 10:00 shop 2 against 1, step 5%: PROMOTE.",
        f"    {LINE}",
    ] == told[:4]
    assert "approved by automatic: gates errors" in told[4]
    facts = json.loads(shown(world, version, "--json"))["links"]["rollout"]["facts"]
    assert [0.001] == facts["verdicts"][1]["verdict"]["gates"]


def test_the_lineage_of_a_rejected_version_tells_what_spoke_against_it(house: House) -> None:
    """The roll-back's line is followed by the gates, and no JSON is shown to people."""
    world, registry, version = challenger(house)
    last = verdict(version, "5%", "rollback", LINE.replace("pass", "rollback"))
    registry.reject("shop", version, last.verdict or {}, rollout=Rollout(steps=(last,)))
    with Store(world.settings.results_url) as store:
        payload = {"outcome": "rolled_back", "version": version, "verdict": last.verdict}
        store.record_event("shop", "rollout", f"version {version}: harm", AT, payload)

    told = shown(world, version).split("\nrollout\n")[1].splitlines()

    assert [
        "  2024-03-02 10:00 version 2: harm",
        "    shop 2 against 1, step 5%: ROLLBACK.",
        f"    {LINE.replace('pass', 'rollback')}",
    ] == told[:3]
    assert "{" not in "".join(told)
