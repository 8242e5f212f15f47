"""What a version was trained on and is held against: rows, profile, importances, expected performance.

A reference is a folder ``<home>/references/<model>/<version>/`` of ``reference.parquet`` (a sample of the
rows), ``reference.profile`` (counts of all of them), ``seasons.parquet`` (their profile by slot, if the spec
names a season), ``held.parquet`` (labelled rows that it was not trained on, if there are any) and
``reference.json``. It appears whole or not at all, and never changes.
"""

from __future__ import annotations

import json
import logging
import math
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from monitors import frames, profile_format, reference_profile
from monitors.dependence import Dependence
from monitors.held import Held
from monitors.plan import Ints
from monitors.reference_profile import PREDICTION, ReferenceProfile
from spec.errors import DataError, NotFound, Problem, Refused, did_you_mean
from spec.features import FeatureType
from spec.model import ModelSpec
from spec.settings import Settings

SCHEMA_VERSION = 2
MAX_ROWS = 5_000
_ROWS, _FACTS, _PROFILE, _SEASONS, _HELD = (
    "reference.parquet",
    "reference.json",
    "reference.profile",
    "seasons.parquet",
    "held.parquet",
)
_UNPROFILED = 1  # the schema version of references without a profile

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Band:
    """The performance to expect of a version: `value` within the confidence bounds `low` and `high`."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Reference:
    """The reference of one version.

    Parameters
    ----------
    frame
        At most 5,000 rows sampled from `population`: the features in the spec's dtypes (see `frames.typed`),
        `prediction` as float64 (see `frames.prediction`) and, where it was known, the target.
    counts
        What the drift engine compares with: the profile of all rows and what belongs to it.
    window
        Training events had ``window[0] <= time < window[1]``.
    importances
        Share of each feature in the model's decisions; they sum to about 1.
    performance
        Expected realised performance by metric.
    ranges, categories, null_rates
        Of all `population` rows: [min, max] of numeric features, the values of categorical and boolean
        ones (booleans as ``true`` and ``false``), the share of nulls of all.
    held
        Labelled rows that the version was not trained on; None where none were given.
    """

    model: str
    version: str
    created_at: datetime
    window: tuple[datetime, datetime]
    population: int
    frame: pd.DataFrame
    counts: ReferenceProfile
    importances: Mapping[str, float]
    performance: Mapping[str, Band]
    ranges: Mapping[str, tuple[float, float]]
    categories: Mapping[str, frozenset[str]]
    null_rates: Mapping[str, float]
    held: Held | None = None

    @property
    def name(self) -> str:
        """What results name it by: model, version and time of creation."""
        return f"{self.model}/{self.version}@{self.created_at.isoformat()}"


def publish(  # noqa: PLR0913 - all that a version is known by, each part named
    spec: ModelSpec,
    settings: Settings,
    version: str,
    rows: pd.DataFrame,
    *,
    importances: Mapping[str, float],
    performance: Mapping[str, Band | Mapping[str, float]],
    window: tuple[datetime, datetime],
    held: Held | None = None,
) -> Path:
    """Write the reference of a version; readers see all of it or nothing.

    Publishing the same again does nothing, so that a step may be retried.

    Parameters
    ----------
    rows
        Feature columns by plain name, `prediction`, and the target if known; a sample of them is kept. All
        are counted, by the windows of their event times where the time column of the spec is among them.
    performance
        By metric, a `Band` or its ``{value, low, high}``.
    held
        Labelled rows that the version was not trained on; the newest 20,000 are kept.

    Raises
    ------
    DataError
        With every problem of the rows, the importances, the performance and the window.
    Refused
        The version has another reference.
    """
    importances = {name: share for name, share in importances.items() if name not in spec.dropped}
    spec = spec.logged
    bands = {name: band if isinstance(band, Band) else Band(**band) for name, band in performance.items()}
    _check(spec, rows, importances, bands, window)
    typed = frames.typed(spec, rows).astype({PREDICTION: "float64"})
    counts = reference_profile.made(spec, frames.arrow(spec, typed), _times(spec, rows))
    columns = [*spec.features, PREDICTION, spec.data.target.name]
    typed = typed[[name for name in columns if name in typed.columns]]
    facts = {
        "schema_version": SCHEMA_VERSION,
        "model": spec.model,
        "version": version,
        "window": [time.isoformat() for time in window],
        "population": len(typed),
        "importances": {name: float(share) for name, share in importances.items()},
        "performance": {
            metric: {key: float(number) for key, number in asdict(band).items()}
            for metric, band in bands.items()
        },
        "dependence": counts.dependence.to_record(),
        "season": _season(spec),
        **_domain(spec, typed),
    }
    sample = typed.sample(min(MAX_ROWS, len(typed)), random_state=0).reset_index(drop=True)
    newest = None if held is None else held.newest()
    return _publish(_folder(spec, settings) / version, facts, sample, counts, newest, settings.clock.now())


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
    folder = _folder(spec, settings) / version
    if not (folder / _FACTS).is_file():
        known = did_you_mean(version, versions(spec, settings))
        msg = f"{spec.model} has no reference of version {version!r} in {folder.parent}. {known}"
        raise NotFound(msg)
    facts = _facts(folder)
    try:
        frame = frames.typed(spec, pd.read_parquet(folder / _ROWS))
    except (OSError, ValueError, TypeError) as error:
        raise DataError([Problem(str(folder / _ROWS), "must be readable", str(error))]) from error
    lacking = [name for name in spec.features if name not in frame.columns]
    if lacking:
        hint = "The version was trained with other features than the spec names; retrain"
        must = f"must hold the features {', '.join(lacking)}"
        raise DataError([Problem(str(folder / _ROWS), must, "no such columns", hint)])
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


def versions(spec: ModelSpec, settings: Settings) -> tuple[str, ...]:
    """Return the versions that have a reference, the oldest number first."""
    names = (path.parent.name for path in _folder(spec, settings).glob(f"[!.]*/{_FACTS}"))
    return tuple(sorted(names, key=lambda name: (len(name), name)))


def any_held(spec: ModelSpec, settings: Settings) -> bool:
    """Return whether any version came with held-out rows; the files are not read."""
    return any(_folder(spec, settings).glob(f"[!.]*/{_HELD}"))


def _folder(spec: ModelSpec, settings: Settings) -> Path:
    return settings.home / "references" / spec.model


def _facts(folder: Path) -> dict[str, Any]:
    try:
        facts: dict[str, Any] = json.loads((folder / _FACTS).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise DataError([Problem(str(folder / _FACTS), "must be readable JSON", str(error))]) from error
    found = facts.get("schema_version")
    if found not in range(_UNPROFILED, SCHEMA_VERSION + 1):
        must = f"must have schema_version {SCHEMA_VERSION} or lower"
        raise DataError([Problem(str(folder / _FACTS), must, repr(found), "Upgrade Trimtab or retrain")])
    return facts


def _counts(spec: ModelSpec, folder: Path, facts: Mapping[str, Any], frame: pd.DataFrame) -> ReferenceProfile:
    if facts["schema_version"] == _UNPROFILED:
        _log.warning(
            "%s has no profile: drift is measured from its sample of %d rows, until the next retrain",
            folder,
            len(frame),
        )
        return reference_profile.made(spec, frames.arrow(spec, frame))
    try:
        profile = profile_format.from_bytes((folder / _PROFILE).read_bytes())
        slots = pq.read_table(folder / _SEASONS).to_pylist() if (folder / _SEASONS).is_file() else ()
        seasons = {row["slot"]: profile_format.from_bytes(row["profile"], plan=profile.plan) for row in slots}
    except (OSError, ValueError, DataError) as error:
        raise DataError([Problem(str(folder / _PROFILE), "must be readable", str(error))]) from error
    wanted = _season(spec)
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
    if not (folder / _HELD).is_file():
        return None
    try:
        held = Held.of_stored(pd.read_parquet(folder / _HELD))
        return replace(held, frame=frames.typed(spec, held.frame))
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise DataError([Problem(str(folder / _HELD), "must be readable", str(error))]) from error


def _season(spec: ModelSpec) -> list[str | float] | None:
    """Return what the numbers of the seasons' slots stand for: a season, and the seconds of a slot."""
    seasonal = spec.monitor.data_drift.reference.seasonal
    return None if seasonal is None else [seasonal, spec.monitor.window.total_seconds()]


def _times(spec: ModelSpec, rows: pd.DataFrame) -> Ints | None:
    if spec.data.time not in rows.columns:
        return None
    return np.asarray(pd.to_datetime(rows[spec.data.time], utc=True).dt.as_unit("us").astype("int64"))


def _check(
    spec: ModelSpec,
    rows: pd.DataFrame,
    importances: Mapping[str, float],
    performance: Mapping[str, Band],
    window: tuple[datetime, datetime],
) -> None:
    problems = [
        Problem(f"rows: {name}", "must be a column", "no such column", did_you_mean(name, map(str, rows)))
        for name in [*spec.features, PREDICTION]
        if name not in rows.columns
    ]
    if rows.empty:
        problems.append(Problem("rows", "must hold rows", "none"))
    problems += [
        Problem(f"importances: {name}", "must be a feature", repr(name), did_you_mean(name, spec.features))
        for name in importances
        if name not in spec.features
    ]
    numbers: dict[str, tuple[float, ...]] = {
        f"importances: {n}": (share,) for n, share in importances.items()
    }
    numbers |= {f"performance: {metric}": (b.value, b.low, b.high) for metric, b in performance.items()}
    problems += [
        Problem(where, "must be finite", str(values))
        for where, values in numbers.items()
        if not all(math.isfinite(value) for value in values)
    ]
    if any(time.tzinfo is None for time in window) or not window[0] < window[1]:
        found = ", ".join(time.isoformat() for time in window)
        problems.append(Problem("window", "must be two timezone-aware times, the earlier first", found))
    if not problems:
        try:
            frames.typed(spec, rows)
        except (ValueError, TypeError) as error:
            problems.append(Problem("rows", "must hold the features in the spec's types", str(error)))
    if problems:
        raise DataError(problems)


def _domain(spec: ModelSpec, typed: pd.DataFrame) -> dict[str, Any]:
    numeric = [name for name, feature in spec.compared.items() if feature.type is FeatureType.NUMERIC]
    finite = typed[numeric].replace([math.inf, -math.inf], math.nan).dropna(axis="columns", how="all")
    values = {
        name: sorted(str(value) for value in typed[name].dropna().unique())
        for name in spec.features_of(FeatureType.CATEGORICAL)
    }
    values |= {
        name: sorted(str(bool(value)).lower() for value in typed[name].dropna().unique())
        for name in spec.features_of(FeatureType.BOOLEAN)
    }
    return {
        "ranges": {
            str(name): [float(finite[name].min()), float(finite[name].max())] for name in finite.columns
        },
        "categories": values,
        "null_rates": {name: float(typed[name].isna().mean()) for name in spec.features},
    }


def _publish(
    folder: Path,
    facts: dict[str, Any],
    sample: pd.DataFrame,
    counts: ReferenceProfile,
    held: Held | None,
    now: datetime,
) -> Path:
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=".", dir=folder.parent))
    try:
        sample.to_parquet(draft / _ROWS, index=False)
        (draft / _PROFILE).write_bytes(profile_format.to_bytes(counts.profile))
        if counts.seasons:
            contents = [profile_format.to_bytes(slot, with_plan=False) for slot in counts.seasons.values()]
            slots = pa.table({"slot": list(counts.seasons), "profile": contents})
            pq.write_table(slots, draft / _SEASONS)
        if held is not None:
            held.stored().to_parquet(draft / _HELD, index=False)
        text = json.dumps({**facts, "created_at": now.isoformat()}, indent=2, sort_keys=True)
        (draft / _FACTS).write_text(text, "utf-8")
        draft.chmod(0o755)
        try:
            os.rename(draft, folder)  # noqa: PTH104 - the atomic rename; fails where there is one
        except OSError:
            if not (folder / _FACTS).is_file():
                raise
            _same_or_refuse(folder, facts)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return folder


def _same_or_refuse(folder: Path, facts: dict[str, Any]) -> None:
    there, new = _facts(folder), json.loads(json.dumps(facts))
    told = there.keys() - {"created_at", "schema_version"}  # an older one tells less
    if any(name not in new or there[name] != new[name] for name in told):
        msg = f"{folder} holds another reference of that version, and a reference never changes"
        raise Refused(msg)
