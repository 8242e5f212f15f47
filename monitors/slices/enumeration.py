"""Every slice of one feature and every pair of slices of two, scored; those that stand out are kept."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
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
    """The rows with a code in each of one or two cuts.

    `score` is how far it stands out, in standard errors; `new` whether the reference, if any, lacks it.
    """

    cuts: tuple[int, ...]
    codes: tuple[int, ...]
    score: float
    new: bool

    def members(self, codes: Codes) -> Chosen:
        """Return which rows it holds; `codes` has shape (rows, cuts)."""
        return np.asarray((codes[:, self.cuts] == self.codes).all(axis=1))

    def name(self, cuts: Sequence[Cut]) -> str:
        """Return what people call it."""
        return " and ".join(cuts[cut].names[code] for cut, code in zip(self.cuts, self.codes, strict=True))


def promising(cuts: Sequence[Cut], now: Sample, before: Sample | None, share: float) -> list[Slice]:
    """Return the slices that stand out most, at most 100, the first the most.

    A pair is a finding of its own only if it stands out more than both slices that it is made of, and if the
    reference, where there is one, knows it: of what is new, the new value says enough, and a pair of it with
    what was always hard would be hard for that alone.

    Parameters
    ----------
    share
        Slices with a smaller share of the rows are left out, and so are those that leave less than it.
    """
    sizes = [len(cut.names) for cut in cuts]
    alone = [_scores(now, before, (cut,), sizes, share) for cut in range(len(cuts))]
    found = [slice_ for cut, scores in enumerate(alone) for slice_ in _standing_out((cut,), scores)]
    for one, other in combinations(range(len(cuts)), 2):
        pairs = _scores(now, before, (one, other), sizes, share)
        best = np.maximum(alone[one].score[:, None], alone[other].score)
        counts = (pairs.score > best) & (pairs.known | (before is None))
        found += _standing_out((one, other), replace(pairs, score=np.where(counts, pairs.score, -np.inf)))
    return sorted(found, key=lambda slice_: -slice_.score)[:_KEPT]


@dataclass(frozen=True, slots=True)
class _Scores:
    """Scores of all slices of one cut or two, and whether the reference knows them; shape of the cuts' sizes.

    -inf of those that are not looked at.
    """

    score: Array
    known: Chosen


def _standing_out(cuts: tuple[int, ...], scores: _Scores) -> Iterator[Slice]:
    for codes in np.argwhere(scores.score >= PROMISING):
        at = tuple(codes.tolist())
        yield Slice(cuts, at, float(scores.score[at]), not scores.known[at])


def _scores(
    now: Sample, before: Sample | None, cuts: tuple[int, ...], sizes: Sequence[int], share: float
) -> _Scores:
    shape = tuple(sizes[cut] for cut in cuts)
    score, known = np.full(math.prod(shape), -np.inf), np.zeros(math.prod(shape), dtype=bool)
    code = _combined(now.codes, cuts, shape)
    rows = np.bincount(code, minlength=len(score))
    large = np.flatnonzero(np.minimum(rows, len(now) - rows) >= share * len(now))
    place = np.full(len(score), len(large))  # all small ones are one slice, the last, which is not scored
    place[large] = np.arange(len(large))
    current = now.by(place[code], len(large) + 1)
    past = None
    if before is not None:
        past = before.by(place[_combined(before.codes, cuts, shape)], len(large) + 1)
    risen, has_before = rise(current, past)
    score[large] = np.where(risen.degrees >= _DEGREES, risen.score, -np.inf)[:-1]
    known[large] = has_before[:-1]
    return _Scores(score.reshape(shape), known.reshape(shape))


def _combined(codes: Codes, cuts: tuple[int, ...], shape: tuple[int, ...]) -> Codes:
    """Number the slices of one cut or of the pairs of two."""
    code = codes[:, cuts[0]]
    for cut, size in zip(cuts[1:], shape[1:], strict=True):
        code = code * size + codes[:, cut]
    return code
