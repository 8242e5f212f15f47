"""What `trimtab check` found out, before anybody draws it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from monitors.comparing.comparison import ColumnComparison, MissingShift
from monitors.finding import NoData
from monitors.profiles.profile import CategoricalColumn, Profile
from trimtab.check import figures
from trimtab.check.shares import Unseen, unseen

if TYPE_CHECKING:
    from monitors.multivariate.correlation import CorrelationVerdict, PairShift
    from monitors.multivariate.domain_classifier import DomainVerdict
    from monitors.multivariate.mmd import MmdVerdict
    from monitors.multivariate.text import TextVerdict
    from monitors.multivariate.vectors import VectorVerdict


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two files; `span` is the first and the last time in it, where a time column was named."""

    file: str
    rows: int
    span: tuple[datetime, datetime] | None = None


@dataclass(frozen=True, slots=True)
class Segment:
    """The same comparison on the rows that have one value of the segment column."""

    value: str
    rows_reference: int
    rows_current: int
    columns: tuple[ColumnComparison, ...]

    @property
    def drifted(self) -> tuple[ColumnComparison, ...]:
        """The columns that drifted, the worst first."""
        return tuple(column for column in self.columns if column.drifted)


@dataclass(frozen=True, slots=True)
class Segments:
    """The comparison in each value of `column`; `left_out` says why a value has none."""

    column: str
    segments: tuple[Segment, ...]
    left_out: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Vectors:
    """A column of vectors: where they lie, and how many are missing or hold a number that is."""

    place: VectorVerdict | NoData
    missing: MissingShift | NoData

    @property
    def drifted(self) -> bool:
        """Whether the classifier, MMD or the share of missing vectors says drift."""
        found: list[VectorVerdict | MmdVerdict | MissingShift | NoData] = [self.place, self.missing]
        if not isinstance(self.place, NoData):
            found.append(self.place.mmd)
        return any(not isinstance(one, NoData) and one.drifted for one in found)


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """Everything that a report says.

    Parameters
    ----------
    profiles
        Of the reference and of the current rows, by the reference's plan.
    columns
        The inputs, the worst first; `target` stands apart.
    pairs
        Correlations of the numeric columns; None if they were not looked at.
    texts
        For each text column whether what it says has changed; its length is one of `columns`.
    vectors
        For each column of vectors whether they lie elsewhere, or went missing.
    joint
        Whether all columns together tell the sides apart; None if that was not asked.
    absent, new
        Columns that only the reference, or only the current file has.
    skipped
        Columns that could not be compared, and why.
    alpha
        The chance of any alarm at all on identical data.
    dependence
        How the rows' dependence in time was allowed for, in words; empty if it was not.
    weighed
        Where the importances that the columns are ranked by are from, in words; empty if there are none.
    """

    reference: Side
    current: Side
    profiles: tuple[Profile, Profile]
    columns: tuple[ColumnComparison, ...]
    alpha: float
    target: ColumnComparison | None = None
    pairs: CorrelationVerdict | NoData | None = None
    texts: Mapping[str, TextVerdict | NoData] = field(default_factory=dict)
    vectors: Mapping[str, Vectors] = field(default_factory=dict)
    joint: DomainVerdict | NoData | None = None
    segments: Segments | None = None
    absent: tuple[str, ...] = ()
    new: tuple[str, ...] = ()
    skipped: Mapping[str, str] = field(default_factory=dict)
    dependence: str = ""
    weighed: str = ""

    @property
    def drifted_columns(self) -> tuple[ColumnComparison, ...]:
        """The inputs that drifted, the worst first."""
        return tuple(column for column in self.columns if column.drifted)

    @property
    def moved_pairs(self) -> tuple[PairShift, ...]:
        """The pairs whose correlation moved, the farthest first."""
        if self.pairs is None or isinstance(self.pairs, NoData):
            return ()
        limit, alpha = self.pairs.threshold, self.pairs.alpha
        return tuple(pair for pair in self.pairs.pairs if abs(pair.shift) >= limit and pair.q_value <= alpha)

    @property
    def moved_texts(self) -> tuple[str, ...]:
        """The text columns whose words changed."""
        return tuple(
            name for name, found in self.texts.items() if not isinstance(found, NoData) and found.drifted
        )

    @property
    def moved_vectors(self) -> tuple[str, ...]:
        """The columns whose vectors lie elsewhere, or went missing."""
        return tuple(name for name, found in self.vectors.items() if found.drifted)

    @property
    def jointly(self) -> bool:
        """Whether all columns together tell the sides apart."""
        return self.joint is not None and not isinstance(self.joint, NoData) and self.joint.drifted

    @property
    def moved_segments(self) -> tuple[Segment, ...]:
        """The segments in which a column drifted."""
        return tuple(one for one in self.segments.segments if one.drifted) if self.segments else ()

    @property
    def drifted(self) -> bool:
        """Whether anything at all drifted: the exit code."""
        target = self.target is not None and self.target.drifted
        columns = self.drifted_columns or self.moved_pairs or self.moved_texts or self.moved_vectors
        return target or self.jointly or bool(columns or self.moved_segments)

    @property
    def unseen(self) -> dict[str, Unseen]:
        """Values that the reference does not have, by column."""
        before, after = self.profiles
        found = {}
        for name, column in before.columns.items():
            other = after.columns.get(name)
            if isinstance(column, CategoricalColumn) and isinstance(other, CategoricalColumn):
                new = unseen(column, other)
                if new is not None:
                    found[name] = new
        return found

    def sentences(self) -> list[str]:
        """Return the answer: the columns first, then whatever else moved."""
        drifted, every = self.drifted_columns, figures.count(len(self.columns), "column")
        told = []
        if drifted:
            told.append(f"{len(drifted)} of {every} drifted; the worst is {drifted[0].name}.")
        elif self.columns or self.target or not self.vectors:
            told.append(f"None of {every} drifted.")
        elif not self.moved_vectors:
            told.append(f"No drift of the vectors of {', '.join(self.vectors)}.")
        if self.target is not None:
            name = self.target.name
            told.append(
                f"The truth itself moved: {name} drifted."
                if self.target.drifted
                else f"The target {name} did not move."
            )
        if self.moved_texts:
            told.append(f"The words changed in {', '.join(self.moved_texts)}.")
        if self.moved_vectors:
            told.append(f"The vectors of {', '.join(self.moved_vectors)} drifted.")
        if self.moved_pairs:
            told.append(f"{figures.count(len(self.moved_pairs), 'correlation')} moved.")
        if self.joint is not None and not isinstance(self.joint, NoData) and self.joint.drifted:
            told.append(f"All columns together tell the sides apart, AUC {self.joint.auc:.2f}.")
        if self.segments is not None and self.moved_segments and not drifted:
            told.append(f"{self.segments.column} {self.moved_segments[0].value} drifted by itself.")
        return told
