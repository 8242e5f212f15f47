"""The outcome for machines: one JSON object whose shape has a version."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from monitors.comparing.comparison import ColumnComparison
from monitors.finding import NoData
from monitors.profiles.plan import Kind
from monitors.profiles.profile import CategoricalColumn, Column
from trimtab.check.figures import to_datetime
from trimtab.check.histogram import quantiles
from trimtab.check.outcome import Outcome, Segment, Side, Vectors
from trimtab.check.verdict import verdict

SCHEMA_VERSION = 1
"""Rises when a key changes its meaning or goes away; new keys may come without."""

_QUANTILES = {"p05": 0.05, "p25": 0.25, "median": 0.5, "p75": 0.75, "p95": 0.95}


def record(outcome: Outcome, made_at: datetime) -> dict[str, Any]:
    """Return the outcome as JSON-able values; what does not exist is ``{"no_data": reason}``, never NaN."""
    return {
        "schema_version": SCHEMA_VERSION,
        "made_at": made_at.isoformat(),
        "drift": outcome.drifted,
        "summary": " ".join(outcome.sentences()),
        "alpha": outcome.alpha,
        "reference": _side(outcome.reference),
        "current": _side(outcome.current),
        "columns": [_column(column, outcome) for column in outcome.columns],
        "target": None if outcome.target is None else _column(outcome.target, outcome),
        "unseen": {
            name: {
                "share": found.share,
                "distinct": found.distinct,
                "examples": {example.value: example.current for example in found.examples},
            }
            for name, found in outcome.unseen.items()
        },
        "correlations": _correlations(outcome),
        "texts": {
            name: _reason(found) if isinstance(found, NoData) else found.to_dict()
            for name, found in outcome.texts.items()
        },
        "vectors": {name: _vectors(found) for name, found in outcome.vectors.items()},
        "joint": _joint(outcome),
        "segments": None if outcome.segments is None else _segments(outcome),
        "absent": list(outcome.absent),
        "new": list(outcome.new),
        "skipped": dict(outcome.skipped),
        "dependence": outcome.dependence,
        "weighed": outcome.weighed,
    }


def _side(side: Side) -> dict[str, Any]:
    span = None if side.span is None else [moment.isoformat() for moment in side.span]
    return {"file": side.file, "rows": side.rows, "span": span}


def _column(column: ColumnComparison, outcome: Outcome) -> dict[str, Any]:
    before, after = (side.columns[column.name] for side in outcome.profiles)
    told = column.to_dict() | {"verdict": verdict(column).value}
    return told | {"reference": _numbers(before), "current": _numbers(after)}


def _numbers(column: Column) -> dict[str, Any]:
    counted: dict[str, Any] = {"rows": column.rows, "missing": column.missing}
    if isinstance(column, CategoricalColumn):
        return counted | {"distinct": round(column.distinct)}
    kind = column.plan.kind
    found = dict(zip(_QUANTILES, quantiles(column, _QUANTILES.values()), strict=False))
    values = {"mean": column.mean, "min": column.minimum, **found, "max": column.maximum}
    told = {name: _value(value, kind) for name, value in values.items()}
    return counted | told | {"std": column.std, "infinite": column.pos_inf + column.neg_inf}


def _value(value: float | None, kind: Kind) -> Any:
    if kind is not Kind.DATETIME:
        return value
    moment = to_datetime(value)
    return None if moment is None else moment.isoformat()


def _correlations(outcome: Outcome) -> Any:
    if outcome.pairs is None or isinstance(outcome.pairs, NoData):
        return None if outcome.pairs is None else _reason(outcome.pairs)
    moved = [
        {
            "columns": [pair.first, pair.second],
            "reference": pair.rho_reference,
            "current": pair.rho_current,
            "p_value": pair.p_value,
            "q_value": pair.q_value,
        }
        for pair in outcome.moved_pairs
    ]
    return {"threshold": outcome.pairs.threshold, "pairs": len(outcome.pairs.pairs), "moved": moved}


def _vectors(found: Vectors) -> dict[str, Any]:
    place, missing = found.place, found.missing
    told: dict[str, Any] = {"drifted": found.drifted}
    told["missing"] = _reason(missing) if isinstance(missing, NoData) else missing.to_dict()
    if isinstance(place, NoData):
        return told | {"classifier": _reason(place), "mmd": _reason(place)}
    mmd = _reason(place.mmd) if isinstance(place.mmd, NoData) else place.mmd.to_dict()
    classifier = {name: value for name, value in place.to_dict().items() if name != "mmd"}
    return told | {"classifier": classifier, "mmd": mmd}


def _joint(outcome: Outcome) -> Any:
    if outcome.joint is None or isinstance(outcome.joint, NoData):
        return None if outcome.joint is None else _reason(outcome.joint)
    return outcome.joint.to_dict()


def _segments(outcome: Outcome) -> dict[str, Any]:
    found = outcome.segments
    if found is None:
        return {}
    return {
        "column": found.column,
        "segments": [_segment(one) for one in found.segments],
        "left_out": dict(found.left_out),
    }


def _segment(one: Segment) -> dict[str, Any]:
    rows = {"value": one.value, "rows_reference": one.rows_reference, "rows_current": one.rows_current}
    return rows | {"columns": len(one.columns), "drifted": [column.name for column in one.drifted]}


def _reason(nothing: NoData) -> dict[str, str]:
    return {"no_data": nothing.reason}
