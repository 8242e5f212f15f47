"""A stand-in for Slack's incoming webhooks: every message becomes a line of a file.

A line is ``{"at": <time, ISO 8601 UTC>, "message": <the posted JSON>}``.
"""

from __future__ import annotations

import hmac
import json
import signal
import threading
from datetime import UTC, datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from spec import read_secret

_LARGEST = 1_000_000


def messages_file(home: Path) -> Path:
    """Return where the messages of a home are kept."""
    return home / "slack" / "messages.jsonl"


def server(home: Path, host: str, port: int) -> ThreadingHTTPServer:
    """Return the server, bound and not yet serving; messages need the secret in their path, as Slack's do."""
    path = f"/services/{read_secret(home / 'secrets' / 'slack')}"
    file, lock = messages_file(home), threading.Lock()
    file.parent.mkdir(parents=True, exist_ok=True)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(HTTPStatus.OK, "ok")

        def do_POST(self) -> None:
            size = int(self.headers.get("content-length") or 0)
            if not hmac.compare_digest(self.path.encode(), path.encode()):
                self._answer(HTTPStatus.FORBIDDEN, "invalid_token")
                return
            if size > _LARGEST:
                self._answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_large")
                return
            try:
                message = json.loads(self.rfile.read(size))
            except ValueError:
                self._answer(HTTPStatus.BAD_REQUEST, "invalid_payload")
                return
            line = json.dumps({"at": datetime.now(UTC).isoformat(), "message": message})
            with lock, file.open("a", encoding="utf-8") as stream:
                stream.write(line + "\n")
            self._answer(HTTPStatus.OK, "ok")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
            """Say nothing: the path holds the secret."""

        def _answer(self, status: HTTPStatus, text: str) -> None:
            body = text.encode()
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    return ThreadingHTTPServer((host, port), Handler)


def run(home: Path, host: str, port: int) -> None:
    """Serve until SIGTERM or Ctrl-C."""
    with server(home, host, port) as serving:

        def stop(*_: object) -> None:
            threading.Thread(target=serving.shutdown).start()  # shutdown waits for the loop it interrupts

        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)
        serving.serve_forever()
