from __future__ import annotations

import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from retraining import native, retrain
from retraining.account import CARD, CARD_PAGE
from retraining.dataset import rows
from retraining.graphs import parity
from retraining.graphs.scorer import Scorer
from retraining.records import Choice, Search, Snapshot
from retraining.register import register
from retraining.registry import Registry
from retraining.workspace import Workspace
from spec import loads

pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")

MORE = """
about: {purpose: Choose which orders to check by hand, owner: returns@shop.example}
monitor: {slices: {by: [country], min_rows: 50}}
"""


@pytest.fixture(scope="module")
def retrained() -> dict[str, Any]:
    """What a test leaves for the next: a retrain takes seconds."""
    return {}


@pytest.fixture
def world(
    retrained: dict[str, Any],
    registry_world: Callable[..., Any],
    shop_yaml: Callable[..., str],
    orders: Callable[..., pd.DataFrame],
    put_history: Callable[..., None],
) -> Any:
    """A shop whose model was retrained, on six trials, because of an alert."""
    if "world" not in retrained:
        made = registry_world(trials=6)
        made.spec = loads(shop_yaml(trials=6, validate="season: null") + MORE)
        put_history(made, orders(n=2500))
        outcome = retrain(made.spec, made.settings, "manual_1")
        assert outcome.version == "1", outcome.validation.summary()
        retrained["world"] = made
    return retrained["world"]


def client_of(world: Any) -> Any:
    """Return MLflow's own client."""
    from mlflow import MlflowClient

    return MlflowClient(world.settings.mlflow_uri, world.settings.mlflow_uri)


def run_of(world: Any) -> Any:
    """Return the tracking run of version 1."""
    return client_of(world).get_run(Registry(world.settings).versions("shop")[0].run_id)


def test_the_trials_are_runs_below_the_retrains(world: Any) -> None:
    """Each trial has its parameters, loss and state, and the pictures of the search lie beside the model."""
    client, parent = client_of(world), run_of(world)

    below = client.search_runs(
        [parent.info.experiment_id], f"tags.mlflow.parentRunId = '{parent.info.run_id}'"
    )

    assert 6 == len(below)
    assert {f"lightgbm trial {number}" for number in range(6)} == {run.info.run_name for run in below}
    first = next(run for run in below if run.info.run_name == "lightgbm trial 0")
    assert {
        "learner": "lightgbm",
        "window": "all",
        "n_estimators": "100",
    }.items() <= first.data.params.items()
    assert ("FINISHED", "COMPLETE") == (first.info.status, first.data.tags["trimtab.state"])
    table = pd.read_csv(Workspace(world.settings, "manual_1").path("trials.csv"))
    assert table["value"].iloc[0] == pytest.approx(first.data.metrics["value"])
    logged = {item.path for item in client.list_artifacts(parent.info.run_id)}
    assert {"search_lightgbm_history.png", "search_lightgbm_importances.png"} <= logged
    assert {"card.md", "card.html", "native", "model", "trials.csv", "variants.png"} <= logged


def test_the_snapshot_is_a_dataset_of_the_run(world: Any) -> None:
    """Its digest begins the snapshot's hash, and its source is one that MLflow itself resolves."""
    import mlflow.data

    taken = Workspace(world.settings, "manual_1").load(Snapshot)

    (given,) = run_of(world).inputs.dataset_inputs

    assert ("shop", taken.sha256[:36]) == (given.dataset.name, given.dataset.digest)
    assert {"mlflow.data.context": "training", "trimtab.sha256": taken.sha256} == {
        tag.key: tag.value for tag in given.tags
    }
    assert taken.history_sha256 == json.loads(given.dataset.source)["history"]["sha256"]
    source = mlflow.data.get_source(given.dataset)
    assert world.settings.location(world.spec.data.history) == source.uri


def test_the_native_model_beside_is_what_the_graph_was_made_of(
    world: Any, orders: Callable[..., pd.DataFrame], tmp_path: Path
) -> None:
    """Downloaded from the registry and loaded without pickle, it answers as the candidate's graph does."""
    folder = client_of(world).download_artifacts(run_of(world).info.run_id, "native", str(tmp_path))
    work = Workspace(world.settings, "manual_1")
    chosen = work.load(Choice).chosen
    candidate = next(item for item in work.load(Search).candidates if item.onnx == chosen.candidate)

    loaded = native.load(Path(folder) / native.FILE)

    given = rows.inputs(world.spec, orders(n=200, seed=5))
    theirs = Scorer(world.spec.task, work.path(candidate.onnx)).predict(given)
    assert abs(parity.answer(world.spec, loaded, given)[0] - theirs).max() < parity.TOLERANCE
    assert (Path(folder) / native.BOOSTER).read_text("utf-8").startswith("tree\n")


class _Addresses(HTMLParser):
    """Collects what a page would load from elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep addresses that are no anchors of the page, and scripts."""
        self.found += [str(value) for name, value in attrs if name in {"src", "href"} and value[:1] != "#"]
        self.found += [tag] if tag in {"script", "link", "iframe", "img"} else []


def test_the_card_tells_what_a_reader_has_to_decide_by(world: Any) -> None:
    """Data, reasons, intervals, slices, what it looks at, drift, the path, costs, limits and approver."""
    work = Workspace(world.settings, "manual_1")
    taken, chosen = work.load(Snapshot), work.load(Choice).chosen

    card = work.path(CARD).read_text("utf-8")

    heads = re.findall(r"^## (.*)$", card, re.MULTILINE)
    assert "Purpose and limits, Why it was retrained, Data, How good it is" == ", ".join(heads[:4])
    assert ["What it costs", "Who approved it"] == heads[-2:]
    assert "Choose which orders to check by hand" in card
    assert "Nobody has written it down (about.limits" in card
    assert "Somebody ran it from the command line" in card
    assert f"| {taken.train_rows:,} |" in card
    assert taken.sha256 in card
    assert re.search(r"\| roc\\_auc \(watched\) \| 0\.\d+ \\\[0\.\d+, 0\.\d+\\\] \| 0\.5", card)
    assert re.search(r"\| country=de \| 0\.\d+", card)
    assert f"{chosen.size / 1e3:,.1f} kB" in card
    assert "| energy of a million predictions |" in card
    assert "As a challenger, automatic: gates recent, season, slices" in card
    assert "nan" not in card.lower().replace("n_estimators", "")


def test_the_cards_page_needs_nothing_else(world: Any) -> None:
    """One file that opens anywhere: no script, no picture, no style from elsewhere."""
    page = Workspace(world.settings, "manual_1").path(CARD_PAGE).read_text("utf-8")

    parser = _Addresses()
    parser.feed(page)

    assert [] == parser.found
    assert 2 == page.count("<svg")
    assert "@import" not in page
    assert "url(" not in page


def test_registering_again_makes_no_second_version_and_no_second_runs(world: Any) -> None:
    """A retried task finds its work done."""
    before = len(client_of(world).search_runs([run_of(world).info.experiment_id]))

    assert "1" == register(world.spec, world.settings, "manual_1")

    assert before == len(client_of(world).search_runs([run_of(world).info.experiment_id]))
