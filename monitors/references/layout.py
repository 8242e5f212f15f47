"""A reference on disk: the names of its files, and what `reference.json` tells.

It is a folder ``<home>/references/<model>/<version>/`` of ``reference.parquet`` (a sample of the
rows), ``reference.profile`` (counts of all of them), ``seasons.parquet`` (their profile by slot, if the spec
names a season), ``held.parquet`` (labelled rows that it was not trained on, if there are any) and
``reference.json``. It appears whole or not at all, and never changes.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from spec.errors import DataError, Problem
from spec.model import ModelSpec
from spec.settings import Settings

SCHEMA_VERSION = 2
UNPROFILED = 1
"""The schema version of references without a profile."""
ROWS, FACTS, PROFILE, SEASONS, HELD = (
    "reference.parquet",
    "reference.json",
    "reference.profile",
    "seasons.parquet",
    "held.parquet",
)


def folder(spec: ModelSpec, settings: Settings, version: str) -> Path:
    """Return the folder of a version's reference, which need not be there."""
    return _model(spec, settings) / version


def versions(spec: ModelSpec, settings: Settings) -> tuple[str, ...]:
    """Return the versions that have a reference, the oldest number first."""
    names = (path.parent.name for path in _model(spec, settings).glob(f"[!.]*/{FACTS}"))
    return tuple(sorted(names, key=lambda name: (len(name), name)))


def any_held(spec: ModelSpec, settings: Settings) -> bool:
    """Return whether any version came with held-out rows; the files are not read."""
    return any(_model(spec, settings).glob(f"[!.]*/{HELD}"))


def facts(folder: Path) -> dict[str, Any]:
    """Return what ``reference.json`` tells.

    Raises
    ------
    DataError
        It is damaged, or was written by a newer Trimtab.
    """
    try:
        told: dict[str, Any] = json.loads((folder / FACTS).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise DataError([Problem(str(folder / FACTS), "must be readable JSON", str(error))]) from error
    found = told.get("schema_version")
    if found not in range(UNPROFILED, SCHEMA_VERSION + 1):
        must = f"must have schema_version {SCHEMA_VERSION} or lower"
        raise DataError([Problem(str(folder / FACTS), must, repr(found), "Upgrade Trimtab or retrain")])
    return told


def season(spec: ModelSpec) -> list[str | float] | None:
    """Return what the numbers of the seasons' slots stand for: a season, and the seconds of a slot."""
    seasonal = spec.monitor.data_drift.reference.seasonal
    return None if seasonal is None else [seasonal, spec.monitor.window.total_seconds()]


def _model(spec: ModelSpec, settings: Settings) -> Path:
    return settings.home / "references" / spec.model
