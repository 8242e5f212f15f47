"""Compares two profiles: how far each column moved, whether that is chance, and what it may cost.

A column has drifted when its effect reaches the threshold *and* is significant for the two actual sample
sizes, with the false-discovery rate held over all columns. The effect says whether a change matters, and does
not change with the number of rows; the p-value says whether there is one at all.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from monitors import laws
from monitors.comparing.column_pair import ColumnPair, Effect, Missing, Sizes, all_statistics
from monitors.comparing.comparison import ColumnComparison, Comparison, MissingShift
from monitors.comparing.methods import Methods, Rule
from monitors.finding import NoData
from monitors.laws.false_discovery import Adjusted
from monitors.profiles.plan import Plan
from monitors.profiles.profile import Profile
from spec import DataError, InputError, Problem, did_you_mean

__all__ = [
    "ColumnComparison",
    "Comparison",
    "Effect",
    "Methods",
    "MissingShift",
    "Rule",
    "all_statistics",
    "compare",
]

_TOO_SMALL = NoData("the effect is below its threshold and was not tested")
_NOTE = "the reference is constant: total variation, the share of rows elsewhere, instead of wasserstein"
_VALUES, _MISSING = "values of ", "missing of "


def compare(  # noqa: PLR0913 - each has a default that holds for most
    reference: Any,
    current: Any,
    *,
    methods: Methods | None = None,
    threshold: float = 0.1,
    alpha: float = 0.05,
    importances: Mapping[str, float] | None = None,
    effective_sizes: Mapping[str, Sizes] | None = None,
    every_p: bool = False,
) -> Comparison:
    """Compare two tables, or two profiles of them, column by column.

    Values that are null, NaN or infinite are left out of a column's statistic and compared as its share of
    missing values. A column that is empty or all missing on one side has `NoData`, and may drift by what went
    missing. Where the reference is constant, a numeric column that should have its Wasserstein distance has
    the total variation, the share of rows that left the constant, with a note that says so.

    Only effects that reach their threshold are tested, for the others no p-value can matter: in the
    Benjamini-Hochberg procedure each of them counts with p = 1, so that the rate is held over all columns.

    Parameters
    ----------
    reference, current
        Profiles by the same plan; or data of any form that `engines.profile` takes: the plan is the
        reference's.
    methods
        The statistics; by default the normed Wasserstein distance of numbers and Jensen-Shannon of
        categories.
    threshold
        The effect from which a change matters, on the scale of the statistic.
    alpha
        Expected share of false ones among the columns that are said to have drifted, at most.
    importances
        How much each column matters to the model, at least 0; a column that is not named has 0.
    effective_sizes
        What the rows of each side are worth, by column, where they depend on one another.
    every_p
        Whether to say the p-value of effects below the threshold too; some take milliseconds.

    Raises
    ------
    DataError
        The profiles were counted by different plans, with the columns that differ; the data cannot be read,
        or a column's type changed.
    InputError
        A parameter cannot be used: all problems at once.
    """
    wanted, sizes = methods or Methods(), effective_sizes or {}
    ours, theirs = _profiles(reference, current)
    _check(ours.plan, wanted, threshold, alpha, importances or {}, sizes)
    measured = []
    for name, column in ours.columns.items():
        if name in theirs.columns:
            pair = ColumnPair(column, theirs.columns[name])
            measured.append(
                _measure(
                    pair, wanted.of(column.plan, threshold), wanted.missing, sizes.get(name), every_p=every_p
                )
            )
    found = _tested(measured, wanted.missing, alpha)
    columns = [_column(one, found, wanted.missing, importances) for one in measured]
    columns.sort(key=lambda column: (not column.drifted, -column.cost, not column.compared))
    skipped = {**ours.plan.skipped, **dict.fromkeys(ours.absent, "the reference does not have the column")}
    absent = tuple(name for name in theirs.absent if name not in skipped)
    return Comparison(tuple(columns), skipped, absent, ours.rows, theirs.rows, alpha)


class _Measured(NamedTuple):
    """A column before it is known what else was tested."""

    pair: ColumnPair
    rule: Rule
    method: str
    effect: Effect | NoData
    p_value: float | NoData
    missing: Missing | NoData
    missing_p: float | NoData


def _measure(
    pair: ColumnPair, rule: Rule, missing_limit: float, sizes: Sizes | None, *, every_p: bool
) -> _Measured:
    method = pair.method(rule.method)
    effect, missing = pair.effect(method), pair.missing()
    p_value: float | NoData = effect if isinstance(effect, NoData) else _TOO_SMALL
    missing_p: float | NoData = missing if isinstance(missing, NoData) else _TOO_SMALL
    if isinstance(effect, Effect) and (every_p or effect.value >= rule.threshold):
        p_value = pair.p_value(method, sizes, rule.threshold)
    if isinstance(missing, Missing) and (every_p or missing.effect >= missing_limit):
        missing_p = missing.p_value(sizes)
    return _Measured(pair, rule, method, effect, p_value, missing, missing_p)


def _tested(measured: Iterable[_Measured], missing_limit: float, alpha: float) -> set[str]:
    """Return which effects and which shifts of missing shares are discoveries among all of them."""
    evidence: dict[str, float | NoData] = {}
    for one in measured:
        name = one.pair.name
        if isinstance(one.effect, Effect):
            evidence[_VALUES + name] = one.p_value if one.effect.value >= one.rule.threshold else 1.0
        if isinstance(one.missing, Missing) and one.missing.any:
            evidence[_MISSING + name] = one.missing_p if one.missing.effect >= missing_limit else 1.0
    tested = laws.benjamini_hochberg(evidence, alpha)
    return {key for key, verdict in tested.items() if isinstance(verdict, Adjusted) and verdict.rejected}


def _column(
    one: _Measured, found: set[str], missing_limit: float, importances: Mapping[str, float] | None
) -> ColumnComparison:
    name = one.pair.name
    significant = _VALUES + name in found
    missing: MissingShift | NoData = (
        one.missing
        if isinstance(one.missing, NoData)
        else MissingShift(
            one.missing.reference,
            one.missing.current,
            one.missing.effect,
            one.missing_p,
            _MISSING + name in found,
        )
    )
    moved = one.effect.value / one.rule.threshold if isinstance(one.effect, Effect) else 0.0
    if isinstance(missing, MissingShift):
        moved = max(moved, missing.effect / missing_limit)
    importance = None if importances is None else float(importances.get(name, 0.0))
    n, m = one.pair.n
    return ColumnComparison(
        name=name,
        kind=one.pair.kind,
        method=one.method,
        effect=one.effect,
        threshold=one.rule.threshold,
        p_value=one.p_value,
        significant=significant,
        drifted=significant or (isinstance(missing, MissingShift) and missing.drifted),
        missing=missing,
        n_reference=int(n),
        n_current=int(m),
        importance=importance,
        cost=moved * (1.0 if importance is None else importance),
        note="" if one.method == one.rule.method else _NOTE,
    )


def _profiles(reference: Any, current: Any) -> tuple[Profile, Profile]:
    if isinstance(reference, Profile) and isinstance(current, Profile):
        if reference.plan is not current.plan and reference.plan.fingerprint != current.plan.fingerprint:
            raise DataError([_different(reference.plan, current.plan)])
        return reference, current
    if isinstance(current, Profile):
        hint = "Profile the reference first, then the data by its plan: profile(data, plan=reference.plan)"
        raise DataError(
            [Problem("reference", "must be a profile if the current side is one", str(type(reference)), hint)]
        )
    from monitors.engines import profile  # noqa: PLC0415 - two profiles are compared without an engine

    ours = reference if isinstance(reference, Profile) else profile(reference)
    return ours, profile(current, plan=ours.plan)


def _different(ours: Plan, theirs: Plan) -> Problem:
    sides = [
        {name: Plan({name: column}).fingerprint for name, column in plan.columns.items()}
        for plan in (ours, theirs)
    ]
    names = [name for name in {**sides[0], **sides[1]} if sides[0].get(name) != sides[1].get(name)]
    hint = "Profile both with the plan of the reference: profile(data, plan=reference.plan)"
    return Problem(
        "profiles", "must be counted by the same plan", f"different ones for {', '.join(names)}", hint
    )


def _check(
    plan: Plan,
    methods: Methods,
    threshold: float,
    alpha: float,
    importances: Mapping[str, float],
    sizes: Mapping[str, Sizes],
) -> None:
    problems = methods.problems(plan)
    if not 0 < threshold < math.inf:
        problems.append(Problem("threshold", "must be above 0 and finite", f"{threshold}"))
    if not 0 < alpha < 1:
        problems.append(Problem("alpha", "must be between 0 and 1", f"{alpha}"))
    named = (("importances", importances), ("effective_sizes", sizes))
    for parameter, given in named:
        problems += [
            Problem(f"{parameter}: {name}", "must be a column", name, did_you_mean(name, plan.columns))
            for name in given
            if name not in plan.columns
        ]
    problems += [
        Problem(f"importances: {name}", "must be at least 0 and finite", f"{weight}")
        for name, weight in importances.items()
        if not 0 <= weight < math.inf
    ]
    if problems:
        raise InputError(problems)
