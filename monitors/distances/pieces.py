"""What one side does inside one bin, where more is known of it than its count."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True, slots=True)
class Piece:
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

    def below(self, place: float, *, inclusive: bool) -> float:
        """Return the share of the side that lies in the bin and below `place`, or at it too."""
        past_begin = place > self.begin or (inclusive and place == self.begin)
        past_end = place > self.end or (inclusive and place == self.end)
        between = float(past_end)
        if past_begin and not past_end:
            between = (place - self.begin) / (self.end - self.begin)
        return self.first * past_begin + self.spread * between + self.last * past_end

    @property
    def doubt(self) -> float:
        """The largest area between the true distribution function and the one assumed here."""
        return self.spread * (self.end - self.begin) / 2


def area(width: float, before: float, reference: Piece, current: Piece) -> float:
    """Return ∫ |F - G| over a bin, exactly, where F - G is `before` at its left edge."""
    stops = sorted({0.0, width, reference.begin, reference.end, current.begin, current.end})
    total = 0.0
    for left, right in pairwise(stops):
        after = before + reference.below(left, inclusive=True) - current.below(left, inclusive=True)
        until = before + reference.below(right, inclusive=False) - current.below(right, inclusive=False)
        total += (right - left) * _mean_height(after, until)
    return total


def _mean_height(left: float, right: float) -> float:
    """Return the mean of the absolute value along a straight line between two heights."""
    mean = (abs(left) + abs(right)) / 2
    return mean - abs(left) * abs(right) / (2 * mean) if left * right < 0 else mean
