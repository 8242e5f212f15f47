"""River's detectors on the losses row by row, for those who know them; they decide nothing."""

from __future__ import annotations

from datetime import timedelta

import numpy as np

from monitors.concept.losses import errors, losses
from monitors.detectors.streams import Feed, StreamDetector
from monitors.performance import Truth
from monitors.results.records import Measurement
from monitors.windows import EPOCH, Window
from spec import ModelSpec


def stream_drifts(spec: ModelSpec, truth: Truth, window: Window, scale: float = 1.0) -> Measurement | None:
    """Count the drifts that the spec's detector completes in a window; None where the spec names none.

    The detector starts anew with the first row given, in order of event time, so that the answer follows
    from the rows alone. It has no false-alarm budget, and ADWIN reports falls of the loss as well as
    rises. ADWIN and Page-Hinkley are fed the losses, DDM whether the row was wrong.

    Parameters
    ----------
    truth
        Labelled rows of the window and of those before it: the longer, the quieter.
    scale
        The source's, see `losses.losses`.

    Returns
    -------
    ``concept_drift_stream`` with the number of drifts, the time of the last one in its text.

    Raises
    ------
    SettingsError
        River is not installed.
    """
    name = spec.monitor.concept_drift.detector
    if name is None:
        return None
    detector = StreamDetector(name)
    fed = errors(truth, spec.task) if detector.feed is Feed.ERRORS else losses(truth, spec.task, scale)
    order = np.argsort(truth.times, kind="stable")
    ticks = truth.times[order][[detector.update(float(value)) for value in fed[order]]]
    times = [EPOCH + timedelta(microseconds=int(tick)) for tick in ticks]
    inside = [time for time in times if window.start <= time < window.end]
    text = f"last at {inside[-1].isoformat()}" if inside else None
    return Measurement("concept_drift_stream", len(inside), method=name, n=len(truth), text=text)
