"""The client of the model servers' repository extension, and the guard's own diary."""

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from monitors.results.store import Store
from rollout import guard, slots
from rollout.routers.memory import MemoryRouter
from rollout.split import Split
from rollout.steps import at_step
from spec import ModelSpec, Refused, Settings, Unavailable, loads

pytestmark = pytest.mark.service
SPEC: ModelSpec = loads("""
model: flights
task: binary
data: {inference_log: log, labels: labels, id: id, time: t, target: {name: late}}
features: {x: numeric}
""")
TOKEN = "swordfish"


class Server(ThreadingHTTPServer):
    """A model server that loads any version but 13."""

    version: str | None = None

    def told(self, path: str, body: dict[str, dict[str, str]], token: str | None) -> tuple[int, object]:
        """Answer a POST."""
        if token != f"Bearer {TOKEN}":
            return 401, {"error": "a token is needed"}
        version = body.get("parameters", {}).get("version")
        if version == "13":
            return 404, {"error": "there is no version 13"}
        self.version = version if path.endswith("/load") else None
        return 200, {}

    def asked(self, path: str) -> tuple[int, object]:
        """Answer a GET."""
        if path.endswith("/ready"):
            return (503, {"error": "empty"}) if self.version is None else (200, {"ready": True})
        return 200, {"name": "flights", "versions": [self.version]}


class Handler(BaseHTTPRequestHandler):
    """Speaks HTTP for `Server`."""

    server: Server

    def do_POST(self) -> None:
        """Tell."""
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self._answer(*self.server.told(self.path, body, self.headers["authorization"]))

    def do_GET(self) -> None:
        """Ask."""
        self._answer(*self.server.asked(self.path))

    def _answer(self, status: int, content: object) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(content).encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as http.server calls it
        """Say nothing."""


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    """Settings with a model server in green and nothing in blue."""
    token = tmp_path / "token"
    token.write_text(TOKEN)
    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        urls = {"blue": "http://127.0.0.1:9", "green": f"http://127.0.0.1:{server.server_port}"}
        env = {"TRIMTAB_HOME": str(tmp_path), "TRIMTAB_SERVING_TOKEN_FILE": str(token)}
        yield Settings.from_env(env | {"TRIMTAB_SLOTS": json.dumps({"flights": urls})})
        server.shutdown()
        thread.join()


def test_load_and_unload(settings: Settings) -> None:
    """A slot is ready with the version that was loaded, and empty after it was unloaded."""
    assert slots.loaded(SPEC, settings, "green") is None

    slots.load(SPEC, settings, "green", "7")

    assert (slots.ready(SPEC, settings, "green"), slots.loaded(SPEC, settings, "green")) == (True, "7")

    slots.unload(SPEC, settings, "green")

    assert not slots.ready(SPEC, settings, "green")


def test_refusal_brings_the_servers_reason(settings: Settings) -> None:
    """What the server will not load is refused with its own words, and the version before stays."""
    slots.load(SPEC, settings, "green", "7")

    with pytest.raises(Refused, match=r"flights/green refused .*/load: there is no version 13"):
        slots.load(SPEC, settings, "green", "13")
    assert slots.loaded(SPEC, settings, "green") == "7"


def test_wrong_token_is_refused_and_not_told(settings: Settings) -> None:
    """A server that does not take the token refuses, and the error does not hold the token."""
    settings.serving_token_file.write_text("herring")

    with pytest.raises(Refused, match="a token is needed") as caught:
        slots.load(SPEC, settings, "green", "7")
    assert "herring" not in str(caught.value)


def test_dead_server_is_unavailable(settings: Settings) -> None:
    """A server that does not answer is named with its address."""
    for call in (slots.ready, slots.loaded, slots.unload):
        with pytest.raises(Unavailable, match=r"flights/blue at http://127\.0\.0\.1:9"):
            call(SPEC, settings, "blue")


def test_guard_writes_to_the_results_store(settings: Settings) -> None:
    """A return of traffic is an event of kind guard in the results store, with the split that ended."""
    router, stop = MemoryRouter(["flights"]), threading.Event()
    ended = at_step("blue", 0.05, datetime.now(UTC) - timedelta(seconds=1))
    router.apply("flights", ended)
    daemon = threading.Thread(
        target=guard.run, args=({"flights": SPEC}, settings, router), kwargs={"stop": stop}
    )
    daemon.start()
    with Store(settings.results_url) as store:
        for _ in range(200):
            if events := store.events("flights"):
                break
            stop.wait(0.05)
    stop.set()
    daemon.join()

    assert [event.kind for event in events] == ["guard"]
    assert Split.model_validate(events[0].payload["split"]) == ended
    assert router.read("flights") == Split()


class Broken:
    """A diary that cannot be written."""

    def record_event(self, *_: object, **__: object) -> None:
        """Fail as a full disk does."""
        msg = "disk full"
        raise RuntimeError(msg)


def test_traffic_returns_though_the_diary_fails(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    """The traffic is safe before the event is written, and a failure to write is logged."""
    router = MemoryRouter(["flights"])
    router.apply("flights", at_step("blue", 0.05, datetime.now(UTC)))

    assert guard.look(["flights", "unknown"], settings, router, Broken()) == ["flights"]
    assert router.read("flights") == Split()
    assert "event of flights's guard was not recorded" in caplog.text
    assert "guard of unknown failed" in caplog.text
