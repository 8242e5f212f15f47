"""Reading a version's reference."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq

from monitors import frames, reference_profile
from monitors.dependence import Dependence
from monitors.held import Held
from monitors.profiles import profile_format
from monitors.reference_profile import ReferenceProfile
from monitors.references import layout
from monitors.references.layout import FACTS, HELD, PROFILE, ROWS, SEASONS, UNPROFILED
from monitors.references.record import Band, Reference
from spec.errors import DataError, NotFound, Problem, did_you_mean
from spec.model import ModelSpec
from spec.settings import Settings

_log = logging.getLogger(__name__)


def load(spec: ModelSpec, settings: Settings, version: str) -> Reference:
    """Read the reference of a version.

    Raises
    ------
    NotFound
        There is none; the message names the versions that have one.
    DataError
        It was written by a newer Trimtab, is damaged, or lacks features of the spec.
    """
    spec = spec.logged
    folder = layout.folder(spec, settings, version)
    if not (folder / FACTS).is_file():
        known = did_you_mean(version, layout.versions(spec, settings))
        msg = f"{spec.model} has no reference of version {version!r} in {folder.parent}. {known}"
        raise NotFound(msg)
    facts = layout.facts(folder)
    try:
        frame = frames.typed(spec, pd.read_parquet(folder / ROWS))
    except (OSError, ValueError, TypeError) as error:
        raise DataError([Problem(str(folder / ROWS), "must be readable", str(error))]) from error
    lacking = [name for name in spec.features if name not in frame.columns]
    if lacking:
        hint = "The version was trained with other features than the spec names; retrain"
        must = f"must hold the features {', '.join(lacking)}"
        raise DataError([Problem(str(folder / ROWS), must, "no such columns", hint)])
    return Reference(
        model=facts["model"],
        version=facts["version"],
        created_at=datetime.fromisoformat(facts["created_at"]),
        window=(datetime.fromisoformat(facts["window"][0]), datetime.fromisoformat(facts["window"][1])),
        population=facts["population"],
        frame=frame,
        counts=_counts(spec, folder, facts, frame),
        importances=facts["importances"],
        performance={metric: Band(**band) for metric, band in facts["performance"].items()},
        ranges={name: (low, high) for name, (low, high) in facts["ranges"].items()},
        categories={name: frozenset(values) for name, values in facts["categories"].items()},
        null_rates=facts["null_rates"],
        held=_held(spec, folder),
    )


def _counts(spec: ModelSpec, folder: Path, facts: Mapping[str, Any], frame: pd.DataFrame) -> ReferenceProfile:
    if facts["schema_version"] == UNPROFILED:
        _log.warning(
            "%s has no profile: drift is measured from its sample of %d rows, until the next retrain",
            folder,
            len(frame),
        )
        return reference_profile.made(spec, frames.arrow(spec, frame))
    try:
        profile = profile_format.from_bytes((folder / PROFILE).read_bytes())
        slots = pq.read_table(folder / SEASONS).to_pylist() if (folder / SEASONS).is_file() else ()
        seasons = {row["slot"]: profile_format.from_bytes(row["profile"], plan=profile.plan) for row in slots}
    except (OSError, ValueError, DataError) as error:
        raise DataError([Problem(str(folder / PROFILE), "must be readable", str(error))]) from error
    wanted = layout.season(spec)
    if wanted is not None and facts.get("season", wanted) != wanted:
        _log.warning(
            "%s was not counted by the %s of the %s: no drift is measured until the next retrain",
            folder,
            spec.monitor.window,
            wanted[0],
        )
        seasons = {}
    return ReferenceProfile(profile, Dependence.from_record(facts["dependence"]), seasons)


def _held(spec: ModelSpec, folder: Path) -> Held | None:
    if not (folder / HELD).is_file():
        return None
    try:
        held = Held.of_stored(pd.read_parquet(folder / HELD))
        return replace(held, frame=frames.typed(spec, held.frame))
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise DataError([Problem(str(folder / HELD), "must be readable", str(error))]) from error
