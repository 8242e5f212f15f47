"""What the measurements of the model servers say: a table, and whether the targets are met."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from statistics import median

import numpy as np

from bench.speed.figures import Figure
from bench.speed.load import Closed, Open
from bench.speed.servers import FASTAPI, MLFLOW, MLSERVER, OURS

BATCH = 256
FASTER = {MLSERVER: 5, MLFLOW: 5, FASTAPI: 2}
"""Times the requests a second of each peer that ours must answer."""
SHARE = 70
"""Percent of bare ONNX Runtime's rows a second that ours must reach in batches."""
JSON, BINARY = "JSON", "binary tensors"


@dataclass
class Measured:
    """All rounds of all cells; every key begins with a server's name.

    Parameters
    ----------
    single
        By connections: one row a request, as fast as answered, and the processor's µs a request.
    batches
        By the wire: 256 rows a request, as `single`.
    paced
        By what the rate is half of.
    rates
        Requests a second of the same.
    bare
        By rows at a time: rows a second of ONNX Runtime without a server, and the processor's µs a row.
    """

    single: dict[tuple[str, int], list[tuple[Closed, float]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    batches: dict[tuple[str, str], list[tuple[Closed, float]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    paced: dict[tuple[str, str], list[Open]] = field(default_factory=lambda: defaultdict(list))
    rates: dict[tuple[str, str], float] = field(default_factory=dict)
    bare: dict[int, list[tuple[float, float]]] = field(default_factory=lambda: defaultdict(list))

    def most(self, server: str) -> float:
        """Return the most one-row requests a second that a server answered, over the connections tried."""
        return max(per_second(runs) for (name, _), runs in self.single.items() if name == server)


def per_second(runs: list[tuple[Closed, float]]) -> float:
    """Return the median of the rounds' requests a second."""
    return median((run.requests - run.failed) / run.seconds for run, _ in runs)


def microseconds(runs: list[tuple[Closed, float]]) -> float:
    """Return the median of the rounds' µs of the processor a request."""
    return median(each for _, each in runs)


def single(measured: Measured) -> Iterator[Figure]:
    """One row a request, as fast as it is answered."""
    line = "single"
    yield _bare(line, measured.bare[1])
    for (server, connections), runs in measured.single.items():
        middle, tail = median(run.p50_ms for run, _ in runs), median(run.p99_ms for run, _ in runs)
        note = f"CPU {microseconds(runs):,.0f} us a request, p50 {middle:.2f} ms, p99 {tail:.2f} ms"
        what = f"{server}, {connections} at a time"
        yield Figure(line, what, per_second(runs), "req/s", note=note)
    for (peer, connections), runs in measured.single.items():
        if peer not in FASTER or (OURS, connections) not in measured.single:
            continue
        ours, target = measured.single[OURS, connections], FASTER[peer]
        ratio, cheaper = per_second(ours) / per_second(runs), microseconds(runs) / microseconds(ours)
        what, note = f"trimtab / {peer}, {connections} at a time", f"{cheaper:.2g} x less CPU a request"
        yield Figure(line, what, ratio, "x", f">= {target} x", ratio >= target, note)


def latency(measured: Measured) -> Iterator[Figure]:
    """One row a request, at a constant rate; latency since the request was due.

    A p99 is the median of the rounds' own: a pause of the machine is in one of them.
    """
    line = "latency"
    tails = {}
    for (server, half), runs in measured.paced.items():
        middle, tail = (median(_percentile(run, share) for run in runs) for share in (50, 99))
        tails[server, half] = tail
        worst, rate = max(_percentile(run, 99) for run in runs), measured.rates[server, half]
        note = (
            f"p50 {middle:.2f} ms, {len(runs)} rounds at {rate:,.0f}/s, the worst round's p99 {worst:.2f} ms"
        )
        yield Figure(line, f"{server}, p99 at half of {half}", tails[server, half], "ms", note=note)
    for (peer, half), tail in tails.items():
        if peer not in FASTER or (OURS, half) not in tails:
            continue
        ratio = tails[OURS, half] / tail
        what = f"trimtab / {peer}, p99 at half of {half}"
        yield Figure(line, what, ratio, "x", "< 1 x", ratio < 1)


def batches(measured: Measured) -> Iterator[Figure]:
    """256 rows a request, as fast as it is answered."""
    line, bare = "batches", median(rate for rate, _ in measured.bare[BATCH])
    yield _bare(line, measured.bare[BATCH])
    for (server, wire), runs in measured.batches.items():
        note = f"CPU {microseconds(runs) / BATCH:.2f} us a row"
        yield Figure(line, f"{server}, {wire}", per_second(runs) * BATCH, "rows/s", note=note)
    for (server, wire), runs in measured.batches.items():
        share = 100 * per_second(runs) * BATCH / bare
        what = f"{server}, {wire}, share of onnxruntime"
        if server == OURS:
            yield Figure(line, what, share, "%", f">= {SHARE} %", share >= SHARE)
        else:
            yield Figure(line, what, share, "%")


def failed(measured: Measured) -> Iterator[Figure]:
    """Requests without a good answer in all cells."""
    counts: dict[str, int] = defaultdict(int)
    for cells in (measured.single, measured.batches):
        for (server, _), runs in cells.items():
            counts[server] += sum(run.failed for run, _ in runs)
    for (server, _), paced in measured.paced.items():
        counts[server] += sum(run.failed for run in paced)
    for server, count in counts.items():
        yield Figure("failed", f"{server}, requests that failed", count, "", "0", count == 0)


def _percentile(run: Open, share: float) -> float:
    return float(np.percentile(run.latencies_ms or [float("nan")], share))


def _bare(line: str, runs: list[tuple[float, float]]) -> Figure:
    rate, spent = (median(run[at] for run in runs) for at in (0, 1))
    return Figure(line, "onnxruntime without a server", rate, "rows/s", note=f"CPU {spent:.2f} us a row")
