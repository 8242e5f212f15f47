"""Ways to divide traffic. A router is three methods; `MemoryRouter` is the smallest one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from rollout.split import Split

Change = Callable[[Split], Split]


class Router(Protocol):
    """Divides the requests of each model between its two slots.

    A model that was never touched sends everything to the champion in slot ``blue``.
    Writers of one model, in any thread or process, exclude each other.
    """

    def read(self, model: str) -> Split:
        """Return the split that was last confirmed.

        Raises
        ------
        NotFound
            There is no such model.
        """
        ...

    def apply(self, model: str, split: Split) -> None:
        """Divide the traffic as `split` says; return once it is in force.

        Raises
        ------
        NotFound
            There is no such model.
        Refused
            The data plane rejected the split, with its reason; the one before it stays in force.
        Unavailable
            The data plane did not confirm in time; `read` still returns the split before.
        """
        ...

    def amend(self, model: str, change: Change) -> Split:
        """Replace the split by ``change(split)`` as one step that no other writer can come between.

        What `change` raises is passed on and leaves everything as it was. Otherwise as `apply`;
        returns the new split.
        """
        ...
