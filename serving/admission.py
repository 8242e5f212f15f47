"""How many requests a server takes on at once; whom it turns away hears when to come back."""

from __future__ import annotations

from math import ceil
from time import perf_counter

from serving.http import HttpError


class Admission:
    """Counts requests from their headers to their answers; a context, or `take` and `release`.

    Parameters
    ----------
    most
        Requests that may be waiting or in work at once.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self.begun = 0
        """Requests that have no answer yet."""
        self._busy_since = 0.0
        self._answered = 0

    def __enter__(self) -> None:
        self.take()

    def __exit__(self, *_: object) -> None:
        self.release()

    def take(self) -> None:
        """Take a request on.

        Raises
        ------
        HttpError
            429 when there are too many already, with the seconds until those will be answered.
        """
        if self.begun >= self._most:
            seconds = self.seconds_to_drain()
            text = f"{self.begun} requests wait already, as many as may; try again in {seconds} s"
            raise HttpError(429, text, ((b"retry-after", str(seconds).encode()),), is_fault=True)
        if not self.begun:
            self._busy_since, self._answered = perf_counter(), 0
        self.begun += 1

    def release(self) -> None:
        """Let a request go, answered or not."""
        self.begun -= 1
        self._answered += 1

    def seconds_to_drain(self) -> int:
        """Return how long what has begun will take at the pace since the last idle moment; at least 1."""
        seconds = perf_counter() - self._busy_since
        return max(1, ceil(self.begun * seconds / max(self._answered, 1)))
