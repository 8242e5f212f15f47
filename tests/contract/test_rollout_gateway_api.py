"""What a split means for an HTTPRoute, what stays of it, and what a Gateway's controller may answer."""

import copy
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rollout import guard, leases
from rollout.routers import declared
from rollout.routers.gateway_api import GatewayApiRouter
from rollout.split import Split
from rollout.steps import at_step
from spec import SHADOW, ModelSpec, Refused, SettingsError, Unavailable, loads, routing

PATH = "/apis/gateway.networking.k8s.io/v1/namespaces/mon/httproutes/flights"
SPEC = loads("""
model: flights
task: binary
data: {inference_log: log, labels: labels, id: id, time: t, target: {name: late}}
features: {x: numeric}
""")
SPECS: dict[str, ModelSpec] = {"flights": SPEC}
Cluster = Any
Status = Callable[..., dict[str, Any]]


def lease(seconds: float = 60) -> datetime:
    """Some wall time from now."""
    return datetime.now(UTC) + timedelta(seconds=seconds)


@pytest.fixture
def router(gateway: Cluster) -> GatewayApiRouter:
    """A router of one model."""
    return GatewayApiRouter(gateway.settings("gateway_api"), SPECS)


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for a controller for a moment only."""
    monkeypatch.setattr(declared, "CONFIRM_S", 0.4)


def rules(gateway: Cluster) -> list[dict[str, Any]]:
    """The rules that the route has now."""
    found: list[dict[str, Any]] = gateway.objects[PATH]["spec"]["rules"]
    return found


def shares(rule: dict[str, Any]) -> dict[str, int]:
    """Weights of a rule by Service."""
    return {one["name"]: one["weight"] for one in rule["backendRefs"]}


def mirrors(rule: dict[str, Any]) -> list[str]:
    """Services that a rule mirrors to."""
    copies = [one["requestMirror"] for one in rule["filters"] if one["type"] == "RequestMirror"]
    return [one["backendRef"]["name"] for one in copies]


@pytest.mark.parametrize(
    ("share", "weights", "mirror"),
    [
        (SHADOW, {"flights-blue": 100, "flights-green": 0}, "flights-green"),
        (0.05, {"flights-blue": 95, "flights-green": 5}, "flights-green"),
        (1.0, {"flights-blue": 0, "flights-green": 100}, "flights-blue"),
    ],
)
def test_step_becomes_weights_and_a_mirror(
    gateway: Cluster, router: GatewayApiRouter, share: Any, weights: dict[str, int], mirror: str
) -> None:
    """Each step is weights of the two Services and one mirror, in a route that the CRD's schema allows."""
    router.apply("flights", at_step("blue", share, lease()))

    (rule,) = rules(gateway)
    assert (weights, [mirror]) == (shares(rule), mirrors(rule))
    assert {"fieldManager=trimtab&fieldValidation=Strict"} == gateway.managers


def test_end_leaves_no_mirror(gateway: Cluster, router: GatewayApiRouter) -> None:
    """A return to the champion takes weights and mirror away, and the annotation of a wait."""
    router.apply("flights", at_step("blue", 0.25, lease()))
    leases.release(router, "flights")

    (rule,) = rules(gateway)
    assert {"flights-blue": 100, "flights-green": 0} == shares(rule)
    assert [] == mirrors(rule)
    assert declared.UNCONFIRMED not in gateway.objects[PATH]["metadata"]["annotations"]


def test_what_is_not_ours_stays(gateway: Cluster, router: GatewayApiRouter) -> None:
    """Matches, timeouts, filters, other rules, hostnames and annotations survive a rollout as they were."""
    theirs = {"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "audit", "port": 80}}}
    header = {
        "type": "RequestHeaderModifier",
        "requestHeaderModifier": {"set": [{"name": "a", "value": "b"}]},
    }
    rule = copy.deepcopy(rules(gateway)[0]) | {"filters": [theirs, header]}
    other = {
        "matches": [{"path": {"type": "Exact", "value": "/docs"}}],
        "backendRefs": [{"name": "docs", "port": 80}],
    }
    change = {"spec": {"hostnames": ["a.example"], "rules": [rule, other]}}
    gateway.edit(PATH, change | {"metadata": {"annotations": {"team": "ml"}}})
    before = copy.deepcopy(gateway.objects[PATH])
    router.apply("flights", at_step("blue", 0.25, lease()))
    during = copy.deepcopy(rules(gateway))
    leases.release(router, "flights")
    after = gateway.objects[PATH]

    assert ["audit", "flights-green"] == mirrors(during[0])
    assert before["spec"]["rules"][1] == during[1] == after["spec"]["rules"][1]
    assert (["a.example"], "ml") == (after["spec"]["hostnames"], after["metadata"]["annotations"]["team"])
    kept = ("matches", "timeouts")
    was, now = before["spec"]["rules"][0], after["spec"]["rules"][0]
    assert [was[key] for key in kept] == [now[key] for key in kept]
    assert [{"name": "a", "value": "b"}] == now["filters"][0]["requestHeaderModifier"]["set"]
    assert was["filters"][0] == now["filters"][1]


def test_renewal_touches_no_route(gateway: Cluster, router: GatewayApiRouter) -> None:
    """A renewal writes the lease and nothing that a controller would have to carry out."""
    router.apply("flights", at_step("blue", 0.25, lease()))
    generation = gateway.objects[PATH]["metadata"]["generation"]
    until = lease(300)
    leases.renew(router, "flights", until)

    assert generation == gateway.objects[PATH]["metadata"]["generation"]
    assert until == router.read("flights").lease_until


def test_renewal_puts_back_what_somebody_changed(gateway: Cluster, router: GatewayApiRouter) -> None:
    """Weights that a person wrote past the judge are gone with the next renewal."""
    router.apply("flights", at_step("blue", 0.05, lease()))
    edited = copy.deepcopy(rules(gateway))
    edited[0]["backendRefs"][1]["weight"] = 900
    gateway.edit(PATH, {"spec": {"rules": edited}})
    leases.renew(router, "flights", lease(300))

    assert {"flights-blue": 95, "flights-green": 5} == shares(rules(gateway)[0])


def test_testers_choose_by_a_header(gateway: Cluster, router: GatewayApiRouter) -> None:
    """During a rollout a header chooses the slot and marks the request; afterwards it does not."""
    split = at_step("blue", SHADOW, lease()).model_copy(
        update={"testers": routing.Testers(header="x-version")}
    )
    router.apply("flights", split)
    chosen = {}
    for rule in rules(gateway)[:-1]:
        headers = rule["filters"][0]["requestHeaderModifier"]["set"]
        for match in rule["matches"]:
            chosen[match["headers"][0]["value"]] = (*shares(rule), headers[0]["value"], len(mirrors(rule)))
    router.apply("flights", split.model_copy(update={"lease_until": lease(90)}))
    again = len(rules(gateway))
    leases.release(router, "flights")

    challenger, champion = ("flights-green", "challenger", 0), ("flights-blue", "champion", 0)
    assert chosen == {"challenger": challenger, "green": challenger, "champion": champion, "blue": champion}
    assert (3, 1) == (again, len(rules(gateway)))


def test_a_header_has_one_action_at_every_step(gateway: Cluster, router: GatewayApiRouter) -> None:
    """The Gateway API forbids to set and remove one header in a filter.

    Gateways that remove last would count testers. From the second write on, rules for testers are made of
    rules that remove the mark.
    """
    testers = {"testers": routing.Testers(header="x-version")}
    for share in (SHADOW, 0.05, 0.25):
        router.apply("flights", at_step("blue", share, lease()).model_copy(update=testers))

        *chosen, drawn = (rule["filters"][0]["requestHeaderModifier"] for rule in rules(gateway))
        assert [["set"], ["set"], ["remove"]] == [list(changes) for changes in (*chosen, drawn)]


def test_nobody_marks_himself_a_tester(gateway: Cluster, router: GatewayApiRouter) -> None:
    """The header that keeps a request out of the counts is removed from requests that were drawn."""
    router.apply("flights", at_step("blue", 0.25, lease()))
    leases.release(router, "flights")

    assert ["x-trimtab-tester"] == rules(gateway)[0]["filters"][0]["requestHeaderModifier"]["remove"]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"sticky": routing.Sticky(header="x-user")}, "cannot keep rollout.sticky"),
        ({"testers": routing.Testers(cookie="version")}, "must name a header"),
    ],
)
def test_what_a_route_cannot_do_is_refused(
    gateway: Cluster, router: GatewayApiRouter, more: dict[str, Any], words: str
) -> None:
    """Stickiness and a tester's cookie are refused with words, and nothing is written."""
    with pytest.raises(Refused, match=words):
        router.apply("flights", at_step("blue", 0.25, lease()).model_copy(update=more))

    assert "patch" not in {verb for verb, _ in gateway.asked}


def test_only_our_own_object_is_written(gateway: Cluster, router: GatewayApiRouter) -> None:
    """An HTTPRoute without the label of the model is refused, and the words say how to give it to us."""
    gateway.edit(PATH, {"metadata": {"labels": {"trimtab/model": "hotels"}}})
    with pytest.raises(Refused, match="its label trimtab/model is 'hotels'"):
        router.apply("flights", at_step("blue", 0.25, lease()))
    gateway.edit(PATH, {"metadata": {"labels": None}})
    with pytest.raises(Refused, match="it has no label trimtab/model"):
        router.read("flights")


@pytest.mark.parametrize(
    ("backends", "words"),
    [
        ([{"name": "docs", "port": 80}], "no rule sends to flights-blue or flights-green"),
        (
            [{"name": "flights-blue", "port": 8080}, {"name": "old", "port": 80}],
            "a rule of ours also sends to old",
        ),
    ],
)
def test_route_that_cannot_be_divided_is_refused(
    gateway: Cluster, router: GatewayApiRouter, backends: list[Any], words: str
) -> None:
    """A route without our Services, or with a third one beside them, is refused."""
    gateway.edit(PATH, {"spec": {"rules": [{"backendRefs": backends}]}})
    with pytest.raises(Refused, match=words):
        router.apply("flights", at_step("blue", 0.25, lease()))


def test_canary_ends_whatever_somebody_added(gateway: Cluster, router: GatewayApiRouter) -> None:
    """A third backend that appears during a canary does not keep the challenger in traffic."""
    router.apply("flights", at_step("blue", 0.25, lease()))
    edited = copy.deepcopy(rules(gateway))
    edited[0]["backendRefs"].append({"name": "old", "port": 80, "weight": 7})
    gateway.edit(PATH, {"spec": {"rules": edited}})
    with pytest.raises(Refused, match="also sends to old"):
        leases.renew(router, "flights", lease(90))
    leases.release(router, "flights")

    assert {"flights-blue": 100, "flights-green": 0, "old": 7} == shares(rules(gateway)[0])


def test_slots_must_be_services(gateway: Cluster) -> None:
    """Both slots whose URL names no Service are told at once."""
    bad = '{"flights": {"blue": "http://10.0.0.1:80", "green": "https://green.mon.svc"}}'
    router = GatewayApiRouter(gateway.settings("gateway_api", TRIMTAB_SLOTS=bad), SPECS)
    with pytest.raises(SettingsError) as caught:
        router.apply("flights", at_step("blue", 0.25, lease()))

    assert ["TRIMTAB_SLOTS: flights.blue", "TRIMTAB_SLOTS: flights.green"] == [
        problem.where for problem in caught.value.problems
    ]


def test_rejection_goes_back_and_gives_the_reason(
    gateway: Cluster, router: GatewayApiRouter, accepts: Status
) -> None:
    """What a Gateway does not accept is undone, and its controller's reason is told."""

    def no_mirror(item: dict[str, Any]) -> dict[str, Any]:
        if any(mirrors(rule) for rule in item["spec"]["rules"] if "filters" in rule):
            return accepts(item, "UnsupportedValue", "RequestMirror is not supported")
        return accepts(item)

    gateway.controller = no_mirror
    with pytest.raises(Refused, match="UnsupportedValue: RequestMirror is not supported"):
        router.apply("flights", at_step("blue", SHADOW, lease()))

    assert Split() == router.read("flights")
    assert {"flights-blue": 100, "flights-green": 0} == shares(rules(gateway)[0])


def test_partly_accepted_route_is_refused(
    gateway: Cluster, router: GatewayApiRouter, accepts: Status
) -> None:
    """A route of which the Gateway drops a part is not in force."""

    def partly(item: dict[str, Any]) -> dict[str, Any]:
        status = accepts(item)
        ours = status["parents"][0]["conditions"]
        ours.append(ours[0] | {"type": "PartiallyInvalid", "reason": "UnsupportedValue", "message": "rule 0"})
        return status

    gateway.controller = partly
    with pytest.raises(Refused, match="PartiallyInvalid is True, UnsupportedValue: rule 0"):
        router.apply("flights", at_step("blue", 0.05, lease()))


@pytest.mark.usefixtures("hasty")
def test_silent_controller_is_unavailable(
    gateway: Cluster, router: GatewayApiRouter, accepts: Status
) -> None:
    """Without a word on this generation the canary is undone: an old acceptance counts for nothing."""
    router.apply("flights", Split())
    gateway.reconcile()
    gateway.controller = None
    with pytest.raises(Unavailable, match="Gateway public says nothing of generation 3"):
        router.apply("flights", at_step("blue", 0.05, lease()))

    assert Split() == router.read("flights")
    assert {"flights-blue": 100, "flights-green": 0} == shares(rules(gateway)[0])
    gateway.controller = lambda item: accepts(item, "Pending")
    with pytest.raises(Unavailable, match="No controller confirmed HTTPRoute mon/flights"):
        router.apply("flights", at_step("blue", 0.05, lease()))


@pytest.mark.usefixtures("hasty")
def test_end_that_nobody_confirms_stays_written(
    gateway: Cluster, router: GatewayApiRouter, accepts: Status
) -> None:
    """A silent Gateway that comes back finds no canary; until then the guard sees it and tries again."""
    canary = at_step("blue", 0.5, lease(0.2))
    router.apply("flights", canary)
    gateway.controller = None
    with pytest.raises(Unavailable):
        leases.release(router, "flights")

    assert canary == router.read("flights")
    assert {"flights-blue": 100, "flights-green": 0} == shares(rules(gateway)[0])
    gateway.controller = accepts
    threading.Event().wait(max(0.0, (canary.lease_until - datetime.now(UTC)).total_seconds()))  # type: ignore[operator]
    guard.look(SPECS, gateway.settings("gateway_api"), router, Diary())
    assert Split() == router.read("flights")


def test_killed_writer_leaves_a_canary_that_the_guard_ends(
    gateway: Cluster, router: GatewayApiRouter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever is killed between writing and confirming leaves a lease, and no hidden canary."""

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(GatewayApiRouter, "_confirm", killed)
        with pytest.raises(KeyboardInterrupt):
            router.apply("flights", at_step("blue", 0.5, lease(-1)))
    seen = router.read("flights")
    guard.look(SPECS, gateway.settings("gateway_api"), router, Diary())

    assert 50 == seen.weights["green"]
    assert Split() == router.read("flights")
    assert {"flights-blue": 100, "flights-green": 0} == shares(rules(gateway)[0])


class Diary:
    """Events that nobody reads."""

    def record_event(self, *_: object, **__: object) -> None:
        """Keep none."""
