"""A mergeable summary of a table: what is left of a billion rows is some kilobytes a column.

`a + b` is the profile of both tables. Everything in it is an integer or an extreme, so that merging is
exactly associative and commutative: batches, threads, days and machines may be added in any order.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from monitors.profiles.counting import categories
from monitors.profiles.counting.cross import CrossMoments
from monitors.profiles.plan import CategoricalPlan, Ints, NumericPlan, Plan
from spec import DataError, Problem

_PRECISION = 64  # bits of a square root


@dataclass(frozen=True, slots=True, eq=False)
class NumericColumn:
    """What was counted of a numeric column, of instants or of the lengths of texts.

    Parameters
    ----------
    counts
        Finite values in each bin of the plan, shape (bins,).
    nulls, nans, pos_inf, neg_inf
        What has no place in a bin.
    minimum, maximum
        Of the finite values; None if there are none.
    total, squares
        Sum of the cells and of their squares: exact integers.
    """

    plan: NumericPlan
    counts: Ints
    nulls: int = 0
    nans: int = 0
    pos_inf: int = 0
    neg_inf: int = 0
    minimum: float | int | None = None
    maximum: float | int | None = None
    total: int = 0
    squares: int = 0

    @property
    def n(self) -> int:
        """The number of finite values."""
        return int(self.counts.sum())

    @property
    def missing(self) -> int:
        """The number of rows without a value: nulls and NaN."""
        return self.nulls + self.nans

    @property
    def rows(self) -> int:
        """The number of rows."""
        return self.n + self.missing + self.pos_inf + self.neg_inf

    @property
    def mean(self) -> float | None:
        """Mean of the finite values; None if there are none or it is no float.

        Within half a step of the plan, and 2^-18 of the distances from its center that are more than eight
        times the span of the reference's central 99 %.
        """
        n = self.n
        return _finite(self.plan.center + self.total / n * self.plan.step) if n else None

    @property
    def std(self) -> float | None:
        """Standard deviation of the finite values (over n); None if there are none or it is no float."""
        n = self.n
        if not n:
            return None
        variance = n * self.squares - self.total**2  # of the cells, times n², an integer
        return _finite(math.isqrt(variance << 2 * _PRECISION) / (n << _PRECISION) * self.plan.step)

    def __add__(self, other: NumericColumn) -> NumericColumn:
        return replace(
            self,
            counts=self.counts + other.counts,
            nulls=self.nulls + other.nulls,
            nans=self.nans + other.nans,
            pos_inf=self.pos_inf + other.pos_inf,
            neg_inf=self.neg_inf + other.neg_inf,
            minimum=min((v for v in (self.minimum, other.minimum) if v is not None), default=None),
            maximum=max((v for v in (self.maximum, other.maximum) if v is not None), default=None),
            total=self.total + other.total,
            squares=self.squares + other.squares,
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, NumericColumn):
            return NotImplemented
        return bool((self.counts == other.counts).all()) and self._numbers == other._numbers

    __hash__ = None  # type: ignore[assignment] # it holds arrays

    @property
    def _numbers(self) -> tuple[object, ...]:
        odd = (self.nulls, self.nans, self.pos_inf, self.neg_inf)
        return (*odd, self.minimum, self.maximum, self.total, self.squares)


@dataclass(frozen=True, slots=True, eq=False)
class CategoricalColumn:
    """What was counted of a categorical or boolean column.

    Parameters
    ----------
    counts
        Rows with each value that the plan tracks, shape (values,).
    others
        Rows with any other value, by hash, shape (64,).
    rare
        Exact counts of other values: of all, while there are at most 256; else of those of the smallest
        hashes.
    """

    plan: CategoricalPlan
    counts: Ints
    others: Ints
    rare: Mapping[str, int]
    nulls: int = 0

    @property
    def n(self) -> int:
        """The number of rows with a value."""
        return int(self.counts.sum() + self.others.sum())

    @property
    def missing(self) -> int:
        """The number of rows without a value."""
        return self.nulls

    @property
    def rows(self) -> int:
        """The number of rows."""
        return self.n + self.nulls

    @property
    def distinct(self) -> float:
        """Distinct values: exact while at most 255 are not tracked, else an estimate (standard error 6 %)."""
        return int((self.counts > 0).sum()) + categories.distinct(self.rare)

    def __add__(self, other: CategoricalColumn) -> CategoricalColumn:
        return replace(
            self,
            counts=self.counts + other.counts,
            others=self.others + other.others,
            rare=categories.merge(self.rare, other.rare),
            nulls=self.nulls + other.nulls,
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, CategoricalColumn):
            return NotImplemented
        same = (self.counts == other.counts).all() and (self.others == other.others).all()
        return bool(same) and self.rare == other.rare and self.nulls == other.nulls

    __hash__ = None  # type: ignore[assignment] # it holds arrays


Column = NumericColumn | CategoricalColumn


@dataclass(frozen=True)
class Profile:
    """What was counted of a table by a plan.

    Parameters
    ----------
    rows
        Rows of the table.
    columns
        By name, those of the plan that the table has.
    cross
        Joint moments of the ranks of the numeric columns, if the plan asks for them.
    """

    plan: Plan
    rows: int
    columns: Mapping[str, Column]
    cross: CrossMoments | None = None

    def __post_init__(self) -> None:
        """Keep a copy that nobody can change."""
        object.__setattr__(self, "columns", MappingProxyType(dict(self.columns)))

    @property
    def absent(self) -> tuple[str, ...]:
        """Columns of the plan that the table did not have."""
        return tuple(name for name in self.plan.columns if name not in self.columns)

    def __add__(self, other: Profile) -> Profile:
        """Return the profile of both tables.

        Raises
        ------
        DataError
            If they were counted by different plans, or a column is in one of them only.
        """
        require_same_plan(self, other)
        columns = {name: _sum(column, other.columns[name]) for name, column in self.columns.items()}
        cross = self.cross + other.cross if self.cross is not None and other.cross is not None else None
        return Profile(self.plan, self.rows + other.rows, columns, cross)

    def __reduce__(self) -> tuple[object, ...]:
        return Profile, (self.plan, self.rows, dict(self.columns), self.cross)


def require_same_plan(one: Profile, other: Profile) -> None:
    """Refuse, with every column that differs, to put together what was counted in different ways."""
    problems = []
    if one.plan is not other.plan and one.plan.fingerprint != other.plan.fingerprint:
        found = f"{one.plan.fingerprint} and {other.plan.fingerprint}"
        hint = "Profile both with the plan of the reference: profile(data, plan=reference.plan)"
        problems.append(Problem("profiles", "must be counted by the same plan", found, hint))
    else:
        problems = [
            Problem(name, "must be in both profiles", "in one only")
            for name in one.plan.columns
            if (name in one.columns) != (name in other.columns)
        ]
    if problems:
        raise DataError(problems)


def merged(profiles: Sequence[Profile]) -> Profile:
    """Return the profile of all tables, of which there is at least one."""
    first, *others = profiles
    for other in others:
        first = first + other
    return first


def empty(plan: Plan, names: Sequence[str] | None = None) -> Profile:
    """Return the profile of no rows: what is added to it is unchanged.

    Parameters
    ----------
    names
        The columns that the table has; all of the plan's if None.
    """
    present = [plan.columns[name] for name in (plan.columns if names is None else names)]
    columns: dict[str, Column] = {}
    for column in present:
        if isinstance(column, NumericPlan):
            columns[column.name] = NumericColumn(column, np.zeros(column.bins, dtype=np.int64))
        else:
            zeros = np.zeros(len(column.values), dtype=np.int64)
            columns[column.name] = CategoricalColumn(
                column, zeros, np.zeros(categories.BUCKETS, dtype=np.int64), {}
            )
    names = [column.name for column in present if isinstance(column, NumericPlan)]
    return Profile(plan, 0, columns, CrossMoments.zero(names) if plan.pairs else None)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _sum(one: Column, other: Column) -> Column:
    if isinstance(one, NumericColumn) and isinstance(other, NumericColumn):
        return one + other
    if isinstance(one, CategoricalColumn) and isinstance(other, CategoricalColumn):
        return one + other
    raise AssertionError  # the plans are equal
