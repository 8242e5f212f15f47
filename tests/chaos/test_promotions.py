"""Version after version is rolled out and promoted while users ask; the registry names who may answer.

A version is *named* while an alias of the registry is at it: `challenger` from its registration until its
promotion, `champion` from then until the next promotion. An answer is right if the registry named its version
at some moment between its request and its arrival.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from retraining.registry import Approval, Registry, Reign
from rollout import leases, slots
from rollout.split import Split, other
from rollout.steps import at_step
from spec import SHADOW, ModelSpec
from trimtab.stack import prepare

pytestmark = [pytest.mark.chaos, pytest.mark.service, pytest.mark.timeout(600)]

PROMOTIONS = int(os.environ.get("TRIMTAB_PROMOTIONS", "10"))
STEPS = (SHADOW, 0.05, 0.5, 1.0)
ANSWERS_A_STEP = 60
LEASE = timedelta(seconds=30)
MODEL = """
model: tides
task: regression
data: {inference_log: tides/log, labels: tides/labels, id: id, time: at, target: {name: height}}
features: {depth: numeric}
"""


@pytest.fixture
def served(
    tmp_path: Path,
    make_house: Callable[..., Any],
    release: Callable[..., Any],
    onnx_file: Path,
    until: Callable[..., None],
) -> Iterator[Any]:
    """A house with a registry, whose version 1 is the champion in slot blue."""
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "tides.yaml").write_text(MODEL)
    stack = prepare(tmp_path / "home", tmp_path / "models", announce=lambda _: None)
    house = make_house(stack)
    names = [*house.parts("tides"), "mlflow"]
    with pytest.MonkeyPatch.context() as patch:
        for name, value in stack.environment().items():
            patch.setenv(name, value)
        try:
            stack.start(["mlflow"], owned=True)
            stack.wait_ready(120, names=["mlflow"])
            Registry(stack.settings).adopt(stack.specs["tides"], release(onnx_file, 1))
            stack.start(names)
            stack.wait_ready(120, names=names)
            url = f"{stack.settings.gateway_url}/v2/models/tides/ready"
            until(lambda: httpx.get(url, trust_env=False).is_success, 120, "the champion")
            yield house
        finally:
            stack.stop()


def test_versions_in_a_row_fail_nobody_and_only_named_ones_answer(
    served: Any,
    onnx_file: Path,
    release: Callable[..., Any],
    strangers: Callable[..., list[Any]],
    told: Callable[..., None],
) -> None:
    """Loads, mirrors, steps and alias moves: no request fails, no answer is of an unnamed version."""
    spec, settings = served.stack.specs["tides"], served.stack.settings
    registry = Registry(settings)
    with served.users() as users:
        for number in range(2, PROMOTIONS + 2):
            version = registry.publish(spec, release(onnx_file, number))
            _promote(served, registry, spec, version, users)
    told(users)

    assert users.failures == []
    assert strangers(users.answers, registry.history("tides")) == []
    assert users.versions_since(0) == {str(number) for number in range(1, PROMOTIONS + 2)}
    assert registry.version("tides", "champion") == str(PROMOTIONS + 1)


def test_a_version_that_nobody_named_is_found(strangers: Callable[..., list[Any]]) -> None:
    """The check above tells an answer of a version before its registration, or after its reign."""
    noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    later = noon + timedelta(seconds=10)
    reigns = (Reign("champion", "1", noon, later), Reign("champion", "2", later))

    for version, sent, named in (("1", -2, False), ("1", 0, True), ("1", 11, False), ("2", 9, True)):
        moment = noon.timestamp() + sent
        answer = _Answer(version, moment, moment + 1)
        assert strangers([answer], reigns) == ([] if named else [answer])


def _promote(house: Any, registry: Registry, spec: ModelSpec, version: str, users: Any) -> None:
    """Do what the tasks of a rollout do, on the same functions, with users at every step."""
    settings, router = house.stack.settings, house.router
    slot = router.read("tides").idle
    slots.load(spec, settings, slot, version)
    for step in STEPS:
        split = at_step(other(slot), step, datetime.now(UTC) + LEASE, spec.rollout)
        (leases.begin if step == SHADOW else leases.advance)(router, "tides", split)
        users.wait_for(ANSWERS_A_STEP)
        leases.renew(router, "tides", datetime.now(UTC) + LEASE)
    leases.promote(router, "tides", slot)
    registry.promote("tides", version, Approval.by_gates(["errors"]), force=True)
    assert router.read("tides") == Split(champion=slot)
    users.wait_for(ANSWERS_A_STEP)


@dataclass(frozen=True, slots=True)
class _Answer:
    version: str
    sent: float
    received: float
    failure: str = ""
