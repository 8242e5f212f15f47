"""Sends requests at a constant rate and tells how long each answer took since its request was due.

    python open_loop.py PORT FILE RATE SECONDS CONNECTIONS

A server that stalls is not spared the requests that fall due meanwhile: they wait here for a free connection,
and that wait counts (no coordinated omission). The process spins on a core of its own, because timers of
event loops wake only each millisecond. Prints JSON: latencies in ms, and what failed.
"""

from __future__ import annotations

import gc
import json
import select
import socket
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import cycle
from pathlib import Path
from time import perf_counter

_PATIENCE_S = 10.0


def read(file: Path) -> list[bytes]:
    """Read what `load.write` wrote: a line with the length, then the request."""
    content, found, at = file.read_bytes(), [], 0
    while at < len(content):
        end = content.index(b"\n", at)
        length = int(content[at:end])
        found.append(content[end + 1 : end + 1 + length])
        at = end + 1 + length
    return found


class Connection:
    """One keep-alive connection, one request at a time."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.due = 0.0
        self._received = b""

    def send(self, request: bytes, due: float) -> None:
        """Send a request that was due at `due`."""
        self.due = due
        self._received = b""
        self.socket.sendall(request)

    def answered(self) -> bool | None:
        """Read what has come: None until the answer is whole, then whether it is a 200."""
        piece = self.socket.recv(65536)
        if not piece:
            message = "the server closed a connection"
            raise ConnectionError(message)
        self._received += piece
        head, found, body = self._received.partition(b"\r\n\r\n")
        if not found:
            return None
        lower = head.lower()
        start = lower.index(b"content-length:") + 15
        end = lower.find(b"\r\n", start)
        length = int(lower[start:] if end < 0 else lower[start:end])
        return head[9:12] == b"200" if len(body) >= length else None


def drive(
    port: int, requests: list[bytes], rate: float, seconds: float, connections: int
) -> tuple[list[float], int]:
    """Send at `rate` a second for `seconds`; return the latencies [ms] and how many failed.

    What has no answer some seconds after the end has failed too.
    """
    with ExitStack() as stack:
        poll = stack.enter_context(select.epoll())
        opened = [Connection(port) for _ in range(connections)]
        for each in opened:
            stack.enter_context(each.socket)
            poll.register(each.socket.fileno(), select.EPOLLIN)
        return _drive(poll, opened, cycle(requests), rate, round(rate * seconds))


def _drive(
    poll: select.epoll, opened: list[Connection], content: Iterator[bytes], rate: float, total: int
) -> tuple[list[float], int]:
    by_number = {each.socket.fileno(): each for each in opened}
    idle, waiting = deque(opened), deque[float]()
    latencies: list[float] = []
    wrong, sent, start = 0, 0, perf_counter()
    end = start + total / rate + _PATIENCE_S
    while len(latencies) + wrong < total and perf_counter() < end:
        now = perf_counter()
        while sent < total and start + sent / rate <= now:
            waiting.append(start + sent / rate)
            sent += 1
        while waiting and idle:
            idle.popleft().send(next(content), waiting.popleft())
        for number, _ in poll.poll(0):
            connection = by_number[number]
            right = connection.answered()
            if right is None:
                continue
            if right:
                latencies.append((perf_counter() - connection.due) * 1e3)
            wrong += not right
            idle.append(connection)
    return latencies, total - len(latencies)


def main() -> None:
    """Drive as the arguments say."""
    port, file, rate, seconds, connections = sys.argv[1:]
    gc.disable()
    found = drive(int(port), read(Path(file)), float(rate), float(seconds), int(connections))
    json.dump(dict(zip(("latencies_ms", "failed"), found, strict=True)), sys.stdout)


if __name__ == "__main__":
    main()
