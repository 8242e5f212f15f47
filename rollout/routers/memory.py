"""A router that only remembers: for tests, and for dry runs of a rollout."""

from __future__ import annotations

from collections.abc import Iterable
from threading import Lock

from rollout.routers import Change
from rollout.split import Split
from spec import NotFound, did_you_mean


class MemoryRouter:
    """Keeps the splits of `models` in this process; see `rollout.routers.Router`."""

    mirrors = True

    def __init__(self, models: Iterable[str]) -> None:
        self._lock = Lock()
        self._splits = dict.fromkeys(models, Split())

    def read(self, model: str) -> Split:
        """Return the model's split."""
        try:
            return self._splits[model]
        except KeyError:
            msg = f"There is no model {model!r}. {did_you_mean(model, self._splits)}"
            raise NotFound(msg) from None

    def apply(self, model: str, split: Split) -> None:
        """Remember `split`."""
        self.amend(model, lambda _: split)

    def amend(self, model: str, change: Change) -> Split:
        """Remember ``change(split)``."""
        with self._lock:
            self._splits[model] = change(self.read(model))
            return self._splits[model]
