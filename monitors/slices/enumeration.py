"""Every slice of one feature and every pair of slices of two, scored; those that stand out are kept."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from monitors.slices.cuts import Codes, Cut
from monitors.slices.losses import Array
from monitors.slices.sample import Chosen, Sample, rise

PROMISING = 2.0
"""Standard errors by which a slice must stand out."""
_KEPT = 100
_DEGREES = 2.0  # a slice of fewer days, more or less, cannot be told from those days


@dataclass(frozen=True, slots=True)
class Slice:
    """The rows with a code in each of one or two cuts, and how far it stands out, in standard errors."""

    cuts: tuple[int, ...]
    codes: tuple[int, ...]
    score: float

    def members(self, codes: Codes) -> Chosen:
        """Return which rows it holds; `codes` has shape (rows, cuts)."""
        return np.asarray((codes[:, self.cuts] == self.codes).all(axis=1))

    def name(self, cuts: Sequence[Cut]) -> str:
        """Return what people call it."""
        return " and ".join(cuts[cut].names[code] for cut, code in zip(self.cuts, self.codes, strict=True))


def promising(cuts: Sequence[Cut], now: Sample, before: Sample | None, share: float) -> list[Slice]:
    """Return the slices that stand out most, at most 100, the first the most.

    A pair is a finding of its own only if it stands out more than both slices that it is made of.

    Parameters
    ----------
    share
        Slices with a smaller share of the rows are left out, and so are those that leave less than it.
    """
    sizes = [len(cut.names) for cut in cuts]
    alone = [_scores(now, before, (cut,), sizes, share) for cut in range(len(cuts))]
    found = [slice_ for cut, score in enumerate(alone) for slice_ in _standing_out((cut,), score)]
    for one, other in combinations(range(len(cuts)), 2):
        score = _scores(now, before, (one, other), sizes, share)
        best = np.maximum(alone[one][:, None], alone[other])
        found += _standing_out((one, other), np.where(score > best, score, -np.inf))
    return sorted(found, key=lambda slice_: -slice_.score)[:_KEPT]


def _standing_out(cuts: tuple[int, ...], score: Array) -> Iterator[Slice]:
    for codes in np.argwhere(score >= PROMISING):
        yield Slice(cuts, tuple(codes.tolist()), float(score[tuple(codes)]))


def _scores(
    now: Sample, before: Sample | None, cuts: tuple[int, ...], sizes: Sequence[int], share: float
) -> Array:
    """Score all slices of one cut or two; shape of their sizes, -inf of those that are not looked at."""
    shape = tuple(sizes[cut] for cut in cuts)
    score = np.full(math.prod(shape), -np.inf)
    code = _combined(now.codes, cuts, shape)
    rows = np.bincount(code, minlength=len(score))
    large = np.flatnonzero(np.minimum(rows, len(now) - rows) >= share * len(now))
    place = np.full(len(score), len(large))  # all small ones are one slice, the last, which is not scored
    place[large] = np.arange(len(large))
    current = now.by(place[code], len(large) + 1)
    past = None
    if before is not None:
        past = before.by(place[_combined(before.codes, cuts, shape)], len(large) + 1)
    risen, _ = rise(current, past)
    score[large] = np.where(risen.degrees >= _DEGREES, risen.score, -np.inf)[:-1]
    return score.reshape(shape)


def _combined(codes: Codes, cuts: tuple[int, ...], shape: tuple[int, ...]) -> Codes:
    """Number the slices of one cut or of the pairs of two."""
    code = codes[:, cuts[0]]
    for cut, size in zip(cuts[1:], shape[1:], strict=True):
        code = code * size + codes[:, cut]
    return code
