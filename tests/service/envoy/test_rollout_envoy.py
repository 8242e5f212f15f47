"""Traffic through a real Envoy: weights, mirror, swaps under load, rejections, paths."""

import json
import socket
import threading
from typing import Any

import httpx
import pytest

from rollout.routers.envoy import EnvoyRouter
from rollout.split import Split
from rollout.steps import at_step, promoted
from spec import SHADOW, Refused

pytestmark = pytest.mark.service


def test_all_blue_at_first(gateway: Any) -> None:
    """Before any rollout every request of every model is answered by blue."""
    assert gateway.answered_by(20) == {"blue": 20}
    assert gateway.infer("hotels").json() == {"slot": "blue"}
    assert gateway.green.seen == []


def test_weights_are_honoured(gateway: Any) -> None:
    """At 25 % the challenger answers a quarter of the requests, at 100 % all of them."""
    gateway.router.apply("flights", at_step("blue", 0.25, gateway.lease()))
    share = gateway.answered_by(400)["green"] / 400
    gateway.router.apply("flights", at_step("blue", 1.0, gateway.lease()))

    assert 0.15 < share < 0.35  # five standard errors
    assert gateway.answered_by(50) == {"green": 50}


def test_mirror_gets_the_same_request(gateway: Any) -> None:
    """A mirrored request has the body and request id of the live one, and a host that tells it apart."""
    gateway.router.apply("flights", at_step("blue", SHADOW, gateway.lease()))
    answer = gateway.infer(body='{"id": "7"}', **{"x-request-id": "mine"})
    gateway.until(lambda: gateway.green.seen)
    live, copy = gateway.blue.seen[0], gateway.green.seen[0]

    assert (answer.json(), answer.headers["x-request-id"]) == ({"slot": "blue"}, "mine")
    assert (live["body"], live["id"], live["path"]) == (copy["body"], copy["id"], copy["path"])
    assert (live["host"], copy["host"]) == ("trimtab", "trimtab-shadow")


def test_request_id_is_made(gateway: Any) -> None:
    """A request without an id gets one, and the caller is told."""
    answer = gateway.infer()

    assert len(answer.headers["x-request-id"]) == 36
    assert gateway.blue.seen[0]["id"] == answer.headers["x-request-id"]


def test_swaps_under_load_lose_nothing(gateway: Any) -> None:
    """While the traffic is swapped forty times, every request is answered."""
    statuses: list[int] = []
    stop = threading.Event()

    def load() -> None:
        with httpx.Client(base_url=gateway.settings.gateway_url, timeout=10, trust_env=False) as client:
            while not stop.is_set():
                statuses.append(client.post("/v2/models/flights/infer", content="{}").status_code)

    threads = [threading.Thread(target=load) for _ in range(4)]
    for thread in threads:
        thread.start()
    for turn in range(20):
        gateway.router.apply("flights", at_step("blue", (0.05, 0.5, 1.0)[turn % 3], gateway.lease()))
        gateway.router.apply("flights", Split())
    stop.set()
    for thread in threads:
        thread.join()

    assert len(statuses) > 100
    assert set(statuses) == {200}


def test_rejected_routes_keep_the_ones_before(gateway: Any) -> None:
    """When Envoy rejects an update its reason is raised; state and traffic are as before."""
    gateway.router.apply("flights", at_step("blue", 1.0, gateway.lease()))
    before = gateway.router.read("flights")
    cds = gateway.settings.home / "envoy" / "cds.json"
    content = json.loads(cds.read_text())
    content["resources"].append({"name": "ghosts-blue"})
    cds.write_text(json.dumps(content))  # in place: Envoy does not look, the router does

    with pytest.raises(Refused, match="unknown weighted cluster 'ghosts-blue'"):
        gateway.router.apply("flights", at_step("blue", 0.05, gateway.lease()))
    assert gateway.router.read("flights") == before
    assert gateway.answered_by(20) == {"green": 20}


def test_model_without_clusters_is_refused(gateway: Any) -> None:
    """A model that was added after the bootstrap is refused before anything is written."""
    cars = {"cars": gateway.specs["hotels"].model_copy(update={"model": "cars"})}

    with pytest.raises(Refused, match="no clusters for 'cars'"):
        EnvoyRouter(gateway.settings, cars).apply("cars", Split())


def test_router_of_one_model_keeps_the_others(gateway: Any) -> None:
    """A process that knows one model only does not take the routes of the others."""
    gateway.router.apply("hotels", at_step("blue", 1.0, gateway.lease()))
    EnvoyRouter(gateway.settings, {"flights": gateway.specs["flights"]}).apply(
        "flights", at_step("blue", 0.5, gateway.lease())
    )

    assert gateway.infer("hotels").json() == {"slot": "green"}


def test_promotion_sends_all_to_the_challenger(gateway: Any) -> None:
    """After the promotion the challenger's slot answers everything and nothing is mirrored."""
    last = at_step("blue", 1.0, gateway.lease())
    gateway.router.apply("flights", last)
    gateway.router.apply("flights", promoted(last))

    assert gateway.answered_by(10) == {"green": 10}
    assert gateway.blue.seen == []


def test_application_errors_are_not_retried(gateway: Any) -> None:
    """A 500 of the model server reaches the caller at once, and the server is asked once."""
    gateway.blue.status = 500

    assert gateway.infer().status_code == 500
    assert len(gateway.blue.seen) == 1


@pytest.mark.parametrize(
    "path",
    [
        "/v2/repository/models/flights/load",
        "/v2/models/flights/../../repository/models/flights/load",
        "/v2/models/flights/%2e%2e/%2e%2e/repository/models/flights/load",
        "/v2/models/flights/..%2f..%2frepository/models/flights/load",
        "/v2/models/flightsx/infer",
        "/metrics",
    ],
)
def test_only_models_are_reachable(gateway: Any, path: str) -> None:
    """No path through the gateway reaches what loads models, another model, or the metrics."""
    with socket.create_connection(("127.0.0.1", int(gateway.settings.gateway_url.rpartition(":")[2]))) as raw:
        raw.sendall(
            f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".encode()
        )
        status = raw.makefile("rb").readline().split()[1]

    assert status in {b"404", b"400"}
    assert gateway.blue.seen == []


def test_health_and_unknown_paths(gateway: Any) -> None:
    """The gateway says itself that it is live, and names an unknown path an error in JSON."""
    health, unknown = gateway.client.get("/v2/health/ready"), gateway.client.get("/v2/models/cars")

    assert (health.status_code, health.json()) == (200, {"live": True, "ready": True})
    assert (unknown.status_code, "error" in unknown.json()) == (404, True)
    assert gateway.client.get("/v2/models/flights").json() == {"slot": "blue"}
