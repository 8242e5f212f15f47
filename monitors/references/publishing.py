"""Writing a version's reference, whole or not at all."""

from __future__ import annotations

import json
import math
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from monitors import frames, reference_profile
from monitors.held import Held
from monitors.profiles import profile_format
from monitors.profiles.plan import Ints
from monitors.reference_profile import PREDICTION, ReferenceProfile
from monitors.references import layout
from monitors.references.layout import FACTS, HELD, PROFILE, ROWS, SCHEMA_VERSION, SEASONS
from monitors.references.record import Band
from spec.errors import DataError, Problem, Refused, did_you_mean
from spec.features import FeatureType
from spec.model import ModelSpec
from spec.settings import Settings

MAX_ROWS = 5_000


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
        "season": layout.season(spec),
        **_domain(spec, typed),
    }
    sample = typed.sample(min(MAX_ROWS, len(typed)), random_state=0).reset_index(drop=True)
    newest = None if held is None else held.newest()
    return _publish(
        layout.folder(spec, settings, version), facts, sample, counts, newest, settings.clock.now()
    )


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
        sample.to_parquet(draft / ROWS, index=False)
        (draft / PROFILE).write_bytes(profile_format.to_bytes(counts.profile))
        if counts.seasons:
            contents = [profile_format.to_bytes(slot, with_plan=False) for slot in counts.seasons.values()]
            slots = pa.table({"slot": list(counts.seasons), "profile": contents})
            pq.write_table(slots, draft / SEASONS)
        if held is not None:
            held.stored().to_parquet(draft / HELD, index=False)
        text = json.dumps({**facts, "created_at": now.isoformat()}, indent=2, sort_keys=True)
        (draft / FACTS).write_text(text, "utf-8")
        draft.chmod(0o755)
        try:
            os.rename(draft, folder)  # noqa: PTH104 - the atomic rename; fails where there is one
        except OSError:
            if not (folder / FACTS).is_file():
                raise
            _same_or_refuse(folder, facts)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return folder


def _same_or_refuse(folder: Path, facts: dict[str, Any]) -> None:
    there, new = layout.facts(folder), json.loads(json.dumps(facts))
    told = there.keys() - {"created_at", "schema_version"}  # an older one tells less
    if any(name not in new or there[name] != new[name] for name in told):
        msg = f"{folder} holds another reference of that version, and a reference never changes"
        raise Refused(msg)
