"""What a model takes when it is served: measured in the model server itself, on this machine, over HTTP."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import cycle
from pathlib import Path
from time import monotonic, perf_counter

import numpy as np
import pandas as pd

from monitors.operations import machine
from monitors.operations.energy import Look, grown, spent
from monitors.operations.powercap import Powercap
from monitors.operations.processes import usage
from retraining.measurement import protocol
from retraining.measurement.trial_server import TrialServer, trial_server
from spec import ModelSpec

_WARM_UP = 50
_ROUND = 250
_BLOCKS = 4
_CALLS = 1_250  # a block; at 0.4 ms of CPU time a request fifty ticks of the clock that the kernel shows
_CALLS_LIMIT_S = 2.5  # a block; half a second on a machine that is not busy
_BATCH = 256
_BATCHES = 40
_BATCHES_LIMIT_S = 0.6
_LEAST = 5
_PROCESS = "trial"
_LOAD = re.compile(r"^trimtab_model_load_seconds\{.*\} (\S+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Served:
    """What one model took.

    Parameters
    ----------
    served_p50, served_p99
        Seconds from a one-row request sent to its answer received, on an open connection.
    rows_per_second
        Rows answered in requests of 256 of them, one request after another.
    cold_start_seconds
        From the start of the server's process to its first answer.
    load_seconds
        The part of it in which the file is loaded, checked and warmed up.
    memory
        Resident bytes of the process at the end (RSS, so the libraries' shared pages count too).
    cpu_per_million, joules_per_million, price_per_million
        CPU-seconds of the process, estimated joules and what both cost, of a million predictions in one-row
        requests that follow each other at once; the inference log is written as in production. Of four blocks
        of 1,250 requests, each with what it takes to log them, the one with the least CPU time a request:
        other work on the machine only adds to it, by caches and cores that are shared. The price is None
        where ``monitor.cost`` states none.
    """

    served_p50: float
    served_p99: float
    rows_per_second: float
    cold_start_seconds: float
    load_seconds: float
    memory: int
    cpu_per_million: float
    joules_per_million: float
    price_per_million: float | None


@dataclass(frozen=True, slots=True)
class _Block:
    """One-row requests one after another: their seconds, and the counters before and after."""

    calls: list[float]
    before: Look
    after: Look

    def taken(self, spec: ModelSpec) -> tuple[float, float]:
        """Return the CPU-seconds and the joules of the server for a million requests."""
        before, after = self.before.processes[_PROCESS], self.after.processes[_PROCESS]
        joules = sum(spent(self.before, self.after, _PROCESS, spec.monitor.cost).values())
        millions = len(self.calls) / 1e6
        return grown(before, after, "cpu_seconds") / millions, joules / millions


def measure(spec: ModelSpec, file: Path, inputs: pd.DataFrame) -> Served:
    """Serve a file in a process of its own, ask it, and stop it; takes about nine seconds.

    Parameters
    ----------
    inputs
        [n ≥ 1, features] real rows, as of `retraining.dataset.rows.inputs`; they take turns.

    Raises
    ------
    Refused
        The server does not start with the file, or answers with an error.
    Unavailable
        The server was not ready in time.
    """
    rows = [
        protocol.request(spec, inputs.iloc[[index]])
        for index in np.linspace(0, len(inputs) - 1, min(len(inputs), _ROUND)).astype(int)
    ]
    batch = protocol.request(spec, inputs.iloc[np.arange(_BATCH) % len(inputs)])
    with trial_server(spec, file) as server:
        first = perf_counter()
        server.infer(rows[0])
        cold = server.start_seconds + perf_counter() - first
        _timed(server, rows, _WARM_UP, _BATCHES_LIMIT_S)
        batches = _timed(server, [batch], _BATCHES, _BATCHES_LIMIT_S)
        powercap = Powercap()
        server.await_log()  # what was asked before is not on the account of what follows
        blocks = [_block(server, rows, powercap) for _ in range(_BLOCKS)]
        told, after = server.metrics(), _look(server, powercap)
    p50, p99 = _quantiles([seconds for block in blocks for seconds in block.calls])
    seconds, joules = min(block.taken(spec) for block in blocks)
    price = spec.monitor.cost.price(joules, seconds)
    return Served(
        served_p50=p50,
        served_p99=p99,
        rows_per_second=_BATCH / float(np.median(batches)),
        cold_start_seconds=cold,
        load_seconds=_load_seconds(told),
        memory=after.processes[_PROCESS].resident_bytes,
        cpu_per_million=seconds,
        joules_per_million=joules,
        price_per_million=price,
    )


def _block(server: TrialServer, rows: Sequence[bytes], powercap: Powercap) -> _Block:
    """Ask until a block is full; the work of logging it counts, the time that the log waits for does not."""
    before = _look(server, powercap)
    calls = _timed(server, rows, _CALLS, _CALLS_LIMIT_S)
    answered = monotonic()
    server.await_log()
    return _Block(calls, before, replace(_look(server, powercap), at=answered))


def _timed(server: TrialServer, bodies: Sequence[bytes], most: int, limit_s: float) -> list[float]:
    """Return the seconds of requests one after another; some at least, however slow they are."""
    times: list[float] = []
    end = monotonic() + limit_s
    for body in cycle(bodies):
        if len(times) >= most or (len(times) >= _LEAST and monotonic() > end):
            break
        start = perf_counter()
        server.infer(body)
        times.append(perf_counter() - start)
    return times


def _look(server: TrialServer, powercap: Powercap) -> Look:
    """Read the counters; GPUs are left out, since the server runs on CPUs."""
    processes = {_PROCESS: usage(_PROCESS, server.process)}
    return Look(monotonic(), processes, machine.look(), (), powercap.joules())


def _load_seconds(exposition: str) -> float:
    found = _LOAD.search(exposition)
    return float(found[1]) if found else 0.0


def _quantiles(times: Sequence[float]) -> tuple[float, float]:
    """Return the median and the 99th percentile of the calmest of the rounds: other work only adds time."""
    whole = max(len(times) // _ROUND, 1)
    rounds = np.array([np.quantile(part, [0.5, 0.99]) for part in np.array_split(times, whole)])
    p50, p99 = rounds.min(axis=0)
    return float(p50), float(p99)
