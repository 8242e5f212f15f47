"""The stand-in for Slack over HTTP."""

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from trimtab import slack
from trimtab.stack import secrets

pytestmark = pytest.mark.service


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    """Serve on a free port; give the webhook's URL without its secret."""
    secrets.ensure(tmp_path / "secrets")
    with slack.server(tmp_path, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/services"
        server.shutdown()
        thread.join()


def post(url: str, body: bytes) -> tuple[int, str]:
    """POST a body and return status and text."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body)) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_messages_are_kept_with_their_time(url: str, tmp_path: Path) -> None:
    """Each message is one JSON line with the UTC time of its arrival, and the answer is Slack's."""
    hook = f"{url}/{secrets.secret(tmp_path, 'slack')}"
    assert [post(hook, json.dumps({"text": text}).encode()) for text in ("one", "zwei ü")] == [
        (200, "ok")
    ] * 2
    lines = [json.loads(line) for line in slack.messages_file(tmp_path).read_text("utf-8").splitlines()]
    assert [line["message"]["text"] for line in lines] == ["one", "zwei ü"]
    assert all(datetime.fromisoformat(line["at"]).utcoffset() is not None for line in lines)


def test_nobody_writes_without_the_secret(url: str, tmp_path: Path) -> None:
    """A path without the secret is refused and leaves no line."""
    assert post(f"{url}/guess", b"{}") == (403, "invalid_token")
    assert not slack.messages_file(tmp_path).exists()


def test_what_is_no_json_is_refused(url: str, tmp_path: Path) -> None:
    """A body that is no JSON is refused as Slack does."""
    hook = f"{url}/{secrets.secret(tmp_path, 'slack')}"
    assert post(hook, b"payload=1") == (400, "invalid_payload")
