"""The slices that a model serves worst, of one feature or of two, found on some days and shown on others.

Every slice of one feature and every pair of slices of two features is looked at on every second day. The
few that stand out are then tested on the days between, which the search has not seen: the effect that is
told, its interval and its p-value are therefore not the luck of having been picked among thousands.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from monitors.slices.confirmation import WeakSlice, confirm, sides_of
from monitors.slices.cuts import Cut
from monitors.slices.enumeration import PROMISING, Slice, promising
from monitors.slices.sample import Sample, rise

CANDIDATES = 5
"""Most slices that are tested; each one more costs the others power."""
_SHARE = 0.01
_MOST_EXPLORED = 50_000


def search(
    cuts: Sequence[Cut], now: Sample, before: Sample | None, *, min_rows: int, level: float
) -> tuple[WeakSlice, ...]:
    """Return the slices that may have become worse, the surest first; those with p_value ≤ `level` have.

    P(any slice has p_value ≤ level though none became worse) ≤ level: the days are halved, and so is the
    reference; at most `CANDIDATES` slices that stand out on one half are tested on the other, and Holm's
    rule holds over them.

    Parameters
    ----------
    cuts
        What the columns of the samples' codes are.
    before
        Labelled rows of the reference, taken as independent; None if it has none: slices are then held
        against the other rows of now only.
    min_rows
        Slices with fewer rows, or with less than 1 % of them, are left out.
    level
        In (0, 1).

    References
    ----------
    Chung, Kraska, Polyzotis, Tae and Whang (2019), ICDE, and Sagadeeva and Boehm (2021), SIGMOD: slices and
    their least size; Cox (1975), Biometrika 62: splitting; Benjamini and Yekutieli (2005), JASA 100: the
    intervals of what was picked.
    """
    if not len(now):
        return ()
    share = max(min_rows / len(now), _SHARE)
    explored, confirming = now.halves()
    known, untouched = (None, None) if before is None else before.halves()
    chosen = _chosen(cuts, explored.thinned(_MOST_EXPLORED), known, share)
    return confirm(cuts, chosen, confirming, untouched, share=share, level=level)


def _chosen(cuts: Sequence[Cut], explored: Sample, before: Sample | None, share: float) -> list[Slice]:
    """Choose the slice that stands out most, then the one that does so in the rows outside of it, and so on.

    A slice inside a chosen one, or around it and bad for its sake only, adds nothing and is left out.
    """
    found = promising(cuts, explored, before, share)
    chosen: list[Slice] = []
    while found and len(chosen) < CANDIDATES:
        now = _apart_from(chosen, explored)
        sides = sides_of(found, now)
        risen, known = rise(sides, None if before is None else sides_of(found, _apart_from(chosen, before)))
        fit = np.minimum(sides.inside.rows, sides.outside.rows) >= share * len(explored)
        fit &= known | [slice_.new for slice_ in found]
        score = np.where(fit, risen.score, -np.inf)
        if score.max() < PROMISING:
            break
        chosen.append(found[int(score.argmax())])
    return chosen


def _apart_from(chosen: Sequence[Slice], sample: Sample) -> Sample:
    outside = np.ones(len(sample), dtype=bool)
    for slice_ in chosen:
        outside &= ~slice_.members(sample.codes)
    return sample.only(outside)
