"""Slices that a search has picked, tested on rows that it has not seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from monitors.slices.contrast import Contrast, Sides
from monitors.slices.cuts import Codes, Cut
from monitors.slices.enumeration import Slice
from monitors.slices.holm import holm
from monitors.slices.losses import Array
from monitors.slices.sample import Sample, rise

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class WeakSlice:
    """A slice that stood out on the days of the search, as the other days show it.

    Parameters
    ----------
    name
        Such as ``origin=JFK and distance > 900``.
    now, before
        Mean loss in the slice, on the confirming days and in the reference; None if that does not know it.
    rise
        By how much more the loss of the slice lies above that of all other rows now than it did in the
        reference (or lies above it now, where `before` is None), in the unit of the loss.
    low, high
        Interval of `rise` at 95 %; of the slices with `p_value` at the level or below, 95 % hold the truth.
    n
        Rows of the slice on the confirming days.
    p_value
        One-sided, adjusted for the other slices that were tested (Holm).
    """

    name: str
    now: float
    before: float | None
    rise: float
    low: float
    high: float
    n: int
    p_value: float


def confirm(
    cuts: Sequence[Cut],
    chosen: Sequence[Slice],
    now: Sample,
    before: Sample | None,
    *,
    share: float,
    level: float,
) -> tuple[WeakSlice, ...]:
    """Test slices, the surest first; those that have too few rows here are left out.

    Parameters
    ----------
    chosen
        Picked without a look at `now`.
    share
        The least part of the rows that a slice must hold, and leave.
    level
        P-values up to it pick a slice; the intervals of k picked of m tested are at 1 - 5 %·k/m.

    References
    ----------
    Benjamini and Yekutieli (2005), JASA 100: the false coverage rate.
    """
    if not chosen:
        return ()
    sides = sides_of(chosen, now)
    past = None if before is None else sides_of(chosen, before)
    risen, known = rise(sides, past)
    fit = np.minimum(sides.inside.rows, sides.outside.rows) >= share * len(now)
    fit &= known | [slice_.new for slice_ in chosen]
    tested = np.flatnonzero(fit & (risen.variance > 0))
    p_values, reach = _tests(risen, tested, level)
    found = []
    for place in np.argsort(p_values, kind="stable"):
        index = tested[place]
        value = float(risen.value[index])
        was = float(past.inside.mean[index]) if past is not None and known[index] else None
        found.append(
            WeakSlice(
                name=chosen[index].name(cuts),
                now=float(sides.inside.mean[index]),
                before=was,
                rise=value,
                low=value - float(reach[place]),
                high=value + float(reach[place]),
                n=int(sides.inside.rows[index]),
                p_value=float(p_values[place]),
            )
        )
    return tuple(found)


def sides_of(slices: Sequence[Slice], sample: Sample) -> Sides:
    """Sum up slices of a sample that may overlap; one at least."""
    members = np.array([slice_.members(sample.codes) for slice_ in slices])
    return Sides.of_members(members, sample.block, sample.loss)


def _tests(risen: Contrast, tested: Codes, level: float) -> tuple[Array, Array]:
    """Return Holm's p-values of the tested contrasts, and the half-widths of their intervals."""
    from scipy.special import stdtr, stdtrit  # noqa: PLC0415 - only the daemon needs it

    degrees = risen.degrees[tested]
    p_values = holm(stdtr(degrees, -risen.score[tested]))
    picked = p_values <= level
    outside = (1 - CONFIDENCE) * np.where(picked, picked.sum() / max(len(tested), 1), 1.0)
    return p_values, stdtrit(degrees, 1 - outside / 2) * risen.error[tested]
