"""Who let a version become the champion: the rollout's gates, or a person."""

from __future__ import annotations

import getpass
import os
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Approval:
    """Who approved a promotion, and why; when, is the promotion's own time."""

    by: str
    because: str = ""

    @classmethod
    def by_hand(cls, name: str | None = None, because: str = "") -> Approval:
        """Return the approval of a person; without a name, of the user whose process this is."""
        return cls(name or _user(), because)

    @classmethod
    def by_gates(cls, names: Iterable[str], people: Iterable[str] = ()) -> Approval:
        """Return the approval of gates, each of which was passed, and of the people who were asked."""
        asked = ", ".join(dict.fromkeys(people))
        gates = f"gates {', '.join(dict.fromkeys(names)) or 'none'}"
        return cls(f"{asked}, and {gates}" if asked else f"automatic: {gates}")

    def __str__(self) -> str:
        """As people read it."""
        return f"{self.by}: {self.because}" if self.because else self.by


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user without a name
        return f"uid {os.getuid()}"
