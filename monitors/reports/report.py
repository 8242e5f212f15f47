"""What Evidently shows people: a report of a window as one HTML file, and the history of all windows.

It takes seconds of CPU, so it is made by a process of its own at the lowest priority that still ends.
"""

from __future__ import annotations

import logging
import os
import tempfile
import time
from collections.abc import Iterable
from concurrent.futures import Future, ProcessPoolExecutor
from datetime import datetime
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pandas as pd

from monitors.reference_profile import PREDICTION
from monitors.reports import evidently_workspace
from spec import FeatureType, ModelSpec, Settings, Task
from spec.drift import DriftMethod

_SHARED = (
    "wasserstein",
    "jensenshannon",
    "psi",
    "kl_div",
    "hellinger",
)  # and grow with drift in Evidently too
_ROWS = 2000
_SEED = 0
_NICE = 10
_IDLE_S = 60.0
_PAUSE_S = 60.0
"""Wall seconds between two recordings of windows in the workspace."""

_log = logging.getLogger(__name__)


def path(settings: Settings, spec: ModelSpec, version: str, start: datetime) -> Path:
    """Return where the report of a window lies: ``reports/<model>/<version>/<start>.html`` in the home."""
    return settings.home / "reports" / spec.model / version / f"{start:%Y-%m-%dT%H%MZ}.html"


def write(spec: ModelSpec, reference: pd.DataFrame, current: pd.DataFrame, file: Path) -> Path:
    """Write the report of at most 2,000 rows a side; the file is whole or not there.

    Parameters
    ----------
    reference, current
        One row a prediction, as `inference_log.frame` makes them. Columns that have no value on one of the
        sides are left out, because Evidently's report fails on them.

    Returns
    -------
    `file`.
    """
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset, DataSummaryPreset

    limits = spec.monitor.data_drift
    sides = [_sample(frame, spec) for frame in (current, reference)]
    shown = [name for name in sides[0] if all(name in side and side[name].notna().any() for side in sides)]
    numeric = _numeric(spec)
    definition = DataDefinition(
        numerical_columns=[name for name in shown if name in numeric],
        categorical_columns=[name for name in shown if name not in numeric],
    )
    numeric_method, categorical_method = map(_evidently, (limits.method, limits.categorical_method))
    drift = DataDriftPreset(
        num_method=numeric_method,
        num_threshold=limits.effect if numeric_method else None,
        cat_method=categorical_method,
        cat_threshold=limits.effect if categorical_method else None,
        drift_share=limits.share,
    )
    current_data, reference_data = (Dataset.from_pandas(side[shown], definition) for side in sides)
    run = Report([drift, DataSummaryPreset()]).run(current_data, reference_data)
    file.parent.mkdir(parents=True, exist_ok=True)
    html = run.get_html_str(as_iframe=False)
    with tempfile.NamedTemporaryFile(
        "w", encoding="utf-8", dir=file.parent, suffix=".draft", delete=False
    ) as draft:
        draft.write(html)
    Path(draft.name).chmod(0o644)
    os.replace(draft.name, file)
    return file


class Reporter:
    """Does Evidently's work, one piece after the other, in a process that ends when it has been idle."""

    def __init__(self) -> None:
        self._pool: ProcessPoolExecutor | None = None
        self._last: Future[Any] | None = None
        self._asked = time.monotonic()
        self._judged: dict[str, tuple[ModelSpec, Settings, set[datetime]]] = {}
        self._made_up: set[str] = set()
        self._recording: Future[int] | None = None
        self._recorded_at = float("-inf")

    def submit(
        self, spec: ModelSpec, reference: pd.DataFrame, current: pd.DataFrame, file: Path
    ) -> Future[Path]:
        """Have a report written; the future gives its path or raises what went wrong."""
        sides = (_sample(reference, spec), _sample(current, spec))  # what crosses to the process is small
        written = self._worker().submit(write, spec, *sides, file)
        self._last = written
        return written

    def judged(self, spec: ModelSpec, settings: Settings, starts: Iterable[datetime]) -> None:
        """Have windows shown in Evidently's workspace, at the latest a minute from now; cheap to call.

        A model whose `monitor.report` is null has no part in it. The first call for a model makes up for
        windows that the workspace does not have.
        """
        if spec.monitor.report is not None:
            self._judged.setdefault(spec.model, (spec, settings, set()))[2].update(starts)
            self._record()

    def close_if_idle(self, after_s: float = _IDLE_S) -> None:
        """End the process if nothing was asked of it for a while; it holds some 350 MB."""
        self._record()
        if self._last is None or not self._last.done() or time.monotonic() - self._asked < after_s:
            return
        self.close()

    def close(self) -> None:
        """Wait for what is being written, drop the rest and end the process."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
        self._pool = self._last = self._recording = None

    def _record(self) -> None:
        """Have the windows recorded that were judged, unless that was just done or is being done."""
        busy = self._recording is not None and not self._recording.done()
        if not self._judged or busy or time.monotonic() - self._recorded_at < _PAUSE_S:
            return
        for model, (spec, settings, starts) in self._judged.items():
            work = partial(evidently_workspace.record, make_up=model not in self._made_up)
            self._recording = self._worker().submit(work, spec, settings, frozenset(starts))
            self._recording.add_done_callback(_log_failure)
            self._last = self._recording
        self._made_up.update(self._judged)
        self._judged.clear()
        self._recorded_at = time.monotonic()

    def _worker(self) -> ProcessPoolExecutor:
        if self._pool is None:
            self._pool = ProcessPoolExecutor(1, get_context("spawn"), os.nice, (_NICE,))
        self._asked = time.monotonic()
        return self._pool


def _log_failure(recorded: Future[int]) -> None:
    error = None if recorded.cancelled() else recorded.exception()
    if error is not None:
        _log.error("windows were not written to Evidently's workspace", exc_info=error)


def _sample(frame: pd.DataFrame, spec: ModelSpec) -> pd.DataFrame:
    columns = [name for name in (*spec.features, PREDICTION) if name in frame]
    rows = frame[columns]
    rows = rows.sample(_ROWS, random_state=_SEED) if len(rows) > _ROWS else rows
    texts = [name for name in columns if name not in _numeric(spec)]
    return rows.astype(dict.fromkeys(texts, "str"))  # Evidently takes pandas' nullable booleans for unknown


def _evidently(method: DriftMethod) -> str | None:
    """Return Evidently's name of a distance that grows with drift; None, which lets it choose."""
    return method.value if method.value in _SHARED else None


def _numeric(spec: ModelSpec) -> tuple[str, ...]:
    numeric = spec.features_of(FeatureType.NUMERIC)
    return numeric if spec.task is Task.MULTICLASS else (*numeric, PREDICTION)
