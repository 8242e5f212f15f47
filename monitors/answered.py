"""The answered rows of a span of windows, read once, and what quality and latency say of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Self

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from monitors import inference_log, latency, quality
from monitors.finding import Finding
from monitors.records import MonitorName
from monitors.references import Reference
from monitors.windows import EPOCH, Window
from spec import ModelSpec, Settings
from spec.tables import FEATURE_PREFIX

_COLUMNS = ("prediction_id", "event_time", "version", "latency_ms", "scores")
_TICK = timedelta(microseconds=1)


@dataclass(frozen=True)
class Answered:
    """The live rows of a span, as the log has them."""

    spec: ModelSpec
    log: pa.Table

    @classmethod
    def read(cls, spec: ModelSpec, settings: Settings, span: Window) -> Self:
        """Read a span of the inference log."""
        columns = [*_COLUMNS, *(FEATURE_PREFIX + name for name in spec.features)]
        return cls(spec, inference_log.read(spec, settings, span.start, span.end, columns=columns))

    @cached_property
    def frame(self) -> pd.DataFrame:
        """The rows with the features by name in the spec's dtypes, and `prediction`."""
        return inference_log.frame(self.spec, self.log)

    @cached_property
    def inputs(self) -> pa.Table:
        """The features by name, and `prediction`, as the drift engine counts them."""
        return inference_log.inputs(self.spec, self.log)

    def versions(self, window: Window) -> tuple[str, ...]:
        """Return the versions that answered in a window."""
        return tuple(sorted(np.unique(self._versions[self._within(window)])))

    def rows(self, span: Window, version: str | None = None) -> pd.DataFrame:
        """Return the rows of a part of the span, of one version or of all."""
        return self.frame[self._chosen(span, version)]

    def counted(self, span: Window, version: str) -> pa.Table:
        """Return what the drift engine counts of a version's rows in a part of the span."""
        return self.inputs.filter(pa.array(self._chosen(span, version)))

    def judge(
        self, monitor: MonitorName, window: Window, version: str, reference: Reference | None
    ) -> Finding:
        """Return what `quality` or `latency` finds in a window for a version."""
        current = self.rows(window, version)
        if monitor == "latency":
            latencies = current["latency_ms"].to_numpy(dtype=float, na_value=np.nan)
            return latency.judge(latencies, window.length, self.spec)
        rows = len(self.rows(window))
        found = quality.check(current, current["prediction_id"], reference, self.spec, rows=rows)
        return quality.judge(found, len(current))

    @cached_property
    def _times(self) -> npt.NDArray[np.int64]:
        return np.asarray(self.log["event_time"].cast(pa.int64()))

    @cached_property
    def _versions(self) -> npt.NDArray[np.str_]:
        return np.asarray(self.log["version"].to_pylist(), dtype=np.str_)

    def _within(self, span: Window) -> npt.NDArray[np.bool_]:
        start, end = ((time - EPOCH) // _TICK for time in (span.start, span.end))
        return (self._times >= start) & (self._times < end)

    def _chosen(self, span: Window, version: str | None) -> npt.NDArray[np.bool_]:
        within = self._within(span)
        return within if version is None else within & (self._versions == version)
