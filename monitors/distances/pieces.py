"""What both sides do inside one bin, where more is known of them than their counts."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple


class Piece(NamedTuple):
    """A side's rows in a bin: some at both ends of a stretch, the others spread evenly between.

    Parameters
    ----------
    begin, end
        The stretch, measured from the bin's left edge; of no width if all rows have one value.
    first, spread, last
        Shares of the side: at `begin`, between, at `end`.
    """

    begin: float
    end: float
    first: float
    spread: float
    last: float

    def below(self, place: float) -> tuple[float, float]:
        """Return the shares of the side that lie in the bin: below `place`, and at or below it."""
        begin, end, first, spread, last = self
        if place < begin:
            return 0.0, 0.0
        if place > end:
            return first + spread + last, first + spread + last
        if begin == end:
            return 0.0, first + spread + last
        inside = first + spread * (place - begin) / (end - begin)
        return (inside if place > begin else 0.0), (inside if place < end else inside + last)

    @property
    def doubt(self) -> float:
        """The largest area between the true distribution function and the one assumed here."""
        return self.spread * (self.end - self.begin) / 2


def area(width: float, before: float, reference: Piece, current: Piece) -> float:
    """Return ∫ |F - G| over a bin, exactly, where F - G is `before` at its left edge."""
    stops = sorted({0.0, width, reference.begin, reference.end, current.begin, current.end})
    heights = []
    for stop in stops:
        ours, theirs = reference.below(stop), current.below(stop)
        heights.append((before + ours[0] - theirs[0], before + ours[1] - theirs[1]))
    total = 0.0
    for (left, right), ((_, after), (until, _)) in zip(pairwise(stops), pairwise(heights), strict=True):
        mean = (abs(after) + abs(until)) / 2
        if after * until < 0:
            mean -= abs(after) * abs(until) / (2 * mean)
        total += (right - left) * mean
    return total
