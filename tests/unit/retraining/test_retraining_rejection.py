from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner, Result

from alerts import history
from monitors.results.store import Store
from retraining import retrain
from retraining.account import CARD
from retraining.lineage import Lineage, lineage
from retraining.registry import Registry
from retraining.rejection import accounted, refused, rejected
from spec import DataError, NotFound, Refused, Unavailable
from trimtab.cli import cli

pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")

TOO_FEW = "must hold 500 labelled rows before the newest 10d"
LINKS = ("alert", "triage", "run", "snapshot", "trials", "passes", "gates", "rollout")


@pytest.fixture(scope="module")
def kept() -> dict[str, Any]:
    """What a test leaves for the next: two retrains take seconds."""
    return {}


@pytest.fixture
def world(
    kept: dict[str, Any],
    registry_world: Callable[..., Any],
    orders: Callable[..., pd.DataFrame],
    put_history: Callable[..., None],
) -> Any:
    """A shop with a good champion, and a retrain `bad` whose training labels were noise."""
    if "world" not in kept:
        made = registry_world()
        put_history(made, orders())
        retrain(made.spec, made.settings, "good")
        Registry(made.settings).promote("shop", "1")
        noise = orders().assign(returned=orders(seed=7)["returned"])
        newest = orders()["ordered_at"] >= orders()["ordered_at"].max() - timedelta(days=10)
        put_history(made, noise.assign(returned=noise["returned"].where(~newest, orders()["returned"])))
        assert not retrain(made.spec, made.settings, "bad").validation.accepted
        kept["world"] = made
    return kept["world"]


def files_of(world: Any, run: str, folder: Path) -> dict[str, str]:
    """Return the text files of a rejected retrain's MLflow run."""
    from mlflow import MlflowClient

    client = MlflowClient(world.settings.mlflow_uri, world.settings.mlflow_uri)
    (found,) = (one for one in Registry(world.settings).rejections("shop") if one.source == f"retrain/{run}")
    names = [item.path for item in client.list_artifacts(found.run_id) if not item.path.endswith(".png")]
    return {
        name: Path(client.download_artifacts(found.run_id, name, str(folder))).read_text("utf-8")
        for name in names
    }


def told(found: Lineage, name: str) -> str:
    """Return the sentences of a link."""
    return " ".join(next(link for link in found.links if link.name == name).told)


def test_a_rejected_candidate_leaves_its_card(world: Any, tmp_path: Path) -> None:
    """The reasons stand first, then all that a registered version's card tells; the records lie beside."""
    files = files_of(world, "bad", tmp_path)

    heads = re.findall(r"^## (.*)$", files[CARD], re.MULTILINE)
    assert "Why it was rejected" == heads[0]
    assert {"Data", "How good it is", "What it looks at", "What it costs"} <= set(heads)
    assert "not shown to be non-inferior" in files[CARD]
    assert files[CARD].rstrip().endswith("Nobody.")
    assert "<h2" in files["card.html"]
    assert {"snapshot.json", "tuning.json", "search.json", "choice.json", "trials.csv"} <= files.keys()
    assert not json.loads(files["validation.json"])["accepted"]


def test_the_command_tells_a_rejected_run(world: Any) -> None:
    """`lineage --run` ends at the gate that refused; of a run that made a version it is the version's."""

    def shown(*argv: str) -> Result:
        places = ["--home", str(world.settings.home), "--models", str(world.settings.models)]
        return CliRunner(env={"TRIMTAB_MLFLOW_URI": world.settings.mlflow_uri}).invoke(
            cli, ["lineage", "shop", *argv, *places]
        )

    bad, good, both = shown("--run", "bad"), shown("--run", "good"), shown("1", "--run", "bad")

    assert bad.stdout.startswith("shop without a version: rejected; made by retrain/bad")
    assert "recent failed: " in bad.stdout
    assert "it has no version." in bad.stdout
    assert good.stdout.startswith("shop version 1: champion; made by retrain/good")
    assert (2, True) == (both.exit_code, "VERSION and --run exclude each other" in both.output)


def test_the_lineage_of_a_rejected_candidate_ends_at_its_gate(world: Any) -> None:
    """Every link is told up to the gates, which say who refused it; there is no version and no rollout."""
    found = lineage(world.spec, world.settings, run="bad")

    assert (None, "rejected", "retrain/bad") == (found.version, found.status, found.source)
    assert LINKS == tuple(link.name for link in found.links)
    assert "rows to train on" in told(found, "snapshot")
    assert "lightgbm" in told(found, "trials")
    assert "recent failed: " in told(found, "gates")
    assert re.search(r"rejected at \S+ by recent.*, it has no version", told(found, "rollout"))
    assert () == found.reigns
    assert json.loads(json.dumps(found.to_json()))["version"] is None


def test_a_run_with_a_version_is_told_as_the_version(world: Any) -> None:
    """`run` names a retrain either way; a name that is none lists those that are."""
    assert "1" == lineage(world.spec, world.settings, run="good").version
    with pytest.raises(NotFound, match=r"no retrain 'god' .* Did you mean 'good'\? Known: bad"):
        lineage(world.spec, world.settings, run="god")


def test_a_rejection_again_takes_the_place_of_the_first(world: Any) -> None:
    """A task that was cleared makes no second rejection, and its trials are not told twice."""
    from mlflow import MlflowClient

    client = MlflowClient(world.settings.mlflow_uri, world.settings.mlflow_uri)
    experiment = client.get_experiment_by_name("shop").experiment_id
    before = len(client.search_runs([experiment]))

    rejected(world.spec, world.settings, "bad", {"alert": "PerformanceLost", "version": "1"})

    assert before == len(client.search_runs([experiment]))
    (found,) = Registry(world.settings).rejections("shop")
    assert "PerformanceLost" == found.tags["trimtab.trigger.alert"]
    assert "PerformanceLost about version 1" in told(lineage(world.spec, world.settings, run="bad"), "alert")


def test_too_few_rows_leave_a_card_with_the_reason(
    registry_world: Callable[..., Any],
    orders: Callable[..., pd.DataFrame],
    put_history: Callable[..., None],
    tmp_path: Path,
) -> None:
    """A retrain that finds nothing to train on says why, and that nothing after it was reached."""
    world = registry_world()
    put_history(world, orders(n=300))

    with pytest.raises(DataError, match="must hold 500 labelled rows"):
        retrain(world.spec, world.settings, "poor")

    files = files_of(world, "poor", tmp_path)
    assert {"card.md", "card.html"} == files.keys()
    assert TOO_FEW in files[CARD]
    assert "None were frozen." in files[CARD]
    found = lineage(world.spec, world.settings, run="poor")
    assert told(found, "snapshot").startswith("Refused by prepare: ")
    assert TOO_FEW in told(found, "snapshot")
    assert ["Not reached: prepare ended the retrain."] * 3 == [
        told(found, name) for name in ("trials", "passes", "gates")
    ]


def test_a_later_stage_that_refuses_leaves_what_was_made_before(world: Any, tmp_path: Path) -> None:
    """Nothing that could be served: the rows and the search are told, the passes link says why not."""
    refused(world.spec, world.settings, "bad", "optimize", ["No variant keeps the budget"])

    files = files_of(world, "bad", tmp_path)
    assert {"snapshot.json", "tuning.json", "search.json", "trials.csv"} <= files.keys()
    assert not {"choice.json", "validation.json"} & files.keys()
    assert "| training |" in files[CARD]
    found = lineage(world.spec, world.settings, run="bad")
    assert "lightgbm" in told(found, "trials")
    assert "Refused by optimize: No variant keeps the budget" == told(found, "passes")
    assert "Not reached: optimize ended the retrain." == told(found, "gates")


def test_the_circuit_breaker_counts_what_the_registry_keeps(registry_world: Callable[..., Any]) -> None:
    """A run that was refused, tried again and refused again is one loss in both; another is the second."""
    world = registry_world()
    registry, now = Registry(world.settings), world.settings.clock.now()
    with Store(world.settings.results_url) as store:
        for hour, run in enumerate(["a", "a", "b"]):
            refused(world.spec, world.settings, run, "prepare", ["must hold labelled rows"])
            at = now + timedelta(hours=hour)
            store.record_event("shop", "retrain", "failed", at, {"outcome": "failed", "run": run})
        events = store.events("shop", kinds=history.KINDS)

    assert 2 == history.rejected(events) == len(registry.rejections("shop"))
    assert {"retrain/a", "retrain/b"} == {one.source for one in registry.rejections("shop")}


def test_only_a_refusal_is_kept_and_its_error_goes_on(
    monkeypatch: pytest.MonkeyPatch, registry_world: Callable[..., Any]
) -> None:
    """What trying again may mend is no rejection; a registry that is away does not hide the reason."""
    world = registry_world()
    with pytest.raises(Unavailable), accounted(world.spec, world.settings, "r", "prepare"):
        raise Unavailable
    assert () == Registry(world.settings).rejections("shop")

    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    away = replace(world.settings, mlflow_uri="http://127.0.0.1:9")
    lost = Refused("no rows")
    with pytest.raises(Refused, match="no rows"), accounted(world.spec, away, "r", "prepare"):
        raise lost
    assert "was not kept in the registry: MLflow at" in lost.__notes__[0]
