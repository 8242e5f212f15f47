"""Requests take turns, in the order they came: in the event loop, or in threads.

Whoever waits when a turn comes takes it together with those behind, where the model gains by that; nobody
waits for others to come, so a lone request is alone. On the loop a turn comes with its next iteration,
between which it reads what has arrived: health is answered, and requests are turned away, however many wait.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from time import perf_counter

from serving.http import HttpError, Response
from serving.job import Job
from serving.slot import Live

Outcome = Response | Exception
Work = Callable[[Live, Sequence[Job]], list[Outcome]]

_TOGETHER_BYTES = 32 * 1024
_SOON_S = 0.001
_CROWD = 64
_CROWDED_S = 0.02


class Lane:
    """One row of waiting requests. Everything but the work happens on the event loop.

    Parameters
    ----------
    work
        Answers requests: an outcome each.
    live
        Returns what is loaded if it is the version asked for, or raises.
    most
        Most requests of one turn; in threads one, where the model gains nothing by more.
    threads
        How many turns may run at once; 0 for one, on the event loop.
    """

    def __init__(self, work: Work, live: Callable[[str | None], Live], most: int, threads: int) -> None:
        self._work = work
        self._live = live
        self._most = most
        self._loop = asyncio.get_running_loop()
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="inference") if threads else None
        self._free = threads or 1
        self._called = False
        self._waiting: deque[Job] = deque()

    def __len__(self) -> int:
        """Count those that wait."""
        return len(self._waiting)

    def join(self, job: Job, *, alone: bool) -> None:
        """Have a request answered when its turn comes, at once if it is `alone`.

        Its deadline holds until its turn.
        """
        self._waiting.append(job)
        if alone and self._free and not self._called:
            self._turn()
        else:
            self._call()
        if self._threads is not None and job.live is None:
            timer = self._loop.call_later(job.deadline - perf_counter(), _expire, job)
            job.answer.add_done_callback(lambda _: timer.cancel())

    def close(self) -> None:
        """Wait for what runs in threads."""
        if self._threads is not None:
            self._threads.shutdown()

    def _call(self) -> None:
        if self._waiting and self._free and not self._called:
            self._called = True
            self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        self._called = False
        end = perf_counter() + _CROWDED_S
        self._take()
        while self._threads is None and len(self._waiting) > _CROWD and perf_counter() < end:
            self._take()  # where many are turned away, the loop has little time for those who are not
        self._call()

    def _take(self) -> None:
        live, jobs = self._next()
        if live is None:
            return
        if self._threads is None:
            _settle(jobs, self._outcomes(live, jobs))
            return
        self._free -= 1
        running = self._loop.run_in_executor(self._threads, self._outcomes, live, jobs)
        running.add_done_callback(partial(self._done, jobs))

    def _done(self, jobs: Sequence[Job], running: asyncio.Future[list[Outcome]]) -> None:
        self._free += 1
        _settle(jobs, running.result())
        self._call()

    def _outcomes(self, live: Live, jobs: Sequence[Job]) -> list[Outcome]:
        """Answer a turn; what nobody expected, such as no memory left, leaves no request waiting."""
        try:
            return self._work(live, jobs)
        except Exception as error:  # noqa: BLE001 - it is raised where each of them waits
            return [error] * len(jobs)

    def _next(self) -> tuple[Live | None, list[Job]]:
        """Take who is next, and who fits in; settle those that nothing can or need be done for."""
        jobs: list[Job] = []
        live, size, most = None, 0, 1
        while self._waiting and len(jobs) < most:
            if size + len(self._waiting[0].body) > _TOGETHER_BYTES and jobs:
                break
            job = self._waiting.popleft()
            try:
                waited = _wait_of(job)
                live = job.live = self._live(job.version)
            except Exception as error:  # noqa: BLE001 - it is raised where the request waits
                _settle([job], [error])
                continue
            live.metrics[job.origin].queued_seconds.observe(waited)
            most = self._most if self._threads is None or live.model.gains_together else 1
            jobs.append(job)
            size += len(job.body)
        return live if jobs else None, jobs


def late() -> HttpError:
    """Return what a request hears that nobody waits for any more."""
    return HttpError(504, "the request's deadline has passed before its turn came; nothing was computed")


def _wait_of(job: Job) -> float:
    """Return the seconds that a request has waited, if someone still wants its answer."""
    now = perf_counter()
    waited = now - job.started
    if now >= job.deadline:
        raise late()
    if waited > _SOON_S and job.has_gone():
        raise HttpError(499, "the client closed the connection while the request waited")
    return waited


def _expire(job: Job) -> None:
    if job.live is None:
        _settle([job], [late()])


def _settle(jobs: Sequence[Job], outcomes: Sequence[Outcome]) -> None:
    for job, outcome in zip(jobs, outcomes, strict=True):
        if job.answer.done():
            continue  # its deadline, or its task, has ended
        if isinstance(outcome, Response):
            job.answer.set_result(outcome)
        else:
            job.answer.set_exception(outcome)
