"""How late the event loop is: requests that wait for it have no time of their own to show."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

_EVERY_S = 0.25


class LoopLag:
    """Asks the running loop for a call four times a second and tells how many seconds late each comes."""

    def __init__(self, observe: Callable[[float], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._observe = observe
        self._next = self._ask(self._loop.time() + _EVERY_S)

    def stop(self) -> None:
        """Ask no more."""
        self._next.cancel()

    def _ask(self, due: float) -> asyncio.TimerHandle:
        return self._loop.call_at(due, self._called, due)

    def _called(self, due: float) -> None:
        now = self._loop.time()
        self._observe(max(now - due, 0.0))
        self._next = self._ask(now + _EVERY_S)
