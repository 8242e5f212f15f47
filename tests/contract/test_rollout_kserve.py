"""What a split means for a serverless InferenceService, and what KServe cannot do."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rollout import leases
from rollout.routers import declared
from rollout.routers.kserve import KServeRouter
from rollout.split import Split
from rollout.steps import at_step
from spec import ModelSpec, Refused, Unavailable, loads, routing

PATH = "/apis/serving.kserve.io/v1beta1/namespaces/mon/inferenceservices/flights"
SPECS: dict[str, ModelSpec] = {
    "flights": loads("""
model: flights
task: binary
data: {inference_log: log, labels: labels, id: id, time: t, target: {name: late}}
features: {x: numeric}
""")
}
Cluster = Any
ONE, TWO, THREE = (f"flights-predictor-{number}" for number in (1, 2, 3))


def canary(share: float, champion: Any = "blue") -> Split:
    """A step's split without a mirror."""
    return at_step(champion, share, datetime.now(UTC) + timedelta(minutes=1), mirrors=False)


@pytest.fixture
def router(kserve: Cluster) -> KServeRouter:
    """A router of one model."""
    return KServeRouter(kserve.settings("kserve"), SPECS)


@pytest.fixture
def shares(kserve: Cluster) -> Callable[[], dict[str, int]]:
    """Ask for the shares that Knative gives to the revisions now."""

    def ask() -> dict[str, int]:
        traffic = kserve.objects[PATH]["status"]["components"]["predictor"]["traffic"]
        return {one["revisionName"]: one["percent"] for one in traffic if one["percent"]}

    return ask


def test_step_is_the_share_of_the_latest_revision(
    router: KServeRouter, shares: Callable[[], dict[str, int]]
) -> None:
    """The champion's slot is the revision that had all traffic; the rest goes to the latest."""
    router.apply("flights", canary(0.25))

    assert {ONE: 75, TWO: 25} == shares()


def test_end_gives_all_to_the_revision_before(
    router: KServeRouter, shares: Callable[[], dict[str, int]]
) -> None:
    """A canary that ends, at a part or at all of the traffic, leaves the revision that it began from."""
    for share in (0.5, 1.0):
        router.apply("flights", canary(share))
        leases.release(router, "flights")
        assert {ONE: 100} == shares()


def test_promoted_revision_begins_the_next_rollout(
    kserve: Cluster, router: KServeRouter, shares: Callable[[], dict[str, int]]
) -> None:
    """After a promotion the latest revision is the champion's, and the next one starts beside it."""
    router.apply("flights", canary(1.0))
    leases.promote(router, "flights", "green")
    settled = shares()
    with pytest.raises(Refused, match="has no challenger"):
        leases.begin(router, "flights", canary(0.05, "green"))
    challenger = {"canaryTrafficPercent": 0, "model": {"storageUri": "s3://models/3"}}
    kserve.edit(PATH, {"spec": {"predictor": challenger}})
    kserve.reconcile()
    leases.begin(router, "flights", canary(0.05, "green"))

    assert {TWO: 100} == settled
    assert {TWO: 95, THREE: 5} == shares()


def test_version_before_comes_back(router: KServeRouter, shares: Callable[[], dict[str, int]]) -> None:
    """A rollback after a promotion gives all traffic to the revision before, which still exists."""
    router.apply("flights", canary(1.0))
    leases.promote(router, "flights", "green")
    router.apply("flights", Split(champion="blue"))

    assert {ONE: 100} == shares()


@pytest.mark.parametrize("mode", ["RawDeployment", "Standard", "ModelMesh"])
def test_mode_that_ignores_the_share_is_refused(kserve: Cluster, router: KServeRouter, mode: str) -> None:
    """Where KServe ignores canaryTrafficPercent without a word, the words are ours."""
    kserve.controller = None
    notes = {"annotations": {"serving.kserve.io/deploymentMode": mode}}
    kserve.edit(PATH, {"metadata": notes, "status": {"deploymentMode": None}})
    with pytest.raises(Refused, match=f"deployed as {mode}, where KServe ignores canaryTrafficPercent"):
        router.apply("flights", canary(0.25))


def test_service_that_was_never_ready_is_refused(kserve: Cluster, router: KServeRouter) -> None:
    """Without a revision that ever had all traffic there is nothing to divide."""
    kserve.controller = None
    kserve.edit(PATH, {"status": None})
    with pytest.raises(Refused, match="it is not serverless, or not ready yet"):
        router.apply("flights", canary(0.25))


def test_rest_that_would_go_elsewhere_is_refused(kserve: Cluster, router: KServeRouter) -> None:
    """A revision that somebody gave all traffic past the rollout is no champion of ours."""
    router.apply("flights", canary(0.05))
    for challenger in ({"canaryTrafficPercent": None}, {"canaryTrafficPercent": 0}):
        uri = {"model": {"storageUri": "s3://models/3"}}
        kserve.edit(PATH, {"spec": {"predictor": challenger | (uri if challenger else {})}})
        kserve.reconcile()
    kserve.edit(PATH, {"spec": {"predictor": {"model": {"storageUri": "s3://models/4"}}}})
    kserve.reconcile()
    with pytest.raises(Refused, match=f"would send the rest to {THREE}, and not to .* {ONE}"):
        leases.advance(router, "flights", canary(0.25))


@pytest.mark.parametrize(
    "more", [{"sticky": routing.Sticky(header="x-user")}, {"testers": routing.Testers(header="x-version")}]
)
def test_routing_by_content_is_refused(router: KServeRouter, more: dict[str, Any]) -> None:
    """Stickiness and testers are refused with words."""
    with pytest.raises(Refused, match=r"knows neither rollout\.sticky nor rollout\.testers"):
        router.apply("flights", canary(0.25).model_copy(update=more))


def test_traffic_that_does_not_follow_is_unavailable(
    kserve: Cluster, router: KServeRouter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Shares that Knative does not report within the time are undone, with what the status says of it."""
    monkeypatch.setattr(declared, "CONFIRM_S", 0.3)
    kserve.controller = None
    failing = {"type": "PredictorReady", "status": "False", "reason": "Crash", "message": "no memory"}
    kserve.edit(PATH, {"status": {"conditions": [failing]}})
    with pytest.raises(Unavailable, match="PredictorReady Crash: no memory"):
        router.apply("flights", canary(0.25))

    assert Split() == router.read("flights")
    assert 0 == kserve.objects[PATH]["spec"]["predictor"]["canaryTrafficPercent"]
