"""What the slices of a window say: the declared ones, the worst ones found, and the protected groups."""

from __future__ import annotations

import numpy as np
import pandas as pd

from monitors import frames
from monitors.finding import Finding, NoData
from monitors.held import Held
from monitors.performance import Estimate, Truth, blocks
from monitors.references import Reference
from monitors.results.records import Measurement
from monitors.slices import declared, fairness
from monitors.slices.confirmation import WeakSlice
from monitors.slices.cuts import Codes, coded, cuts
from monitors.slices.losses import losses
from monitors.slices.sample import Sample
from monitors.slices.search import search
from spec import DataError, ModelSpec, PerformanceMetric, Problem, Task

LOSSES = {Task.BINARY: "brier", Task.MULTICLASS: "error_rate", Task.REGRESSION: "absolute_error"}
"""The loss whose rise `worst_slice` tells."""
_LEVEL = 0.05


def judge(spec: ModelSpec, rows: pd.DataFrame, truth: Truth, reference: Reference | None) -> Finding:
    """Return how labelled rows fare by slice; pure.

    `alarm` when a slice became worse (see `worst`) or a protected attribute's groups are served too
    differently (see `fairness.judge`); declared slices are told and raise nothing, since many were always
    hard. `no_data` where nothing could be judged: too few rows, or nothing asked for.

    Parameters
    ----------
    rows
        The features of the rows of `truth`, in its order; other columns are not looked at.
    reference
        Of the version that answered. Without it, slices are cut by the rows themselves and are held
        against the other rows only.

    Raises
    ------
    DataError
        `rows` and `truth` differ in length, or features are missing. All problems at once.
    """
    _check(spec, rows, truth)
    finite = np.isfinite(truth.scores).all(axis=1) & np.isfinite(truth.labels)
    rows = frames.typed(spec, rows[list(spec.features)][finite])
    truth = Truth(truth.scores[finite], truth.labels[finite], truth.times[finite])
    known = None if reference is None else reference.frame
    findings = []
    if spec.monitor.slices.by:
        findings.append(by_declared(spec, rows, truth, known))
    if spec.monitor.slices.search:
        findings.append(worst(spec, rows, truth, known, None if reference is None else reference.held))
    if spec.protected:
        findings.append(fairness.judge(spec, rows, truth, known))
    statuses = {finding.status for finding in findings}
    told = tuple(measurement for finding in findings for measurement in finding.measurements)
    if "alarm" in statuses:
        return Finding("alarm", told, len(truth))
    return Finding("ok" if "ok" in statuses else "no_data", told, len(truth))


def by_declared(spec: ModelSpec, rows: pd.DataFrame, truth: Truth, reference: pd.DataFrame | None) -> Finding:
    """Return every metric that suits the task by the slices of `monitor.slices.by`: `ok` or `no_data`.

    The watched metric says in its text how it differs from that of all other rows. The frames are in the
    spec's dtypes.
    """
    wanted, watched = spec.monitor.slices, spec.performance_metric
    suitable = [metric for metric in PerformanceMetric if metric.suits(spec.task) and metric is not watched]
    frozen = cuts(spec, rows if reference is None else reference, wanted.by)
    found = declared.measure(
        frozen,
        coded(frozen, rows),
        truth,
        (watched, *suitable),
        min_rows=wanted.min_rows,
        quantile=spec.monitor.performance.quantile,
    )
    told = tuple(_told(entry) for entry in found)
    if any(isinstance(entry.measured, Estimate) for entry in found):
        return Finding("ok", told, len(truth))
    why = NoData(f"no declared slice has the {wanted.min_rows} labelled rows that are needed")
    return Finding("no_data", told or (why.measurement(method=watched.value),), len(truth))


def worst(
    spec: ModelSpec,
    rows: pd.DataFrame,
    truth: Truth,
    reference: pd.DataFrame | None,
    held: Held | None,
) -> Finding:
    """Return the slices, of one feature or two, that became worse since the reference: an `alarm` if any.

    A slice is named when its rise is significant at the level that `monitor.slices.false_alarms` leaves a
    window, and is at least `monitor.slices.rise` of the mean loss of all rows: in the reference, or now
    where it held out no rows. `reference` cuts the slices, `held` says what they lost before. The frames are
    in the spec's dtypes.
    """
    wanted = spec.monitor.slices
    if len(truth) < 4 * wanted.min_rows:  # two slices in each half
        why = NoData(f"{len(truth)} labelled rows; a search for slices needs {4 * wanted.min_rows}")
        return Finding("no_data", (why.measurement(method="worst_slice"),), len(truth))
    frozen = cuts(spec, rows if reference is None else reference, spec.features)
    loss = losses(spec.task, truth.scores, truth.labels)
    now = Sample(coded(frozen, rows), loss, blocks(truth.times))
    before = None if held is None else _before(spec.task, held, coded(frozen, held.frame))
    share_of_budget = wanted.false_alarms.count * (spec.monitor.window / wanted.false_alarms.per)
    level = min(_LEVEL, share_of_budget)
    usual = float((now if before is None else before).loss.mean())
    found = search(frozen, now, before, min_rows=wanted.min_rows, level=level)
    named = [one for one in found if one.p_value <= level and one.rise >= wanted.rise * usual]
    told = tuple(_named(spec, one, wanted.rise * usual) for one in named)
    return Finding("alarm" if named else "ok", told, len(truth))


def _check(spec: ModelSpec, rows: pd.DataFrame, truth: Truth) -> None:
    lacking = [name for name in spec.features if name not in rows.columns]
    problems = [Problem(f"rows: {name}", "must be a column", "no such column") for name in lacking]
    if len(rows) != len(truth):
        problems.append(Problem("rows", f"must be the {len(truth)} rows of the truth", f"{len(rows)} rows"))
    if problems:
        raise DataError(problems)


def _before(task: Task, held: Held, codes: Codes) -> Sample | None:
    """Return the held-out rows with their losses; None if the labels of none are known."""
    known = np.isfinite(held.scores).all(axis=1) & np.isfinite(held.labels)
    if not known.any():
        return None
    loss = losses(task, held.scores[known], held.labels[known])
    return Sample(codes[known], loss, blocks(held.times[known]))


def _told(entry: declared.SliceMetric) -> Measurement:
    measured, worse = entry.measured, entry.worse
    if isinstance(measured, NoData):
        return measured.measurement(feature=entry.name, method=entry.metric.value)
    text = None
    if isinstance(worse, declared.Difference):
        word = "worse" if worse.value > 0 else "better"
        text = f"{abs(worse.value):.4g} {word} than the other rows (p = {worse.p_value:.2g})"
    return Measurement(
        "slice_performance",
        measured.value,
        feature=entry.name,
        method=entry.metric.value,
        low=measured.low,
        high=measured.high,
        n=measured.n,
        text=text,
    )


def _named(spec: ModelSpec, found: WeakSlice, limit: float) -> Measurement:
    loss = LOSSES[spec.task]
    since = "the reference does not know it" if found.before is None else f"{found.before:.4g} before"
    text = (
        f"{found.name}: {loss} {found.now:.4g} now, {since}; "
        f"a rise of {found.rise:.4g} beyond the other rows' (p = {found.p_value:.2g})"
    )
    return Measurement(
        "worst_slice",
        found.rise,
        feature=found.name,
        method=loss,
        low=found.low,
        high=found.high,
        limit=limit,
        n=found.n,
        text=text,
    )
