"""Whether the groups of the protected attributes are served alike: a verdict on a window, and a gate."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from monitors import frames
from monitors.finding import Finding, NoData
from monitors.metrics import Rows
from monitors.performance import Truth, blocks
from monitors.results.records import Measurement, Status
from monitors.slices.cuts import cuts
from monitors.slices.disparity import Disparity, Rate, difference, disparity
from monitors.slices.treatment import Groups, farthest, rates
from spec import DataError, ModelSpec, Problem
from spec.fairness import Fairness

CONFIDENCE = 0.975
"""Of each bound of an interval, so that both hold at 95 %."""
MAX_RATES = 60
"""Rates of groups that are told for an attribute."""


@dataclass(frozen=True, slots=True)
class Treatment:
    """How differently the groups of one protected attribute were served; `rates` are what was compared."""

    attribute: str
    disparity: Disparity | NoData
    rates: tuple[Rate, ...]
    rows: int


def measure(
    spec: ModelSpec, rows: pd.DataFrame, truth: Truth, reference: pd.DataFrame | None = None
) -> tuple[Treatment, ...]:
    """Measure `monitor.fairness.metric` for each protected feature, in the order of the spec.

    Numbers such as ages are grouped by the reference's quartiles, and nulls are a group (see `cuts`).

    Parameters
    ----------
    rows
        The features of the rows of `truth`, in its order.
    reference
        Rows that say what the groups are; `rows` themselves if None.

    Raises
    ------
    DataError
        `rows` and `truth` differ in length, or a protected feature is missing.
    """
    grouped = _groups(spec, rows, truth, reference)
    return tuple(_treatment(spec, name, groups, truth, CONFIDENCE) for name, groups in grouped)


def judge(
    spec: ModelSpec, rows: pd.DataFrame, truth: Truth, reference: pd.DataFrame | None = None
) -> Finding:
    """Return how differently the groups of each protected attribute were served.

    `alarm` when the lower bound of a difference lies above `monitor.fairness.max`: surely too much, not by
    the luck of many groups. `no_data` where no attribute has two groups with `min_rows` rows.

    Parameters and errors as `measure`.
    """
    found = measure(spec, rows, truth, reference)
    told = [entry for treatment in found for entry in _told(spec, treatment)]
    if not found:
        told.append(NoData("no feature is protected").measurement())
    known = [one.disparity for one in found if isinstance(one.disparity, Disparity)]
    if not known:
        return Finding("no_data", tuple(told), len(truth))
    unlike = any(one.low > spec.monitor.fairness.max for one in known)
    return Finding("alarm" if unlike else "ok", tuple(told), len(truth))


def gate(
    spec: ModelSpec,
    rows: pd.DataFrame,
    challenger: Truth,
    champion: Truth | None,
    *,
    confidence: float,
    reference: pd.DataFrame | None = None,
) -> Finding:
    """Return whether a challenger is shown to serve the groups alike, or no less so than the champion.

    `ok` when, for every protected attribute, the upper bound of the challenger's difference is at most
    `monitor.fairness.max`, or the upper bound of what it adds to the champion's, on the same rows, is at
    most `monitor.fairness.margin`; each at 1 - (1 - confidence)/2, so that both ways together let one that
    is unfair pass with 1 - confidence at most. `no_data` where an attribute has no two groups to compare:
    no evidence is no pass. Without protected features there is nothing to show: `ok`.

    Parameters
    ----------
    challenger, champion
        Scores of the same rows by both; None without a champion.
    confidence
        One-sided, such as ``spec.validation.confidence``.

    Other parameters and errors as `measure`.
    """
    alone = confidence if champion is None else 1 - (1 - confidence) / 2
    verdicts = []
    for name, groups in _groups(spec, rows, challenger, reference):
        ours = _treatment(spec, name, groups, challenger, alone)
        theirs = None if champion is None else _treatment(spec, name, groups, champion, alone)
        verdicts.append(_admitted(spec, ours, theirs, alone))
    statuses = {finding.status for finding in verdicts}
    gravest: tuple[Status, ...] = ("alarm", "no_data")
    status: Status = next((one for one in gravest if one in statuses), "ok")
    measurements = tuple(one for finding in verdicts for one in finding.measurements)
    return Finding(status, measurements, len(challenger))


def _groups(
    spec: ModelSpec, rows: pd.DataFrame, truth: Truth, reference: pd.DataFrame | None
) -> list[tuple[str, Groups]]:
    lacking = [name for name in spec.protected if name not in rows.columns]
    problems = [Problem(f"rows: {name}", "must be a column", "no such column") for name in lacking]
    if len(rows) != len(truth):
        problems.append(Problem("rows", f"must be the {len(truth)} rows of the truth", f"{len(rows)} rows"))
    if problems:
        raise DataError(problems)
    typed = frames.typed(spec, rows[list(spec.protected)])
    known = typed if reference is None else frames.typed(spec, reference[list(spec.protected)])
    return [
        (cut.feature, Groups(cut.names, cut.codes(typed[cut.feature])))
        for cut in cuts(spec, known, spec.protected)
    ]


def _treatment(spec: ModelSpec, attribute: str, groups: Groups, truth: Truth, confidence: float) -> Treatment:
    wanted = spec.monitor.fairness
    if not len(truth):
        return Treatment(attribute, NoData("no labelled rows"), (), 0)
    if not (np.isfinite(truth.scores).all() and np.isfinite(truth.labels).all()):
        return Treatment(attribute, NoData("a score or label is not finite"), (), len(truth))
    rows = Rows(truth.scores, truth.labels, blocks(truth.times))
    told, value = rates(spec.task, wanted.metric, rows, groups, wanted.min_rows)
    apart = disparity(told, confidence)
    if isinstance(apart, Disparity):
        apart = replace(apart, value=value, high=max(apart.high, value))
    else:
        apart = NoData(f"{attribute} has no two groups of {wanted.min_rows} labelled rows to compare")
    return Treatment(attribute, apart, tuple(told), len(truth))


def _told(spec: ModelSpec, treatment: Treatment) -> list[Measurement]:
    wanted = spec.monitor.fairness
    name, apart = treatment.attribute, treatment.disparity
    if isinstance(apart, NoData):
        return [apart.measurement(feature=name, method=wanted.metric.value)]
    found = [_number("fairness", treatment, apart, wanted.metric.value, wanted.max)]
    for rate in treatment.rates:
        rows = rate.n.sum(axis=1)
        found += [
            Measurement("fairness_rate", float(value), feature=group, method=rate.name, n=int(size))
            for group, value, size in zip(rate.groups, rate.by_group, rows, strict=True)
        ]
    return found[: MAX_RATES + 1]


def _number(
    name: str, treatment: Treatment, apart: Disparity, metric: str, limit: float, more: str = ""
) -> Measurement:
    return Measurement(
        name,
        apart.value,
        feature=treatment.attribute,
        method=metric,
        low=apart.low,
        high=apart.high,
        limit=limit,
        n=treatment.rows,
        text=farthest(treatment.rates) + more,
    )


def _admitted(spec: ModelSpec, ours: Treatment, theirs: Treatment | None, confidence: float) -> Finding:
    wanted = spec.monitor.fairness
    if isinstance(ours.disparity, NoData):
        told = ours.disparity.measurement(feature=ours.attribute, method=wanted.metric.value)
        return Finding("no_data", (told,), ours.rows)
    apart, more = ours.disparity, ""
    passes = apart.high <= wanted.max
    added = None if theirs is None else difference(ours.rates, theirs.rates, confidence)
    if isinstance(added, Disparity):
        passes = passes or added.high <= wanted.margin
        more = f"; {added.value:+.3f} against the champion's, at most {added.high:+.3f}"
    if not passes:
        more += _why_not(wanted, ours, apart, added if isinstance(added, Disparity) else None, confidence)
    told = _number("fairness_gate", ours, apart, wanted.metric.value, wanted.max, more)
    return Finding("ok" if passes else "alarm", (told,), ours.rows)


def _why_not(
    wanted: Fairness, ours: Treatment, apart: Disparity, added: Disparity | None, confidence: float
) -> str:
    """Return whether harm is shown or the rows do not tell, and then how many might.

    Intervals narrow with the root of the rows. Groups that are served alike lie apart by luck, the largest of
    k differences by about √(2 ln k) standard errors; a version like the champion adds nothing.
    """
    if apart.low > wanted.max and (added is None or added.low > wanted.margin):
        return "; shown to be too much"
    from scipy.special import ndtri  # noqa: PLC0415 - only a gate that fails needs it

    rows, compared = ours.rows, sum(len(rate.groups) for rate in ours.rates)
    luck = math.sqrt(2 * math.log(max(compared, 2))) / float(ndtri(confidence))
    narrower = [(apart.high - apart.value) * (1 + luck) / wanted.max] if wanted.max else []
    if added is not None and wanted.margin:
        narrower.append((added.high - added.value) / wanted.margin)
    if not narrower:
        return f"; {rows:,} rows do not tell"
    needed = rows * min(narrower) ** 2
    if needed <= rows:
        return f"; {rows:,} rows would show it of groups that are served alike, and do not here"
    return f"; {rows:,} rows do not tell: some {_rounded_up(needed):,} would show it of groups served alike"


def _rounded_up(number: float) -> int:
    """Return a number of rows, at least 1, with two digits."""
    unit = max(int(10.0 ** (math.floor(math.log10(number)) - 1)), 1)
    return math.ceil(number / unit) * unit
