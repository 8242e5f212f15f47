"""What every test of this folder answers with."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

SMALLEST_P = 1e-300
"""No p-value is reported below this; none is ever 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How far apart two samples are, how sure that is, and whether both pass their limits.

    Parameters
    ----------
    effect
        On the scale that the test's own docstring names; larger is further apart. Finite.
    interval
        Of the effect, two-sided, 95 %.
    p_value
        In (0, 1]: how likely so much or more is if both samples have one distribution.
    rows_reference, rows_current
        Rows that were used.
    threshold, alpha
        The limits of `effect` (≥) and of `p_value` (≤).
    """

    effect: float
    interval: tuple[float, float]
    p_value: float
    rows_reference: int
    rows_current: int
    threshold: float
    alpha: float

    @property
    def drifted(self) -> bool:
        """Whether the effect matters (≥ threshold) and is no accident (p ≤ alpha)."""
        return self.effect >= self.threshold and self.p_value <= self.alpha

    def to_dict(self) -> dict[str, Any]:
        """Return the fields and `drifted` as plain dicts, tuples, strings and numbers."""
        return asdict(self) | {"drifted": self.drifted}
