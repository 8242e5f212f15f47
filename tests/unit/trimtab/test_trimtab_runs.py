"""Starting a run by hand where something else than Airflow listens."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from spec import Settings, Unavailable
from trimtab import runs


@pytest.fixture
def listen() -> Iterator[Callable[[bytes], str]]:
    """Start a server that answers everything with one body; give back its address."""
    servers: list[ThreadingHTTPServer] = []

    def begin(body: bytes) -> str:
        class Stranger(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                """Answer with 201, as Airflow does to a login."""
                self.rfile.read(int(self.headers["Content-Length"] or 0))
                self.send_response(201)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_GET(self) -> None:
                """Answer alike."""
                self.do_POST()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        servers.append(ThreadingHTTPServer(("127.0.0.1", 0), Stranger))
        threading.Thread(target=servers[-1].serve_forever, args=(0.02,)).start()
        return f"http://127.0.0.1:{servers[-1].server_port}"

    yield begin
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("body", [b"<html>Welcome</html>", b"[]", b"{}", b"", b'{"access_token": "open"}'])
def test_a_stranger_in_airflows_place_is_named(
    body: bytes, listen: Callable[[bytes], str], tmp_path: Path
) -> None:
    """Whatever it says, the address is told, and no run is thought to have begun."""
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets/airflow").write_text("sesame")
    url = listen(body)
    settings = Settings.from_env({"TRIMTAB_HOME": str(tmp_path), "TRIMTAB_AIRFLOW_URL": url})

    with pytest.raises(Unavailable, match=f"What answers at {url}/.* is not Airflow: "):
        runs.start(settings, "rollout_shop", {})
