"""Which version stands in which slot and what traffic it gets, by the state files of serving and rollout."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spec.settings import SLOTS

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Deployment:
    """What is known of a model's slots; empty where nothing is.

    Parameters
    ----------
    versions
        Version by slot, of the slots that hold one.
    champion
        The champion's slot.
    traffic
        Share of the live traffic by slot, in [0, 1].
    """

    versions: Mapping[str, str] = field(default_factory=dict)
    champion: str = SLOTS[0]
    traffic: Mapping[str, float] = field(default_factory=dict)

    @property
    def champion_version(self) -> str | None:
        """The version in the champion's slot."""
        return self.versions.get(self.champion)

    def stage(self, version: str) -> str:
        """Return ``champion``, ``challenger`` (in the other slot, and newer) or ``previous``."""
        if version == self.champion_version:
            return "champion"
        waits = version in self.versions.values() and _age(version) > _age(self.champion_version or "")
        return "challenger" if waits else "previous"


def read(home: Path, model: str) -> Deployment:
    """Read what `<home>/slots` and `<home>/routes` say of a model; an unreadable file says nothing."""
    files = {slot: _json(home / "slots" / f"{model}-{slot}.json") for slot in SLOTS}
    versions = {slot: str(state["version"]) for slot, state in files.items() if state.get("version")}
    route = _json(home / "routes" / f"{model}.json")
    champion = route.get("champion")
    weights = route.get("weights")
    if not isinstance(weights, dict):  # before the first rollout all traffic goes to the first slot
        weights = {SLOTS[0]: 100} if versions else {}
    traffic = {slot: float(weights.get(slot, 0)) / 100 for slot in SLOTS} if weights else {}
    return Deployment(versions, champion if champion in SLOTS else SLOTS[0], traffic)


def _json(file: Path) -> dict[str, Any]:
    try:
        state = json.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        _log.warning("%s cannot be read: %s", file, error)
        return {}
    return state if isinstance(state, dict) else {}


def _age(version: str) -> tuple[int, str]:
    """Order version numbers as the registry counts them."""
    return len(version), version
