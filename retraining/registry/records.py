"""What the registry tells: a version, and who had an alias from when to when."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

Alias = Literal["champion", "challenger", "previous"]


@dataclass(frozen=True, slots=True)
class Version:
    """One registered version: number as text, aliases, and the tags that tell its story."""

    version: str
    aliases: tuple[str, ...]
    run_id: str
    tags: Mapping[str, str]

    @property
    def source(self) -> str:
        """What made it: ``retrain/<run>`` or ``adopt-<hash>``; empty where it is not ours."""
        return self.tags.get("trimtab.source", "")

    @property
    def status(self) -> str:
        """``registered``, ``challenger``, ``champion``, ``retired``, ``superseded`` or ``rejected``."""
        return self.tags.get("trimtab.status", "registered")


@dataclass(frozen=True, slots=True)
class Rejection:
    """A retrain that ended without a version: the MLflow run of its records, and the tags that tell why."""

    run_id: str
    tags: Mapping[str, str]

    @property
    def source(self) -> str:
        """``retrain/<run>``."""
        return self.tags["trimtab.source"]


@dataclass(frozen=True, slots=True)
class Reign:
    """A version had an alias, in the clock's time [start, end).

    Parameters
    ----------
    start
        None where nobody noted it: the alias was moved past Trimtab, such as in MLflow's own pages.
    end
        None while it lasts.
    approved
        Who made it champion, and why; empty of a challenger, and where nobody noted it.
    """

    alias: Alias
    version: str
    start: datetime | None
    end: datetime | None = None
    approved: str = ""
