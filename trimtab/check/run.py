"""Runs the check: opens both files, counts them by the reference's plan, and asks every question."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from monitors.comparing.compare import compare
from monitors.engines import local
from monitors.engines.sources import open_source
from monitors.finding import NoData
from monitors.profiles.plan import Kind, Plan
from monitors.profiles.planning import SAMPLE, make_plan
from monitors.profiles.profile import Profile
from spec import DataError, Problem
from trimtab.check import figures, samples
from trimtab.check.blocks import Dependence, dependence
from trimtab.check.identifiers import why_identifier
from trimtab.check.outcome import Outcome, Segments, Side
from trimtab.check.request import Data, Request, fitted, opened, shared
from trimtab.check.vectors import holds_vectors

if TYPE_CHECKING:
    from monitors.multivariate.correlation import CorrelationVerdict

PAIRED = 64
"""Numeric columns up to which their correlations are compared."""

_PASSED = "a time that has only passed; name it with --timestamp to allow for rows that depend on one another"


def check(request: Request) -> Outcome:
    """Return everything that is to be said of two files.

    The error budget `alpha` is shared evenly by the families of questions that are asked: the columns, their
    correlations, the words of texts, the vectors, all columns together, the segments. So on identical data an
    answer "drift" to any of them has the probability `alpha` at most.

    Raises
    ------
    DataError
        With everything that is wrong with the files or with what is asked of them.
    """
    sides = opened(request)
    request = fitted(request, *sides)
    plan = _plan(request, *sides)
    profiles = _profiles(plan, *sides)
    texts = (
        [name for name, column in plan.columns.items() if column.kind is Kind.TEXT] if request.words else []
    )
    vectors = _vectors(request, *sides)
    joint = request.joint and bool(plan.columns)
    families = (plan.columns, plan.pairs, texts, vectors, joint, request.segment)
    alpha = request.alpha / sum(map(bool, families))
    found = _dependence(request, sides, profiles)
    compared = compare(
        *profiles,
        methods=request.methods,
        threshold=request.threshold,
        alpha=alpha,
        importances=_importances(request, plan),
        effective_sizes=found.sizes,
        every_p=True,
    )
    return Outcome(
        reference=_side(sides[0], profiles[0], request.timestamp),
        current=_side(sides[1], profiles[1], request.timestamp),
        profiles=profiles,
        columns=tuple(column for column in compared.columns if column.name != request.target),
        alpha=request.alpha,
        target=replace(compared[request.target], importance=None) if request.target in plan.columns else None,
        pairs=_pairs(profiles, request.correlation or 0.0, alpha) if plan.pairs else None,
        texts=samples.words(texts, sides, alpha) if texts else {},
        vectors=samples.embeddings(vectors, sides, alpha) if vectors else {},
        joint=samples.together(plan, sides, alpha) if joint else None,
        segments=_segments(request, sides, plan, alpha),
        absent=_only(sides[0], sides[1], request),
        new=_only(sides[1], sides[0], request),
        skipped={name: why for name, why in plan.skipped.items() if name not in vectors},
        weighed=request.weighed if request.importances is not None else "",
        dependence=found.told,
    )


def _plan(request: Request, reference: Data, current: Data) -> Plan:
    names = shared(request, reference, current)
    sampled = open_source(reference.rows).sample(SAMPLE, names)
    planned = make_plan(sampled, kinds={name: kind for name, kind in request.kinds.items() if name in names})
    skipped = dict(planned.skipped)
    if not request.columns:
        explicit = {request.target, request.segment, *request.kinds}
        for name, column in planned.columns.items():
            if name in explicit:
                continue
            passed = column.kind is Kind.DATETIME and _passed(name, reference, current)
            why = _PASSED if passed else why_identifier(name, sampled.column(name))
            if why:
                skipped[name] = why
    for name in current.names:
        if current.names.count(name) > 1 and name in names:
            skipped[name] = "more than one column of the current file has this name"
    kept = {name: column for name, column in planned.columns.items() if name not in skipped}
    if not set(kept) - {request.target} and not _vectors(request, reference, current):
        reasons = "; ".join(f"{name}: {why}" for name, why in skipped.items())
        raise DataError([Problem(reference.name, "must have a column to compare", reasons or "none")])
    plan = Plan(kept, skipped)
    return Plan(kept, skipped, pairs=request.correlation is not None and 1 < len(plan.numeric) <= PAIRED)


def _vectors(request: Request, reference: Data, current: Data) -> list[str]:
    """Return the columns of vectors that are to be compared; none whose name stands twice."""
    names = shared(request, reference, current) if request.vectors else []
    once = [name for name in names if reference.names.count(name) == current.names.count(name) == 1]
    return [name for name in once if holds_vectors(reference.schema.field(name).type)]


def _importances(request: Request, plan: Plan) -> Mapping[str, float] | None:
    """Return the weights of the columns that are compared; the target, being apart, is not weighed."""
    if request.importances is None:
        return None
    found = {name: share for name, share in request.importances.items() if name in plan.columns}
    return {**found, request.target: 1.0} if request.target in plan.columns else found


def _passed(name: str, reference: Data, current: Data) -> bool:
    """Return whether a time of the current file begins where the reference's ends, which is no drift."""
    before, now = _span(reference.rows, name), _span(current.rows, name)
    return before is not None and now is not None and before[1] <= now[0] and before[0] < now[1]


def _profiles(plan: Plan, *sides: Data) -> tuple[Profile, Profile]:
    found = [local.profile(side.rows, plan=plan, columns=list(plan.columns)) for side in sides]
    problems = [
        Problem(side.name, "must hold rows", "none")
        for side, profile in zip(sides, found, strict=True)
        if not profile.rows
    ]
    if problems:
        raise DataError(problems)
    return found[0], found[1]


def _dependence(request: Request, sides: tuple[Data, Data], profiles: tuple[Profile, Profile]) -> Dependence:
    if not request.timestamp:
        return Dependence({}, "")
    return dependence(sides[0].rows, sides[1].rows, request.timestamp, profiles)


def _pairs(profiles: tuple[Profile, Profile], threshold: float, alpha: float) -> CorrelationVerdict | NoData:
    from monitors.multivariate.correlation import correlation_of_profiles

    before, after = (profile.cross for profile in profiles)
    if before is None or after is None:
        return NoData("fewer than two numeric columns")
    return correlation_of_profiles(before, after, threshold=threshold, alpha=alpha)


def _segments(request: Request, sides: tuple[Data, Data], plan: Plan, alpha: float) -> Segments | None:
    if not request.segment:
        return None
    from trimtab.check.segments import by_segment

    inputs = {name: column for name, column in plan.columns.items() if name != request.segment}
    return by_segment(sides, request.segment, Plan(inputs), request.methods, request.threshold, alpha)


def _only(one: Data, other: Data, request: Request) -> tuple[str, ...]:
    wanted = set(request.columns) or set(one.names)
    return tuple(name for name in dict.fromkeys(one.names) if name not in other.names and name in wanted)


def _side(side: Data, profile: Profile, timestamp: str) -> Side:
    return Side(side.name, profile.rows, _span(side.rows, timestamp) if timestamp else None)


def _span(rows: Any, timestamp: str) -> tuple[datetime, datetime] | None:
    ends: list[datetime] = []
    for batch in open_source(rows).batches([timestamp]):
        found = pc.min_max(pc.cast(batch.column(timestamp), pa.timestamp("us"), safe=False).view(pa.int64()))
        moments = (figures.to_datetime(found[end].as_py()) for end in ("min", "max"))
        ends += [moment.astimezone(UTC) for moment in moments if moment is not None]
    return (min(ends), max(ends)) if ends else None
