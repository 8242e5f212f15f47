import asyncio
from collections.abc import Sequence
from time import perf_counter
from types import SimpleNamespace
from typing import cast

import pytest
from prometheus_client import CollectorRegistry, Histogram

from serving.http import HttpError, Message, Response
from serving.job import Job
from serving.lane import Lane, Outcome
from serving.origin import Origin
from serving.slot import Live


def make_live() -> Live:
    """As much of a version as a lane looks at."""
    series = SimpleNamespace(queued_seconds=Histogram("wait", "Wait.", registry=CollectorRegistry()))
    return cast("Live", SimpleNamespace(metrics=(series,), model=SimpleNamespace(gains_together=True)))


def job(name: str, *, waited: float = 0.0, patience: float = 60.0, gone: bool = False) -> Job:
    """A request that has waited for so long, and would for so much longer."""

    async def receive() -> Message:
        if not gone:
            await asyncio.Event().wait()
        return {"type": "http.disconnect"}

    now = perf_counter()
    answer: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
    return Job(name.encode(), None, name, Origin.LIVE, None, now - waited, now + patience, receive, answer)


class Kitchen:
    """Answers every request with its own body, and remembers who came together."""

    def __init__(self) -> None:
        self.turns: list[list[str]] = []

    def work(self, _: Live, jobs: Sequence[Job]) -> list[Outcome]:
        """Answer, but fail at a request called bad."""
        self.turns.append([one.fallback_id for one in jobs])
        return [HttpError(500, "bad") if one.body == b"bad" else Response(200, one.body) for one in jobs]


def lane(kitchen: Kitchen, most: int, threads: int = 0) -> Lane:
    """A lane to the kitchen, with one version that is always live."""
    live = make_live()
    return Lane(kitchen.work, lambda _version: live, most, threads)


async def test_those_who_wait_take_turns_in_order() -> None:
    """Seven that came at once are answered in turns of at most three, first come, first served."""
    kitchen = Kitchen()
    row = lane(kitchen, most=3)
    jobs = [job(str(number)) for number in range(7)]
    for one in jobs:
        row.join(one, alone=False)
    answers = [(await one.answer).body for one in jobs]

    assert answers == [str(number).encode() for number in range(7)]
    assert kitchen.turns == [["0", "1", "2"], ["3", "4", "5"], ["6"]]
    assert len(row) == 0


async def test_a_lone_request_does_not_wait_at_all() -> None:
    """It is answered before `join` returns."""
    row, one = lane(Kitchen(), most=3), job("one")
    row.join(one, alone=True)

    assert one.answer.done()


async def test_one_that_fails_fails_alone() -> None:
    """Each future gets its own outcome."""
    row = lane(Kitchen(), most=3)
    jobs = [job(name) for name in ("good", "bad", "fine")]
    for one in jobs:
        row.join(one, alone=False)
    outcomes = await asyncio.gather(*(one.answer for one in jobs), return_exceptions=True)

    assert [type(outcome) for outcome in outcomes] == [Response, HttpError, Response]


async def test_what_nobody_waits_for_is_not_computed() -> None:
    """A request past its deadline is a 504, one whose client has gone a 499; neither reaches the model."""
    kitchen = Kitchen()
    row = lane(kitchen, most=8)
    late, left, good = job("late", patience=-1), job("left", waited=1, gone=True), job("good", waited=1)
    for one in (late, left, good):
        row.join(one, alone=False)
    await good.answer

    assert kitchen.turns == [["good"]]
    for one, status in ((late, 504), (left, 499)):
        error = one.answer.exception()
        assert isinstance(error, HttpError)
        assert error.status == status


async def test_large_bodies_do_not_join() -> None:
    """A turn ends before more than 32 KiB of bodies; one that is larger has a turn of its own."""
    kitchen = Kitchen()
    row = lane(kitchen, most=8)
    jobs = [job("a"), job("b"), job("x" * 40_000), job("c")]
    for one in jobs:
        row.join(one, alone=False)
    await jobs[-1].answer

    assert [len(turn) for turn in kitchen.turns] == [2, 1, 1]


async def test_a_deadline_passes_while_all_threads_work() -> None:
    """Nobody has to wait for a thread to hear that it is too late."""
    begun, end = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def work(_: Live, jobs: Sequence[Job]) -> list[Outcome]:
        loop.call_soon_threadsafe(begun.set)
        asyncio.run_coroutine_threadsafe(end.wait(), loop).result()
        return [Response(200, one.body) for one in jobs]

    live = make_live()
    row = Lane(work, lambda _version: live, most=1, threads=1)
    working, waiting = job("working"), job("waiting", patience=0.01)
    row.join(working, alone=False)
    await begun.wait()
    row.join(waiting, alone=False)
    with pytest.raises(HttpError, match="deadline"):
        await waiting.answer
    end.set()

    assert (await working.answer).body == b"working"
    row.close()


async def test_nothing_loaded_is_told_to_each() -> None:
    """What the version asked for raises is the request's outcome."""

    def nothing(_: str | None) -> Live:
        raise HttpError(503, "nothing is loaded")

    row, one = Lane(Kitchen().work, nothing, 1, 0), job("one")
    row.join(one, alone=True)
    with pytest.raises(HttpError, match="nothing is loaded"):
        await one.answer


async def test_a_deadline_passes_for_those_who_came_together() -> None:
    """Of two that came at once to one thread the second hears in time, too."""
    end = asyncio.Event()
    loop = asyncio.get_running_loop()

    def work(_: Live, jobs: Sequence[Job]) -> list[Outcome]:
        asyncio.run_coroutine_threadsafe(end.wait(), loop).result()
        return [Response(200, one.body) for one in jobs]

    live = make_live()
    row = Lane(work, lambda _version: live, most=1, threads=1)
    first, second = job("first"), job("second", patience=0.01)
    for one in (first, second):
        row.join(one, alone=False)
    try:
        with pytest.raises(HttpError, match="deadline"):
            await asyncio.wait_for(second.answer, 5)
    finally:
        end.set()

    assert (await first.answer).body == b"first"
    row.close()


@pytest.mark.parametrize("threads", [0, 1])
async def test_what_nobody_expected_leaves_nobody_waiting(threads: int) -> None:
    """Work that breaks as a whole is told to each of its requests, and the next turn comes."""

    def work(_: Live, jobs: Sequence[Job]) -> list[Outcome]:
        if jobs[0].body == b"bad":
            raise MemoryError
        return [Response(200, one.body) for one in jobs]

    live = make_live()
    row = Lane(work, lambda _version: live, most=1, threads=threads)
    bad, good = job("bad"), job("good")
    for one in (bad, good):
        row.join(one, alone=False)
    with pytest.raises(MemoryError):
        await asyncio.wait_for(bad.answer, 5)

    assert (await asyncio.wait_for(good.answer, 5)).body == b"good"
    row.close()
