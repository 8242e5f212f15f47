from __future__ import annotations

import logging

import pytest

import spec
from serving.log.trouble import Trouble


def test_trouble_is_told_once_and_its_end_too(caplog: pytest.LogCaptureFixture) -> None:
    """A thousand failures are one line with the first reason, and one line when it is over, with how many."""
    trouble = Trouble("the disk takes no rows")
    for number in range(1000):
        trouble.begins(OSError(f"reason {number}"))
    assert [("the disk takes no rows: reason 0", logging.ERROR)] == told(caplog)

    trouble.ends()
    trouble.ends()
    assert [("over after 0 s and 1000 failures: the disk takes no rows", logging.WARNING)] == told(caplog)[1:]


def test_what_is_well_says_nothing_and_trouble_that_returns_does(caplog: pytest.LogCaptureFixture) -> None:
    """Without trouble there is no end of it; a second trouble is told like the first."""
    trouble = Trouble("no")
    trouble.ends()
    assert [] == told(caplog)

    for _ in range(2):
        trouble.begins(OSError("again"))
        trouble.ends()
    assert 4 == len(told(caplog))


def test_what_we_say_ourselves_has_no_traceback(caplog: pytest.LogCaptureFixture) -> None:
    """An error of ours is its words; one of others comes with where it came from, also behind one of ours."""
    ours, behind, others = spec.Unavailable("it died"), spec.Unavailable("no room"), OSError("full")
    behind.__cause__ = others
    for error in (ours, behind, others):
        Trouble("no").begins(error)

    assert [None, others, others] == [each.exc_info and each.exc_info[1] for each in caplog.records]


def told(caplog: pytest.LogCaptureFixture) -> list[tuple[str, int]]:
    """What was logged, and how loudly."""
    return [(record.getMessage(), record.levelno) for record in caplog.records]
