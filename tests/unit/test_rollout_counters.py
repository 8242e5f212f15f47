"""Rises of counters from raw samples, and spans of counters that are scraped apart."""

import math

import pytest

from rollout.counters import Span, enclosing, increase, newest, total
from rollout.prometheus import Series, selector


def series(*samples: tuple[float, float]) -> Series:
    """A series without labels."""
    return Series({}, samples)


@pytest.mark.parametrize(
    ("samples", "rise"),
    [
        ([], 0),
        ([(4, 7.0)], 0),
        ([(4, 7.0), (6, 9.0)], 2),
        ([(6, 9.0)], 9),
        ([(4, 7.0), (6, 9.0), (8, 1.0), (9, 3.0)], 5),
        ([(4, 7.0), (6, 7.0), (11, 99.0)], 0),
        ([(2, 1.0), (5, 7.0), (10, 8.0)], 1),
        ([(4, 7.0), (6, math.nan)], None),
    ],
)
def test_increase(samples: list[tuple[float, float]], rise: float | None) -> None:
    """Only samples of the span count, from the last one before it; a fall is a restart."""
    assert increase(samples, Span(5, 10)) == rise


def test_total_of_several() -> None:
    """Counters add up, and one that is unknown makes the sum unknown."""
    known = [series((4, 1.0), (6, 3.0)), series((6, 4.0))]

    assert total(known, Span(5, 10)) == 6
    assert total([*known, series((6, math.inf))], Span(5, 10)) is None
    assert total([], Span(5, 10)) == 0


def test_outer_span_holds_the_inner() -> None:
    """The champion's span begins no later and ends no earlier than the challenger's."""
    inner = [series((4.0, 0), (9.0, 0), (14.0, 0), (19.0, 0))]
    outer = [series((3.0, 0), (8.0, 0), (13.0, 0), (18.0, 0))]

    assert enclosing(inner, outer, 10.0) == (Span(9.0, 14.0), Span(9.0, 18.0))


def test_no_common_span_yet() -> None:
    """Before both were scraped in the step there is no span."""
    early, late = [series((4.0, 0))], [series((12.0, 0))]

    assert enclosing(early, late, 10.0) is None
    assert enclosing(late, early, 10.0) is None
    assert enclosing([], [], 10.0) is None


def test_newest() -> None:
    """The newest sample of any series counts; of none it is infinitely old."""
    assert newest([series((1.0, 0), (5.0, 0)), series((3.0, 0)), series()]) == 5.0
    assert newest([]) == -math.inf


def test_selector_quotes() -> None:
    """Label values cannot end their quotes."""
    text = selector("m", model='a"b', version="~1|2")

    assert text == r'm{model="a\"b",version=~"1|2"}'
