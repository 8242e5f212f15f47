from __future__ import annotations

import fcntl
import multiprocessing
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from monitors import references
from monitors.results.store import Store
from retraining.registry import Approval, Registry
from retraining.registry.versions import Versions
from spec import DataError, NotFound, Refused, SettingsError, Unavailable


def _hold(lock: str, held: Any, done: Any) -> None:
    """Hold a lock file in a process of its own until told otherwise."""
    with Path(lock).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        held.set()
        done.wait(60)


pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")


def test_a_published_version_is_the_challenger(house: Any) -> None:
    """It has the alias, the status, its file, its reference and an event; the champion is untouched."""
    world, release = house
    registry = Registry(world.settings)

    version = registry.publish(world.spec, release("retrain/a"))

    assert ("1", None) == (version, registry.version("shop", "champion"))
    (found,) = registry.versions("shop")
    assert (("challenger",), "challenger") == (found.aliases, found.status)
    assert "performance" == found.tags["trimtab.trigger.reason"]
    assert release("x").onnx.read_bytes() == registry.onnx("shop", version).read_bytes()
    reference = references.load(world.spec, world.settings, version)
    assert 600 == len(reference.frame) == reference.population
    assert 0.6 == reference.performance["roc_auc"].low
    with Store(world.settings.results_url) as store:
        assert ["version 1 is the challenger"] == [event.text for event in store.events("shop")]


def test_the_model_files_lie_where_the_server_looks(house: Any) -> None:
    """The tracking run has model/model.onnx and model/MLmodel with a signature and an input example."""
    from mlflow import MlflowClient

    world, release = house
    registry = Registry(world.settings)
    version = registry.publish(world.spec, release("retrain/a"))
    client = MlflowClient(world.settings.mlflow_uri, world.settings.mlflow_uri)

    run_id = registry.versions("shop")[0].run_id
    assert {"model/model.onnx", "model/MLmodel", "model/input_example.json"} <= {
        item.path for item in client.list_artifacts(run_id, "model")
    }
    run = client.get_run(run_id)
    assert {"learner": "lightgbm"} == run.data.params
    assert 0.7 == run.data.metrics["candidate_roc_auc"]
    assert "FINISHED" == run.info.status
    folder = client.download_artifacts(run_id, "model")
    mlmodel = yaml.safe_load((Path(folder) / "MLmodel").read_text("utf-8"))
    assert {"onnx", "python_function"} == set(mlmodel["flavors"])
    assert '"name": "country"' in mlmodel["signature"]["inputs"]
    assert "probabilities" in mlmodel["signature"]["outputs"]
    assert run_id in client.get_model_version("shop", version).source


def test_publishing_again_gives_the_same_version(house: Any) -> None:
    """A retried step makes no second version, and does not bring a decided one back."""
    world, release = house
    registry = Registry(world.settings)

    assert "1" == registry.publish(world.spec, release("retrain/a"))
    assert "1" == registry.publish(world.spec, release("retrain/a"))
    registry.reject("shop", "1", "worse")
    assert "1" == registry.publish(world.spec, release("retrain/a"))

    assert 1 == len(registry.versions("shop"))
    assert registry.version("shop", "challenger") is None


def test_a_try_that_died_halfway_is_completed(house: Any) -> None:
    """A version that was registered but got no alias gets it by the next try."""
    world, release = house
    registry = Registry(world.settings)
    with pytest.raises(DataError, match="importances: colour: must be a feature"):
        registry.publish(world.spec, release("retrain/a", importances={"colour": 1.0}))
    assert "registered" == registry.versions("shop")[0].status

    assert "1" == registry.publish(world.spec, release("retrain/a"))
    assert "1" == registry.version("shop", "challenger")


def test_a_new_challenger_supersedes_the_old(house: Any) -> None:
    """There is one challenger; the one before is noted as superseded."""
    world, release = house
    registry = Registry(world.settings)
    registry.publish(world.spec, release("retrain/a"))

    assert "2" == registry.publish(world.spec, release("retrain/b"))

    assert "2" == registry.version("shop", "challenger")
    assert ["superseded", "challenger"] == [item.status for item in registry.versions("shop")]


def test_a_promotion_keeps_what_was_before(house: Any) -> None:
    """The old champion becomes `previous`, nobody is challenger, and the tags tell when and whom."""
    world, release = house
    registry = Registry(world.settings)
    registry.adopt(world.spec, release("adopt/a"))
    registry.publish(world.spec, release("retrain/b"))

    for _ in range(2):
        registry.promote("shop", "2")

    aliases = [registry.version("shop", alias) for alias in ("champion", "previous", "challenger")]
    assert ["2", "1", None] == aliases
    old, new = registry.versions("shop")
    assert ("retired", "champion") == (old.status, new.status)
    assert "1" == new.tags["trimtab.replaced"]
    assert world.settings.clock.now().isoformat() == new.tags["trimtab.promoted_at"]
    with Store(world.settings.results_url) as store:
        texts = [event.text for event in store.events("shop")]
    assert 1 == sum(text == "version 2 is the champion (before: 1)" for text in texts)


class Died(Exception):
    """The process went away."""


@pytest.mark.parametrize("call", range(9))
def test_a_promotion_that_died_anywhere_is_finished_by_the_next_try(
    monkeypatch: pytest.MonkeyPatch, house: Any, call: int
) -> None:
    """Whichever change was the last before a crash, the retry leaves all tags, aliases and the event."""
    world, release = house
    registry = Registry(world.settings)
    registry.adopt(world.spec, release("adopt/a"))
    registry.publish(world.spec, release("retrain/b"))
    left = iter([True] * call)

    def dying(change: Callable[..., None]) -> Callable[..., None]:
        def step(*given: Any) -> None:
            if not next(left, False):
                raise Died
            change(*given)

        return step

    with monkeypatch.context() as patched:
        for change in (Versions.set_alias, Versions.delete_alias, Versions.tag):
            patched.setattr(Versions, change.__name__, dying(change))
        patched.setattr(Store, "record_event", dying(Store.record_event))
        with pytest.raises(Died):
            registry.promote("shop", "2")
    registry.promote("shop", "2")

    assert ("2", "1") == (registry.version("shop", "champion"), registry.version("shop", "previous"))
    assert registry.version("shop", "challenger") is None
    old, new = registry.versions("shop")
    assert ("retired", "champion") == (old.status, new.status)
    assert {"trimtab.promoted_at", "trimtab.replaced"} <= new.tags.keys()
    assert "trimtab.retired_at" in old.tags
    with Store(world.settings.results_url) as store:
        texts = [event.text for event in store.events("shop")]
    assert "version 2 is the champion (before: 1)" in texts


def test_only_the_challenger_is_promoted(house: Any) -> None:
    """A version that earned nothing is refused; a rollback may force it."""
    world, release = house
    registry = Registry(world.settings)
    registry.adopt(world.spec, release("adopt/a"))
    registry.publish(world.spec, release("retrain/b"))
    registry.publish(world.spec, release("retrain/c"))

    with pytest.raises(Refused, match="shop version 2 is not the challenger \\(3\\)"):
        registry.promote("shop", "2")
    registry.promote("shop", "3")
    registry.promote("shop", "1", force=True)

    assert ("1", "3") == (registry.version("shop", "champion"), registry.version("shop", "previous"))


def test_a_rejected_version_keeps_its_verdict(house: Any) -> None:
    """The alias goes, the reason stays, and doing it again changes nothing."""
    world, release = house
    registry = Registry(world.settings)
    registry.adopt(world.spec, release("adopt/a"))
    registry.publish(world.spec, release("retrain/b"))

    for _ in range(2):
        registry.reject("shop", "2", {"decision": "rollback", "reason": "loss"})

    assert registry.version("shop", "challenger") is None
    rejected = registry.versions("shop")[1]
    assert "rejected" == rejected.status
    assert '{"decision": "rollback", "reason": "loss"}' == rejected.tags["trimtab.verdict"]
    with pytest.raises(Refused, match="version 1 is the champion"):
        registry.reject("shop", "1", "why not")


@pytest.mark.parametrize("call", ["promote", "onnx", "reject", "tag"])
def test_a_version_that_is_not_there_is_named_with_the_known_ones(house: Any, call: str) -> None:
    """Every method that takes a version says which there are."""
    world, release = house
    registry = Registry(world.settings)
    registry.publish(world.spec, release("retrain/a"))
    more = {"reject": ("why",), "tag": ("key", "value")}.get(call, ())

    with pytest.raises(NotFound, match=r"shop has no version '9' in the registry. Known: 1"):
        getattr(registry, call)("shop", "9", *more)


def test_a_model_that_nobody_registered_has_no_versions(house: Any) -> None:
    """Asking is no error: there is no alias and no version."""
    registry = Registry(house[0].settings)

    assert registry.version("other", "champion") is None
    assert () == registry.versions("other")


def test_tags_are_kept(house: Any) -> None:
    """Other rooms note what they find under the project's prefix."""
    world, release = house
    registry = Registry(world.settings)
    registry.publish(world.spec, release("retrain/a"))

    registry.tag("shop", "1", "canary", "25%")

    assert "25%" == registry.versions("shop")[0].tags["trimtab.canary"]


def test_a_registry_that_cannot_be_reached_is_unavailable(
    monkeypatch: pytest.MonkeyPatch, house: Any
) -> None:
    """Nothing listens there: the error names the address and another try may help."""
    world, _ = house
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    settings = replace(world.settings, mlflow_uri="http://127.0.0.1:9")

    with pytest.raises(Unavailable, match=r"MLflow at http://127.0.0.1:9 did not answer"):
        Registry(settings).version("shop", "champion")


def test_an_address_that_is_none_is_named(house: Any) -> None:
    """What MLflow cannot take is the setting's mistake: bad input, no traceback."""
    settings = replace(house[0].settings, mlflow_uri="bogus://there")

    with pytest.raises(SettingsError, match="TRIMTAB_MLFLOW_URI: must be an address that MLflow takes"):
        Registry(settings).version("shop", "champion")


def test_promotions_wait_for_each_other(house: Any) -> None:
    """While another process changes the model's aliases, a promotion waits."""
    world, release = house
    registry = Registry(world.settings)
    registry.publish(world.spec, release("retrain/a"))
    context = multiprocessing.get_context("spawn")
    held, done = context.Event(), context.Event()
    lock = str(world.settings.home / "registry" / "shop.lock")
    other = context.Process(target=_hold, args=(lock, held, done))
    other.start()
    try:
        assert held.wait(60)
        promotion = threading.Thread(target=registry.promote, args=("shop", "1"))
        promotion.start()
        promotion.join(0.3)
        assert promotion.is_alive()
        done.set()
        promotion.join(60)
        assert not promotion.is_alive()
    finally:
        done.set()
        other.join(60)
    assert "1" == registry.version("shop", "champion")


def test_who_promoted_a_version_is_kept(house: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tags tell of the last promotion, the history of each: the gates, a person, or whose process it was."""
    world, release = house
    registry = Registry(world.settings)
    monkeypatch.setattr("getpass.getuser", lambda: "ada")
    registry.adopt(world.spec, release("adopt/a"))
    registry.publish(world.spec, release("retrain/a"))

    registry.promote("shop", "2", Approval.by_gates(["errors", "quality"]))
    registry.promote("shop", "1", Approval.by_hand("grace", "2 loses abroad"), force=True)

    first, second = (version.tags for version in registry.versions("shop"))
    assert ("grace", "2 loses abroad") == (first["trimtab.approved_by"], first["trimtab.approved_because"])
    assert "automatic: gates errors, quality" == second["trimtab.approved_by"]
    champions = [reign for reign in registry.history("shop") if reign.alias == "champion"]
    assert [
        ("1", "ada"),
        ("2", "automatic: gates errors, quality"),
        ("1", "grace: 2 loses abroad"),
    ] == [(reign.version, reign.approved) for reign in champions]


def test_a_user_without_a_name_is_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """A container's user may have no entry; a promotion does not fail for it."""

    def nobody() -> str:
        raise KeyError

    monkeypatch.setattr("getpass.getuser", nobody)

    assert f"uid {os.getuid()}" == Approval.by_hand().by


def test_asking_the_registry_imports_no_learner() -> None:
    """A rollout's task, a lineage and a refusal ask who is champion; seconds of imports are for who fits."""
    heavy = "{'sklearn', 'scipy', 'lightgbm', 'skops', 'optuna', 'onnxruntime', 'pandas'}"
    code = "import sys, retraining.registry, retraining.lineage, retraining.rejection, dags.steps; "
    code += f"sys.exit(bool({heavy} & set(sys.modules)))"

    assert 0 == subprocess.run([sys.executable, "-c", code], check=False).returncode
