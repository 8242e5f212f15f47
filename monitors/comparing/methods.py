"""Which statistic measures which column, and from where a change of it matters."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from monitors.distances import METHODS
from monitors.profiles.plan import CategoricalPlan, ColumnPlan, Plan
from spec import InputError, Problem, did_you_mean


@dataclass(frozen=True, slots=True)
class Rule:
    """How one column is measured, and from where a change of it matters."""

    method: str
    threshold: float = 0.1


@dataclass(frozen=True, slots=True)
class Methods:
    """The statistic of each kind of column, of single columns, and of missing values.

    Parameters
    ----------
    numeric
        Of numbers, instants and lengths of texts: any of `distances.METHODS`.
    categorical
        Of categories and booleans: any that needs no order.
    columns
        The statistic and the threshold of columns that have their own.
    missing
        The Jensen-Shannon distance of present against missing from which a change matters: 0.1 is from none
        to 3 %, from 1 % to 6 %, from 10 % to 20 %.

    Raises
    ------
    InputError
        With every statistic that is unknown or needs an order where there is none, and every bad threshold.
    """

    numeric: str = "wasserstein"
    categorical: str = "jensenshannon"
    columns: Mapping[str, Rule] = field(default_factory=dict)
    missing: float = 0.1

    def __post_init__(self) -> None:
        named = [("methods.numeric", self.numeric), ("methods.categorical", self.categorical)]
        named += [(f"methods.columns: {name}", rule.method) for name, rule in self.columns.items()]
        problems = [
            Problem(where, "must be a known statistic", method, did_you_mean(method, METHODS))
            for where, method in named
            if method not in METHODS
        ]
        if self.categorical in METHODS and METHODS[self.categorical].ordered:
            problems.append(_unordered("methods.categorical", self.categorical))
        limits = {"methods.missing": self.missing}
        limits |= {
            f"methods.columns: {name}: threshold": rule.threshold for name, rule in self.columns.items()
        }
        problems += [
            Problem(where, "must be above 0 and finite", f"{limit}")
            for where, limit in limits.items()
            if not 0 < limit < math.inf
        ]
        if problems:
            raise InputError(problems)

    def of(self, plan: ColumnPlan, threshold: float) -> Rule:
        """Return what holds for a column; `threshold` is that of columns without their own."""
        if plan.name in self.columns:
            return self.columns[plan.name]
        return Rule(self.categorical if isinstance(plan, CategoricalPlan) else self.numeric, threshold)

    def problems(self, plan: Plan) -> list[Problem]:
        """Return what is wrong with the columns' own rules, for the columns that there are."""
        known = plan.columns
        found = [
            Problem(f"methods.columns: {name}", "must be a column", name, did_you_mean(name, known))
            for name in self.columns
            if name not in known
        ]
        found += [
            _unordered(f"methods.columns: {name}", rule.method)
            for name, rule in self.columns.items()
            if isinstance(known.get(name), CategoricalPlan) and METHODS[rule.method].ordered
        ]
        return found


def _unordered(where: str, method: str) -> Problem:
    able = ", ".join(name for name, known in METHODS.items() if not known.ordered)
    return Problem(where, "must be a statistic of values without an order", method, f"Known: {able}")
