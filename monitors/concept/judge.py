"""What concept drift says of a version: the test, the risk, and since when."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import datetime

import numpy as np

from monitors.concept import risk
from monitors.concept.blocks import BlockLoss, mean_error, whole_days
from monitors.concept.onset import Onset, onset
from monitors.concept.risk import Verdict
from monitors.concept.source import Source
from monitors.finding import Finding, NoData
from monitors.results.records import Measurement
from spec import ModelSpec

_CONFIDENCE = 0.95


def judge(spec: ModelSpec, source: Source | NoData, blocks: Iterable[BlockLoss], end: datetime) -> Finding:
    """Return the verdict on a version after a window that ends at `end`.

    Pure: all follows from the records of the version's windows, so that a window whose labels came late is
    cut into blocks anew and everything judged again. `alarm` once the test has rejected, and from then on
    until the version changes. `no_data` without a source, or before the first labelled day is over.

    Parameters
    ----------
    source
        Of the version.
    blocks
        Of all its windows up to `end`, by `block_losses` with the source's scale.
    end
        Timezone-aware.

    Returns
    -------
    Measurements: ``concept_drift``, the lower bound of the rise of the risk against the tolerance, both
    relative to the source's upper bound; ``concept_drift_e_value``, the largest log10 E so far against
    log10(2/alpha); ``risk``, the mean loss of the newest days with its 95 % interval; on alarm
    ``onset_timestamp_seconds``, in Unix seconds, with its confidence set.
    """
    days = whole_days(blocks, spec.monitor.window, end)
    rows = sum(day.rows for day in days)
    recent = _risk(days[-spec.monitor.performance.over :])
    wanted = spec.monitor.concept_drift
    found = source if isinstance(source, NoData) else risk.verdict(source, days, wanted)
    if isinstance(found, NoData):
        return Finding("no_data", (*recent, found.measurement(method="risk_test")), rows)
    numbers = (_rise(found, wanted.tolerance, days), _e_value(found, rows), *recent)
    if found.rejected is None:
        return Finding("ok", numbers, rows)
    return Finding("alarm", (*numbers, _onset(onset(days))), rows)


def _rise(found: Verdict, tolerance: float, days: Sequence[BlockLoss]) -> Measurement:
    since = "" if found.rejected is None else f"; proved by the day of {days[found.rejected].start.date()}"
    return Measurement(
        "concept_drift",
        found.rise_low,
        method="risk_test",
        limit=tolerance,
        n=sum(day.rows for day in days),
        text=f"risk at least {found.risk_low:.4g}, the reference's at most {found.source_high:.4g}{since}",
    )


def _e_value(found: Verdict, rows: int) -> Measurement:
    log_e, limit = found.log_e / math.log(10), found.log_limit / math.log(10)
    return Measurement("concept_drift_e_value", log_e, method="risk_test", limit=limit, n=rows)


def _risk(days: Sequence[BlockLoss]) -> tuple[Measurement, ...]:
    """Return the mean loss of some days with Student's interval over the days; none with no day."""
    if not days:
        return ()
    rows = [day.rows for day in days]
    mean, error = float(np.average([day.mean for day in days], weights=rows)), mean_error(days)
    if error is None:
        return (Measurement("risk", mean, n=sum(rows)),)
    from scipy.stats import t  # noqa: PLC0415 - a second, and only the daemon needs it

    reach = float(t.ppf((1 + _CONFIDENCE) / 2, len(days) - 1)) * error
    return (Measurement("risk", mean, low=max(mean - reach, 0), high=min(mean + reach, 1), n=sum(rows)),)


def _onset(found: Onset | NoData) -> Measurement:
    if isinstance(found, NoData):
        return found.measurement(method="onset")
    how = "gradually" if found.gradual else "at once"
    return Measurement(
        "onset_timestamp_seconds",
        found.time.timestamp(),
        low=found.low.timestamp(),
        high=found.high.timestamp(),
        text=f"the loss rose {how} from {found.before:.4g} to {found.after:.4g}",
    )
