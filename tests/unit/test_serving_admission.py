from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from serving import admission
from serving.admission import Admission
from serving.http import HttpError


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """The seconds that the module reads; the test moves them."""
    now = [100.0]
    monkeypatch.setattr(admission, "perf_counter", lambda: now[0])
    return iter([now])


def test_one_more_than_allowed_is_turned_away() -> None:
    """As many as may enter do, the next is a 429, and one that leaves makes room."""
    door = Admission(2)
    with door:
        with door:
            with pytest.raises(HttpError) as caught, door:
                pytest.fail("a third one got in")
            assert (caught.value.status, caught.value.is_fault) == (429, True)
        with door:
            assert door.begun == 2
    assert door.begun == 0


def test_who_is_turned_away_hears_when_to_come_back(clock: Iterator[list[float]]) -> None:
    """Retry-After is what the waiting ones will take at the measured pace: 4 s each here, two of them."""
    now, door = next(clock), Admission(2)
    with ExitStack() as waiting:
        waiting.enter_context(door)
        with door:
            now[0] += 4
        waiting.enter_context(door)
        with pytest.raises(HttpError, match="try again in 8 s") as caught, door:
            pytest.fail("a third one got in")
    assert caught.value.headers == ((b"retry-after", b"8"),)


def test_an_idle_time_is_no_work(clock: Iterator[list[float]]) -> None:
    """What the server rests between requests does not make it look slow; a second is the least it names."""
    now, door = next(clock), Admission(1)
    with door:
        now[0] += 0.01
    now[0] += 3600
    with door:
        now[0] += 0.01
        assert door.seconds_to_drain() == 1
