"""One inference request from its last byte to its answer."""

from __future__ import annotations

from asyncio import Future
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import cast

from serving.http import Message, Receive, Response
from serving.origin import Origin
from serving.slot import Live


@dataclass(slots=True, eq=False)
class Job:
    """A request whose body has arrived; `started` and `deadline` are `time.perf_counter` seconds."""

    body: bytes
    json_bytes: bytes | None
    """The header that says how much of the body is JSON."""
    fallback_id: str
    """The id of a request that names none."""
    origin: Origin
    version: str | None
    """What the caller insists on."""
    started: float
    deadline: float
    receive: Receive
    answer: Future[Response]
    live: Live | None = None
    """What it is answered with, from its turn on."""

    def has_gone(self) -> bool:
        """Tell whether the client has closed the connection, without waiting for it to.

        ASGI tells it by `receive`, which returns only then; so it is asked and left.
        """
        asking = cast("Coroutine[object, None, Message]", self.receive())
        try:
            asking.send(None)
        except StopIteration as told:
            return bool(told.value["type"] == "http.disconnect")
        asking.close()
        return False
