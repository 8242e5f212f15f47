"""Trouble that lasts is told when it begins and when it ends, not each time that it is met."""

from __future__ import annotations

import logging
from threading import Lock
from time import monotonic

from spec import TrimtabError

_logger = logging.getLogger(__name__)


class Trouble:
    """Something that fails again and again until it is well; may be told from several threads.

    Parameters
    ----------
    what
        What does not work and what becomes of it, as the beginning of a sentence.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._since: float | None = None
        self._times = 0
        self._lock = Lock()

    def begins(self, error: Exception) -> None:
        """Log the first error with all that is known of it; count the others."""
        with self._lock:
            self._times += 1
            if self._since is not None:
                return
            self._since = monotonic()
        known = error.__cause__ or (None if isinstance(error, TrimtabError) else error)  # our words say all
        _logger.error("%s: %s", self._what, error, exc_info=known)

    def ends(self) -> None:
        """Log that it works again, if it did not."""
        if self._since is None:  # nearly always, without a lock
            return
        with self._lock:
            since, times = self._since, self._times
            self._since, self._times = None, 0
        if since is not None:
            _logger.warning("over after %.0f s and %d failures: %s", monotonic() - since, times, self._what)
