"""The answered rows of a span of windows, read once."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Self

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from monitors import quality
from monitors.tables import inference_log
from monitors.windows import EPOCH, Window
from spec import ModelSpec, Settings
from spec.tables import FEATURE_PREFIX

_COLUMNS = ("prediction_id", "event_time", "version", "latency_ms", "scores")
_TICK = timedelta(microseconds=1)
_MOST_SCORED = 20_000


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """Rows with what was answered: ids, features by name, scores (rows, outputs), event times in µs."""

    ids: npt.NDArray[np.object_]
    frame: pd.DataFrame
    scores: npt.NDArray[np.float64]
    times: npt.NDArray[np.int64]


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

    def latencies(self, span: Window, version: str) -> npt.NDArray[np.float64]:
        """Return the milliseconds that each of a version's rows took; NaN where it is not known."""
        return self.rows(span, version)["latency_ms"].to_numpy(dtype=float, na_value=np.nan)

    def traffic(self, window: Window) -> quality.Traffic:
        """Return what is known of the rows of a window in all versions."""
        inside = self._times[self._within(window)]
        newest = EPOCH + int(inside.max()) * _TICK if len(inside) else None
        return quality.Traffic(len(inside), window, newest)

    def scored(self, span: Window, version: str, faulty: Collection[Window] = ()) -> Scored:
        """Return a version's scored rows in a part of the span; of very many, every so-manieth.

        Parameters
        ----------
        faulty
            Windows whose rows are left out.
        """
        chosen = self._chosen(span, version) & np.asarray(pc.is_valid(self.log["scores"]))
        for window in faulty:
            chosen &= ~self._within(window)
        places = np.flatnonzero(chosen)
        places = places[:: max(1, -(-len(places) // _MOST_SCORED))]
        scores = pc.list_flatten(self.log["scores"].take(places)).to_numpy()
        frame = self.frame.iloc[places][list(self.spec.features)].reset_index(drop=True)
        ids = np.array(self.log["prediction_id"].take(places).to_pylist(), dtype=object)
        return Scored(ids, frame, scores.reshape(len(places), -1 if len(places) else 1), self._times[places])

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
