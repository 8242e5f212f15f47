"""What a model takes when it is served: measured in the model server itself, on this machine, over HTTP."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
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
_CALLS = 2_000
_CALLS_LIMIT_S = 4.0  # one second on a machine that is not busy; few calls would bear the log's cost alone
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
        CPU-seconds, estimated joules and what both cost, of a million predictions in one-row requests that
        follow each other at once; the inference log is written as in production. The price is None where
        ``monitor.cost`` states none.
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


def measure(spec: ModelSpec, file: Path, inputs: pd.DataFrame) -> Served:
    """Serve a file in a process of its own, ask it, and stop it; takes about four seconds.

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
        before = _look(server, powercap)
        calls = _timed(server, rows, _CALLS, _CALLS_LIMIT_S)
        server.await_log()
        after = _look(server, powercap)
        told = server.metrics()
    p50, p99 = _quantiles(calls)
    millions, usage_after = len(calls) / 1e6, after.processes[_PROCESS]
    seconds = grown(before.processes[_PROCESS], usage_after, "cpu_seconds")
    joules = sum(spent(before, after, _PROCESS, spec.monitor.cost).values())
    price = spec.monitor.cost.price(joules, seconds)
    return Served(
        served_p50=p50,
        served_p99=p99,
        rows_per_second=_BATCH / float(np.median(batches)),
        cold_start_seconds=cold,
        load_seconds=_load_seconds(told),
        memory=usage_after.resident_bytes,
        cpu_per_million=seconds / millions,
        joules_per_million=joules / millions,
        price_per_million=None if price is None else price / millions,
    )


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
