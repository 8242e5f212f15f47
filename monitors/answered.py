"""The answered rows of a span of windows, read once, and what drift, quality and latency say of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd

from monitors import drift, inference_log, latency, quality
from monitors.finding import Finding, NoData
from monitors.records import MonitorName
from monitors.references import Reference
from monitors.windows import Window
from spec import ModelSpec, Settings
from spec.tables import FEATURE_PREFIX

_COLUMNS = ("prediction_id", "event_time", "version", "latency_ms", "scores")


@dataclass(frozen=True, slots=True)
class Answered:
    """The live rows of a span: envelope columns, the features by name, `prediction`."""

    spec: ModelSpec
    frame: pd.DataFrame

    @classmethod
    def read(cls, spec: ModelSpec, settings: Settings, span: Window) -> Self:
        """Read a span of the inference log."""
        columns = [*_COLUMNS, *(FEATURE_PREFIX + name for name in spec.features)]
        log = inference_log.read(spec, settings, span.start, span.end, columns=columns)
        return cls(spec, inference_log.frame(spec, log))

    def versions(self, window: Window) -> tuple[str, ...]:
        """Return the versions that answered in a window."""
        return tuple(sorted(self.rows(window)["version"].unique()))

    def rows(self, span: Window, version: str | None = None) -> pd.DataFrame:
        """Return the rows of a part of the span, of one version or of all."""
        times = self.frame["event_time"]
        chosen = (times >= span.start) & (times < span.end)
        return self.frame[chosen if version is None else chosen & (self.frame["version"] == version)]

    def pooled(self, window: Window, version: str) -> pd.DataFrame:
        """Return the rows that drift is judged on: of as many windows as the spec pools."""
        return self.rows(window.pooled(self.spec.monitor.data_drift.over), version)

    def judge(
        self, monitor: MonitorName, window: Window, version: str, reference: Reference | None
    ) -> Finding:
        """Return what `drift`, `quality` or `latency` finds in a window for a version."""
        if monitor == "drift":
            current = self.pooled(window, version)
            if reference is None:
                missing = NoData("the version has no reference").measurement()
                return Finding("no_data", (missing,), len(current))
            return drift.judge(drift.compare(reference.frame, current, self.spec), self.spec, len(current))
        current = self.rows(window, version)
        if monitor == "latency":
            latencies = current["latency_ms"].to_numpy(dtype=float, na_value=np.nan)
            return latency.judge(latencies, window.length, self.spec)
        rows = len(self.rows(window))
        found = quality.check(current, current["prediction_id"], reference, self.spec, rows=rows)
        return quality.judge(found, len(current))
