"""Traffic through a real Envoy: weights, mirror, swaps under load, rejections, lost judges."""

import json
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from rollout import guard
from rollout.routers.envoy import EnvoyRouter, bootstrap, command
from rollout.split import Split
from rollout.steps import at_step, promoted
from spec import SHADOW, ModelSpec, Refused, Settings, Unavailable, loads

pytestmark = pytest.mark.service
ENVOY = str(Path(sys.executable).with_name("envoy"))
SPECS: dict[str, ModelSpec] = {
    name: loads(f"""
model: {name}
task: binary
data: {{inference_log: log, labels: labels, id: id, time: t, target: {{name: late}}}}
features: {{x: numeric}}
""")
    for name in ("flights", "hotels")
}


@dataclass
class Slot:
    """A model server that only remembers who asked what."""

    name: str
    status: int = 200
    seen: list[dict[str, str]] = field(default_factory=list)

    @contextmanager
    def serving(self) -> Iterator[int]:
        """Listen; the port."""
        slot = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # one packet an answer
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
                request = {"host": self.headers["host"], "id": self.headers["x-request-id"]}
                slot.seen.append({"path": self.path, "body": body, **request})
                answer = json.dumps({"slot": slot.name}).encode()
                self.send_response(slot.status)
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            do_GET = do_POST  # noqa: N815 - the name that http.server calls

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as above
                pass

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            thread = threading.Thread(target=server.serve_forever, args=(0.05,))
            thread.start()
            try:
                yield server.server_port
            finally:
                server.shutdown()
                thread.join()


@dataclass
class Gateway:
    """A running Envoy with two model servers behind it."""

    settings: Settings
    blue: Slot
    green: Slot
    client: httpx.Client
    process: subprocess.Popen[bytes]

    @property
    def router(self) -> EnvoyRouter:
        """A router of all models."""
        return EnvoyRouter(self.settings, SPECS)

    def infer(self, model: str = "flights", body: str = "{}", **headers: str) -> httpx.Response:
        """Ask for one prediction."""
        return self.client.post(f"/v2/models/{model}/infer", content=body, headers=headers)

    def answered_by(self, count: int) -> Counter[str]:
        """Who answers that many requests."""
        return Counter(str(self.infer().json()["slot"]) for _ in range(count))


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(one.getsockname()[1]) for one in sockets]
    for one in sockets:
        one.close()
    return ports


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    """Two model servers and an Envoy before them."""
    blue, green = Slot("blue"), Slot("green")
    with ExitStack() as stack:
        urls = {
            slot.name: f"http://127.0.0.1:{stack.enter_context(slot.serving())}" for slot in (blue, green)
        }
        port, admin = _free_ports(2)
        env = {
            "TRIMTAB_HOME": str(tmp_path),
            "TRIMTAB_GATEWAY_URL": f"http://127.0.0.1:{port}",
            "TRIMTAB_ENVOY_ADMIN_URL": f"http://127.0.0.1:{admin}",
            "TRIMTAB_SLOTS": json.dumps(dict.fromkeys(SPECS, urls)),
        }
        settings = Settings.from_env(env)
        bootstrap(settings, SPECS, port, admin)
        process = stack.enter_context(start(settings))
        client = stack.enter_context(httpx.Client(base_url=settings.gateway_url, timeout=10, trust_env=False))
        yield Gateway(settings, blue, green, client, process)


@contextmanager
def start(settings: Settings) -> Iterator[subprocess.Popen[bytes]]:
    """Run Envoy on the files that `bootstrap` wrote."""
    with subprocess.Popen([*command(settings, ENVOY), "--concurrency", "1"]) as process:
        try:
            until(lambda: answers(f"{settings.envoy_admin_url}/ready"))
            yield process
        finally:
            process.kill()


def answers(url: str) -> bool:
    """Whether a URL answers with success."""
    try:
        return httpx.get(url, timeout=1, trust_env=False).is_success
    except httpx.TransportError:
        return False


def until(condition: object, seconds: float = 20) -> None:
    """Wait for something that a server does on its own; fail after some seconds."""
    assert callable(condition)
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def lease(seconds: float = 60) -> datetime:
    """Some wall time from now."""
    return datetime.now(UTC) + timedelta(seconds=seconds)


def test_all_blue_at_first(gateway: Gateway) -> None:
    """Before any rollout every request of every model is answered by blue."""
    assert gateway.answered_by(20) == {"blue": 20}
    assert gateway.infer("hotels").json() == {"slot": "blue"}
    assert gateway.green.seen == []


def test_weights_are_honoured(gateway: Gateway) -> None:
    """At 25 % the challenger answers a quarter of the requests, at 100 % all of them."""
    gateway.router.apply("flights", at_step("blue", 0.25, lease()))
    share = gateway.answered_by(400)["green"] / 400
    gateway.router.apply("flights", at_step("blue", 1.0, lease()))

    assert 0.15 < share < 0.35  # five standard errors
    assert gateway.answered_by(50) == {"green": 50}


def test_mirror_gets_the_same_request(gateway: Gateway) -> None:
    """A mirrored request has the body and request id of the live one, and a host that tells it apart."""
    gateway.router.apply("flights", at_step("blue", SHADOW, lease()))
    answer = gateway.infer(body='{"id": "7"}', **{"x-request-id": "mine"})
    until(lambda: gateway.green.seen)
    live, copy = gateway.blue.seen[0], gateway.green.seen[0]

    assert (answer.json(), answer.headers["x-request-id"]) == ({"slot": "blue"}, "mine")
    assert (live["body"], live["id"], live["path"]) == (copy["body"], copy["id"], copy["path"])
    assert live["host"].partition(":")[0] + "-shadow" == copy["host"].partition(":")[0]


def test_request_id_is_made(gateway: Gateway) -> None:
    """A request without an id gets one, and the caller is told."""
    answer = gateway.infer()

    assert len(answer.headers["x-request-id"]) == 36
    assert gateway.blue.seen[0]["id"] == answer.headers["x-request-id"]


def test_swaps_under_load_lose_nothing(gateway: Gateway) -> None:
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
        gateway.router.apply("flights", at_step("blue", (0.05, 0.5, 1.0)[turn % 3], lease()))
        gateway.router.apply("flights", Split())
    stop.set()
    for thread in threads:
        thread.join()

    assert len(statuses) > 100
    assert set(statuses) == {200}


def test_rejected_routes_keep_the_ones_before(gateway: Gateway) -> None:
    """When Envoy rejects an update its reason is raised; state and traffic are as before."""
    gateway.router.apply("flights", at_step("blue", 1.0, lease()))
    before = gateway.router.read("flights")
    cds = gateway.settings.home / "envoy" / "cds.json"
    content = json.loads(cds.read_text())
    content["resources"].append({"name": "ghosts-blue"})
    cds.write_text(json.dumps(content))  # in place: Envoy does not look, the router does

    with pytest.raises(Refused, match="unknown weighted cluster 'ghosts-blue'"):
        gateway.router.apply("flights", at_step("blue", 0.05, lease()))
    assert gateway.router.read("flights") == before
    assert gateway.answered_by(20) == {"green": 20}


def test_model_without_clusters_is_refused(gateway: Gateway) -> None:
    """A model that was added after the bootstrap is refused before anything is written."""
    cars = {"cars": SPECS["hotels"].model_copy(update={"model": "cars"})}

    with pytest.raises(Refused, match="no clusters for 'cars'"):
        EnvoyRouter(gateway.settings, cars).apply("cars", Split())


def test_router_of_one_model_keeps_the_others(gateway: Gateway) -> None:
    """A process that knows one model only does not take the routes of the others."""
    gateway.router.apply("hotels", at_step("blue", 1.0, lease()))
    EnvoyRouter(gateway.settings, {"flights": SPECS["flights"]}).apply(
        "flights", at_step("blue", 0.5, lease())
    )

    assert gateway.infer("hotels").json() == {"slot": "green"}


def test_dead_envoy_is_unavailable(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Envoy a canary is not begun, and the Envoy that comes back starts without it."""
    monkeypatch.setattr("rollout.routers.envoy.CONFIRM_S", 0.3)
    gateway.process.kill()
    gateway.process.wait()

    with pytest.raises(Unavailable, match="did not confirm"):
        gateway.router.apply("flights", at_step("blue", 1.0, lease()))
    assert gateway.router.read("flights") == Split()
    with start(gateway.settings):
        assert gateway.answered_by(10) == {"blue": 10}


def test_return_to_the_champion_outlives_a_dead_envoy(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A return that no Envoy confirmed is reported, kept for the next Envoy, and tried again by the guard."""
    gateway.router.apply("flights", at_step("blue", 1.0, lease(0)))
    monkeypatch.setattr("rollout.routers.envoy.CONFIRM_S", 0.3)
    gateway.process.kill()
    gateway.process.wait()

    assert guard.look(SPECS, gateway.settings, gateway.router, Diary()) == []
    with start(gateway.settings):
        assert gateway.answered_by(10) == {"blue": 10}
        assert guard.look(SPECS, gateway.settings, gateway.router, Diary()) == ["flights"]
    assert gateway.router.read("flights") == Split()


class Diary:
    """Events, kept in memory."""

    def __init__(self) -> None:
        self.kinds: list[str] = []

    def record_event(self, model: str, kind: str, text: str, at: datetime, payload: object = None) -> None:
        """Keep one."""
        assert (model, bool(text), at.tzinfo, bool(payload)) == ("flights", True, UTC, True)
        self.kinds.append(kind)


JUDGE = """
import sys, time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from rollout import renew
from rollout.routers.envoy import EnvoyRouter
from spec import Settings, loads
specs = {"flights": loads(sys.argv[1])}
router = EnvoyRouter(Settings.from_env(), specs)
while True:
    renew(router, "flights", datetime.now(UTC) + timedelta(seconds=1))
    print("renewed", flush=True)
    time.sleep(0.1)
"""


def test_guard_takes_over_when_the_judge_is_killed(gateway: Gateway) -> None:
    """While a judge renews, the canary keeps its traffic; after kill -9 the guard returns it all."""
    gateway.router.apply("flights", at_step("blue", 1.0, lease(15)))
    diary, stop = Diary(), threading.Event()
    daemon = threading.Thread(
        target=guard.run,
        args=({"flights": SPECS["flights"]}, gateway.settings, gateway.router),
        kwargs={"stop": stop, "events": diary},
    )
    text = json.dumps(SPECS["flights"].model_dump(mode="json", by_alias=True, exclude_unset=True))
    env = {
        "TRIMTAB_HOME": str(gateway.settings.home),
        "TRIMTAB_ENVOY_ADMIN_URL": gateway.settings.envoy_admin_url,
    }
    with subprocess.Popen([sys.executable, "-c", JUDGE, text], env=env, stdout=subprocess.PIPE) as judge:
        try:
            assert judge.stdout is not None
            for _ in range(5):
                assert judge.stdout.readline() == b"renewed\n"
            daemon.start()
            while_judged = gateway.answered_by(20)
            judge.kill()
            until(lambda: diary.kinds == ["guard"])
        finally:
            judge.kill()
            stop.set()
            daemon.join()

    assert while_judged == {"green": 20}
    assert gateway.answered_by(20) == {"blue": 20}


def test_promotion_sends_all_to_the_challenger(gateway: Gateway) -> None:
    """After the promotion the challenger's slot answers everything and nothing is mirrored."""
    last = at_step("blue", 1.0, lease())
    gateway.router.apply("flights", last)
    gateway.router.apply("flights", promoted(last))

    assert gateway.answered_by(10) == {"green": 10}
    assert gateway.blue.seen == []


def test_application_errors_are_not_retried(gateway: Gateway) -> None:
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
def test_only_models_are_reachable(gateway: Gateway, path: str) -> None:
    """No path through the gateway reaches what loads models, another model, or the metrics."""
    with socket.create_connection(("127.0.0.1", int(gateway.settings.gateway_url.rpartition(":")[2]))) as raw:
        raw.sendall(
            f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".encode()
        )
        status = raw.makefile("rb").readline().split()[1]

    assert status in {b"404", b"400"}
    assert gateway.blue.seen == []


def test_health_and_unknown_paths(gateway: Gateway) -> None:
    """The gateway says itself that it is live, and names an unknown path an error in JSON."""
    health, unknown = gateway.client.get("/v2/health/ready"), gateway.client.get("/v2/models/cars")

    assert (health.status_code, health.json()) == (200, {"live": True, "ready": True})
    assert (unknown.status_code, "error" in unknown.json()) == (404, True)
    assert gateway.client.get("/v2/models/flights").json() == {"slot": "blue"}


def test_bootstrap_keeps_a_running_rollout(gateway: Gateway) -> None:
    """A restart of the stack resumes a rollout whose lease holds, and not one whose lease ran out."""
    gateway.router.apply("flights", at_step("blue", 0.5, lease()))
    gateway.router.apply("hotels", at_step("green", 0.5, lease(-1)))
    before = gateway.router.read("flights")
    bootstrap(gateway.settings, SPECS, *_free_ports(2))

    assert gateway.router.read("flights") == before
    assert gateway.router.read("hotels") == Split(champion="green")
