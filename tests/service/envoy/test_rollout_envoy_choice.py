"""Who meets which version at a real Envoy: users the same at every step, testers the one they name."""

import re
from typing import Any

import httpx
import pytest

from rollout.split import Slot, Split
from rollout.steps import Step, at_step
from spec import SHADOW
from spec.rollout import Rollout
from spec.routing import TESTER

pytestmark = pytest.mark.service
USERS = [f"user-{number}" for number in range(300)]


def under(gateway: Any, step: Step, champion: Slot = "blue", **routing: object) -> None:
    """Put a step in force, with what the spec says of users and testers."""
    rollout = Rollout.model_validate(routing)
    gateway.router.apply("flights", at_step(champion, step, gateway.lease(), rollout))


def slot_of(gateway: Any, **headers: str) -> str:
    """Who answers such a request."""
    return str(gateway.infer(**headers).json()["slot"])


def counted(gateway: Any, cluster: str) -> int:
    """Requests that the gateway has counted for a cluster."""
    url = f"{gateway.settings.envoy_admin_urls[0]}/stats/prometheus"
    text = httpx.get(url, trust_env=False).text
    found = re.search(
        rf'^envoy_cluster_upstream_rq_total{{envoy_cluster_name="{cluster}"}} (\d+)$', text, re.MULTILINE
    )
    return int(found[1]) if found else 0


@pytest.mark.parametrize(("champion", "challenger"), [("blue", "green"), ("green", "blue")])
def test_a_user_keeps_the_version_while_weights_grow(gateway: Any, champion: Slot, challenger: Slot) -> None:
    """Of 300 users each meets one version at a step, and whoever met the challenger meets it ever after."""
    met: set[str] = set()
    for step in (0.05, 0.25, 0.5, 1.0):
        under(gateway, step, champion, sticky={"header": "X-User-Id"})
        first, second = ({user: slot_of(gateway, **{"x-user-id": user}) for user in USERS} for _ in "12")
        now = {user for user in USERS if first[user] == challenger}

        assert first == second
        assert met <= now
        assert abs(len(now) / len(USERS) - step) < 5 * (step * (1 - step) / len(USERS)) ** 0.5 + 1e-9
        met = now


def test_a_cookie_names_the_user_and_without_one_requests_are_drawn(gateway: Any) -> None:
    """A cookie is as good as a header; a request without one meets either version, and is given none."""
    under(gateway, 0.5, sticky={"cookie": "user"})
    of_one = {slot_of(gateway, cookie="a=b; user=7; c=d") for _ in range(30)}
    of_many = {slot_of(gateway, cookie=f"user={user}") for user in range(30)}
    unnamed = gateway.answered_by(60)

    assert len(of_one) == 1
    assert of_many == {"blue", "green"}
    assert set(unnamed) == {"blue", "green"}
    assert "set-cookie" not in gateway.infer().headers


@pytest.mark.parametrize("step", [SHADOW, 0.05, 1.0])
@pytest.mark.parametrize(("champion", "challenger"), [("blue", "green"), ("green", "blue")])
def test_a_tester_meets_what_it_names_at_every_step(
    gateway: Any, step: Step, champion: Slot, challenger: Slot
) -> None:
    """By role or by slot, by header or by cookie; also where the version has no weight at all."""
    under(gateway, step, champion, testers={"header": "x-version", "cookie": "version"})
    wanted = {"champion": champion, "challenger": challenger, "blue": "blue", "green": "green"}

    for name, slot in wanted.items():
        assert {slot_of(gateway, **{"x-version": name}) for _ in range(5)} == {slot}
        assert {slot_of(gateway, cookie=f"a=b; version={name}; c=d") for _ in range(5)} == {slot}
    assert slot_of(gateway, **{"x-version": "champion", "cookie": "version=challenger"}) == champion


@pytest.mark.parametrize("host", ["flights-shadow", "flights-shadow:8080"])
def test_no_caller_passes_for_a_copy(gateway: Any, host: str) -> None:
    """A Host that ends as those of copies reaches no slot: drawn or chosen, only the mirror's copy has it."""
    under(gateway, SHADOW, testers={"header": "x-version"})
    gateway.infer(host=host)
    gateway.infer(host=host, **{"x-version": "champion"})
    gateway.until(lambda: gateway.green.seen)

    assert [request["host"] for request in gateway.blue.seen] == ["trimtab", "trimtab"]
    assert [request["host"] for request in gateway.green.seen] == ["trimtab-shadow"]


@pytest.mark.parametrize("value", ["challengers", "challenger|green", "", "7", "greenish"])
def test_what_is_no_choice_is_drawn_as_any_request(gateway: Any, value: str) -> None:
    """Only the four words choose; in shadow everything else is the champion's."""
    under(gateway, SHADOW, testers={"header": "x-version", "cookie": "version"})

    assert slot_of(gateway, **{"x-version": value}) == "blue"
    assert slot_of(gateway, cookie=f"version={value}") == "blue"
    assert slot_of(gateway, cookie="other-version=challenger") == "blue"


@pytest.mark.parametrize("name", ["c" * 50, "!#$%&'*+.^_`|~-"])
def test_any_cookie_that_the_spec_takes_chooses(gateway: Any, name: str) -> None:
    """The longest name, and one of all signs that a name may have, are no trouble to Envoy."""
    under(gateway, SHADOW, testers={"cookie": name})

    assert slot_of(gateway, cookie=f"a=b; {name}=challenger") == "green"
    assert slot_of(gateway, cookie=f"x{name}=challenger") == "blue"


def test_testers_count_for_nothing_that_a_gate_reads(gateway: Any) -> None:
    """Their requests have a cluster of their own, are mirrored to nobody, and the server is told."""
    under(gateway, 0.5, testers={"header": "x-version"})
    for _ in range(20):
        assert slot_of(gateway, **{"x-version": "challenger", TESTER: "no"}) == "green"
    seen = [request["tester"] for request in (*gateway.green.seen, *gateway.blue.seen)]

    assert seen == ["challenger"] * 20
    assert counted(gateway, "flights-green-tester") == 20
    for cluster in ("flights-green", "flights-blue", "flights-green-shadow", "flights-blue-tester"):
        assert counted(gateway, cluster) == 0


def test_nobody_hides_from_the_gates(gateway: Any) -> None:
    """A caller that sends the gateway's own mark of a tester is counted as anybody else, and its copy too."""
    under(gateway, SHADOW, testers={"header": "x-version"})
    assert slot_of(gateway, **{TESTER: "challenger"}) == "blue"
    gateway.until(lambda: gateway.green.seen)

    assert [request["tester"] for request in (*gateway.blue.seen, *gateway.green.seen)] == [None, None]
    assert counted(gateway, "flights-blue") == 1


def test_without_a_rollout_there_is_nothing_to_choose(gateway: Any) -> None:
    """Once the traffic is settled the idle slot may hold anything: all requests are the champion's."""
    under(gateway, 0.5, testers={"header": "x-version"})
    gateway.router.amend("flights", Split.returned)

    assert {slot_of(gateway, **{"x-version": name}) for name in ("challenger", "green")} == {"blue"}


def test_a_router_of_one_model_keeps_the_choices_of_the_others(gateway: Any) -> None:
    """Another model's step changes the one file of all routes; users and testers of this one stay."""
    under(gateway, SHADOW, testers={"header": "x-version"}, sticky={"header": "x-user-id"})
    gateway.router.apply("hotels", at_step("blue", 1.0, gateway.lease()))

    assert slot_of(gateway, **{"x-version": "challenger"}) == "green"
    assert gateway.infer("hotels", **{"x-version": "champion"}).json() == {"slot": "green"}
