"""What a comparison of two profiles says: of each column, and of all together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from monitors.comparing.column_pair import Effect
from monitors.finding import NoData
from monitors.profiles.plan import Kind


@dataclass(frozen=True, slots=True)
class MissingShift:
    """How the share of rows without a usable value (null, NaN, infinite) moved.

    Parameters
    ----------
    reference, current
        The shares, in [0, 1].
    effect
        The Jensen-Shannon distance of present against missing, in √nats.
    p_value
        Fisher's exact test of the two shares, in (0, 1]; NoData where the effect was too small to be tested.
    drifted
        Whether the effect has reached its threshold, and is significant among all that was tested.
    """

    reference: float
    current: float
    effect: float
    p_value: float | NoData
    drifted: bool

    def to_dict(self) -> dict[str, Any]:
        """Return the shift as JSON-able values."""
        return {
            "reference": self.reference,
            "current": self.current,
            "effect": self.effect,
            "p_value": _or_reason(self.p_value),
            "drifted": self.drifted,
        }


@dataclass(frozen=True, slots=True)
class ColumnComparison:
    """What is to be said of one column.

    Parameters
    ----------
    method
        The statistic that was taken; `note` says why, where it is not the one that was asked for.
    threshold
        The effect from which a change matters.
    p_value
        In (0, 1], for the two actual sizes; NoData where there is no effect, or one too small to be tested.
    significant
        Whether the effect has reached its threshold and is no chance, among all that was tested.
    drifted
        Whether the values' effect is significant, or the share of missing values moved.
    importance
        Of the column to the live model, at least 0; None if none were given.
    cost
        How many thresholds the column moved, times its importance: what the ranking goes by. 0 without data.
    """

    name: str
    kind: Kind
    method: str
    effect: Effect | NoData
    threshold: float
    p_value: float | NoData
    significant: bool
    drifted: bool
    missing: MissingShift | NoData
    n_reference: int
    n_current: int
    importance: float | None
    cost: float
    note: str = ""

    @property
    def compared(self) -> bool:
        """Whether something could be said: the values were compared, or went missing."""
        return isinstance(self.effect, Effect) or self.drifted

    def to_dict(self) -> dict[str, Any]:
        """Return the column as JSON-able values; what does not exist is ``{"no_data": reason}``."""
        effect = self.effect
        return {
            "name": self.name,
            "kind": self.kind.value,
            "method": self.method,
            "effect": {"value": effect.value, "within": effect.within}
            if isinstance(effect, Effect)
            else _reason(effect),
            "threshold": self.threshold,
            "p_value": _or_reason(self.p_value),
            "significant": self.significant,
            "drifted": self.drifted,
            "missing": _reason(self.missing) if isinstance(self.missing, NoData) else self.missing.to_dict(),
            "n_reference": self.n_reference,
            "n_current": self.n_current,
            "importance": self.importance,
            "cost": self.cost,
            "note": self.note,
        }


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two profiles, column by column.

    Parameters
    ----------
    columns
        Ranked: what has drifted first, then by cost.
    skipped
        Columns that are not monitored, with the reason.
    absent
        Columns of the reference that the current side does not have.
    rows_reference, rows_current
        Rows of the tables.
    alpha
        The false-discovery rate at which the columns were tested.
    """

    columns: tuple[ColumnComparison, ...]
    skipped: Mapping[str, str]
    absent: tuple[str, ...]
    rows_reference: int
    rows_current: int
    alpha: float

    @property
    def drifted(self) -> tuple[ColumnComparison, ...]:
        """The columns that have drifted, the costliest first."""
        return tuple(column for column in self.columns if column.drifted)

    @property
    def share(self) -> float | NoData:
        """Share of the compared columns that have drifted; NoData if not one could be compared."""
        compared = sum(column.compared for column in self.columns)
        return len(self.drifted) / compared if compared else NoData("no column could be compared")

    @property
    def attribution(self) -> dict[str, float]:
        """Each drifted column's share of their cost; empty if none has drifted, or none matters to the model.

        Columns that have not drifted have no part in it: what they show is noise.
        """
        total = sum(column.cost for column in self.drifted)
        return {column.name: column.cost / total for column in self.drifted} if total > 0 else {}

    def __getitem__(self, name: str) -> ColumnComparison:
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)

    def to_dict(self) -> dict[str, Any]:
        """Return the comparison as JSON-able values; what does not exist is ``{"no_data": reason}``."""
        return {
            "rows_reference": self.rows_reference,
            "rows_current": self.rows_current,
            "alpha": self.alpha,
            "share": _or_reason(self.share),
            "attribution": self.attribution,
            "columns": [column.to_dict() for column in self.columns],
            "absent": list(self.absent),
            "skipped": dict(self.skipped),
        }


def _or_reason(value: float | NoData) -> float | dict[str, str]:
    return _reason(value) if isinstance(value, NoData) else value


def _reason(nothing: NoData) -> dict[str, str]:
    return {"no_data": nothing.reason}
