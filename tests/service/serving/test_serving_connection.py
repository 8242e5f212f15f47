"""What a real server answers directly and what it answers by ASGI: a path with a query goes by ASGI."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

pytestmark = pytest.mark.service

Start = Callable[..., Any]
INFER = "/v2/models/tides/infer"
TENSORS = [
    {"name": "depth", "shape": [1], "datatype": "FP64", "data": [2.5]},
    {"name": "spring", "shape": [1], "datatype": "BOOL", "data": [True]},
    {"name": "port", "shape": [1], "datatype": "BYTES", "data": ["Brest"]},
]
GOOD = json.dumps({"id": "a", "inputs": TENSORS}).encode()
HEALTH = b"GET /v2/health/live HTTP/1.1\r\nhost: x\r\n\r\n"
BODIES = {
    "good": (200, GOOD),
    "no JSON": (400, b'{"inputs": ['),
    "a tensor short": (400, json.dumps({"id": "a", "inputs": TENSORS[1:]}).encode()),
    "empty": (400, b""),
    "large": (200, GOOD + b" " * 40_000),
}


def post(body: bytes = GOOD, path: str = INFER, headers: str = "", version: str = "1.1") -> bytes:
    """A whole request, its length told."""
    head = f"POST {path} HTTP/{version}\r\nhost: x\r\ncontent-length: {len(body)}\r\n{headers}\r\n"
    return head.encode() + body


class Client:
    """One connection, on which bytes are sent as they are."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.file = self.socket.makefile("rb")

    def answer(self) -> tuple[int, dict[str, str], bytes]:
        """Read one answer."""
        status = int(self.file.readline().split()[1])
        lines = iter(lambda: self.file.readline().decode().strip(), "")
        headers = dict(line.split(": ", 1) for line in lines)
        return status, headers, self.file.read(int(headers.get("content-length", "0")))

    def has_ended(self) -> bool:
        """Wait for the next byte; tell whether the server has closed instead."""
        return self.file.read(1) == b""


@pytest.fixture
def client(start: Start) -> Iterator[Client]:
    """A connection to a server with a fast model."""
    found = Client(start().port)
    yield found
    found.file.close()
    found.socket.close()


def test_both_ways_answer_the_same(client: Client) -> None:
    """Status, headers and body are equal, of good requests and of bad ones."""
    for status, body in BODIES.values():
        answers = []
        for path in (INFER, f"{INFER}?x"):
            client.socket.sendall(post(body, path))
            answers.append(client.answer())
            answers[-1][1].pop("date")
        assert answers[0] == answers[1]
        assert answers[0][0] == status


def test_requests_in_one_packet_are_answered_in_order(client: Client) -> None:
    """Both ways may follow each other without a pause; the last answer says that the connection ends."""
    bodies = [json.dumps({"id": str(number), "inputs": TENSORS}).encode() for number in range(4)]
    packets = [post(bodies[0]), post(bodies[1]), HEALTH, post(bodies[2], f"{INFER}?x"), post(bodies[3])]
    client.socket.sendall(b"".join([*packets, post(headers="connection: close\r\n")]))

    answers = [client.answer() for _ in range(6)]

    assert [status for status, *_ in answers] == [200] * 6
    assert [json.loads(body).get("id") for *_, body in answers] == ["0", "1", None, "2", "3", "a"]
    assert "connection" not in answers[4][1]
    assert answers[5][1]["connection"] == "close"
    assert client.has_ended()


def test_a_request_may_come_in_pieces(client: Client) -> None:
    """Wherever it is cut, it is answered once it is whole."""
    whole = post()
    for cut in (5, 60, len(whole) - len(GOOD), len(whole) - 1):
        client.socket.sendall(whole[:cut])
        client.socket.sendall(whole[cut:])
        assert client.answer()[0] == 200
    for at in range(len(whole)):
        client.socket.sendall(whole[at : at + 1])
    assert client.answer()[0] == 200


def test_unusual_requests_are_answered_as_http_says(client: Client) -> None:
    """In chunks, after a 100 Continue, of HTTP 1.0, and on a connection that shall close."""
    chunked = f"POST {INFER} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n{len(GOOD):x}\r\n"
    client.socket.sendall(chunked.encode() + GOOD + b"\r\n0\r\n\r\n")
    assert client.answer()[0] == 200

    head, body = post(headers="expect: 100-continue\r\n").split(b"\r\n\r\n")
    client.socket.sendall(head + b"\r\n\r\n")
    assert client.answer()[0] == 100
    client.socket.sendall(body)
    assert client.answer()[0] == 200

    client.socket.sendall(post(version="1.0"))
    assert client.answer()[0] == 200
    assert client.has_ended()


def test_a_client_that_leaves_harms_nobody(start: Start) -> None:
    """In the middle of a body or before the answer: others are answered, and nothing stays in flight."""
    server = start()
    for part in (post()[:-9], post()):
        leaver = Client(server.port)
        leaver.socket.sendall(part)
        leaver.file.close()
        leaver.socket.close()

    assert server.infer("b")[0] == 200
    assert server.metric("trimtab_requests_in_flight{") == 0
    assert server.stop() == 0
    assert "Traceback" not in server.log.read_text()


def test_a_direct_request_is_counted_as_any_other(start: Start) -> None:
    """Outcomes, and bytes of bodies both ways, are the same figures by both ways."""
    server = start()
    client = Client(server.port)

    def figures() -> list[float]:
        ok, bad = (f'outcome="{outcome}"' for outcome in ("ok", "client_error"))
        sizes = [f'trimtab_prediction_bytes_total{{direction="{way}"' for way in ("received", "sent")]
        names = [f'trimtab_predictions_total{{model="tides",{one}' for one in (ok, bad)]
        lines = server.call("GET", "/metrics")[1].splitlines()
        return [
            sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))
            for name in (*names, *sizes, "trimtab_prediction_rows_total{")
        ]

    seen = [figures()]
    for path in (INFER, f"{INFER}?x"):
        for _, body in (BODIES["good"], BODIES["no JSON"]):
            client.socket.sendall(post(body, path))
            client.answer()
        seen.append(figures())
    client.file.close()
    client.socket.close()

    by_direct, by_asgi = ([b - a for a, b in zip(*pair, strict=True)] for pair in (seen[:2], seen[1:]))
    assert by_direct == by_asgi
    assert by_direct[:3] == [1, 1, len(GOOD)]
