"""What the inference log costs the model server, and whether it keeps up, on two cores in one run.

    python bench/speed/inference_log.py [--seconds S] [--rounds N] [--sustain S] [--json FILE]

Servers of one ONNX file, with a log and without (`unlogged_server`), share the first core; wrk asks one at a
time, in turns, from the second. Of the first with a log, spooling, commits to Delta and compaction all have
the server's core, so the cost is the most that it can be; the commits of the other have the client's. "CPU"
is what a server's processes took, work put off until after the load included; a busy machine moves it least.

Then the one with the log is asked for 5,000 rows a second at a constant rate, in requests of 8 rows and, if
it can, of one. The rows that wait for Delta must not grow, and in the end Delta must hold every row
that was answered. Nothing else should run on the machine.

Targets: throughput with the log >= 90 % of that without; 5,000 rows/s kept, no row missing.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path

from deltalake import DeltaTable
from deltalake.exceptions import TableNotFoundError

sys.path.insert(0, str(Path(__file__).parents[2]))  # `bench` is not installed

from bench.peers.client import Failed
from bench.speed import load, served_model, two_cores
from bench.speed.figures import Figure
from bench.speed.served_model import Served
from bench.speed.servers import KINDS, OURS, SPREAD, UNLOGGED, Server

CELLS = ((1, 16), (32, 8), (256, 4))  # rows a request, connections
RATE, SUSTAINED = 5000, (8, 1)
LEAST_SHARE, MOST_SHARE_OF_ITS_MOST = 0.9, 0.9
_LOOK_S, _DRAIN_S = 0.5, 60
_LONGEST_PAUSE_S = 2  # between two commits, one of them included


@dataclass
class Cell:
    """Rows a second and µs of the processor a row, one a round."""

    rate: list[float] = field(default_factory=list)
    processor_us: list[float] = field(default_factory=list)


@dataclass
class Bench:
    """Both servers, and what they are asked."""

    served: Served
    running: dict[str, Server]
    work: Path
    client_core: int

    def requests(self, rows: int) -> Path:
        """Write all rows as requests of so many."""
        file, asked = self.work / f"{rows}.requests", self.served.asked
        if not file.exists():
            wire = KINDS[OURS].wire
            starts = range(0, len(asked), rows)
            load.write(file, [wire.request(asked.iloc[at : at + rows]) for at in starts])
        return file

    def cost(self, seconds: int, rounds: int) -> dict[tuple[int, str], Cell]:
        """Ask each as fast as they answer, in turns."""
        cells = {(rows, name): Cell() for rows, _ in CELLS for name in self.running}
        for server in self.running.values():
            load.closed(server.port, self.requests(1), self.client_core, 16, 1)
        for number in range(1, rounds + 1):
            print(f"round {number} of {rounds}", flush=True)
            for rows, connections in CELLS:
                # who is asked first changes, so that a machine that slows down does not favour one
                for name in sorted(self.running, reverse=number % 2 == 0):
                    server = self.running[name]
                    before = server.settle()
                    run = load.closed(
                        server.port, self.requests(rows), self.client_core, connections, seconds
                    )
                    answered = max(run.requests, 1) * rows
                    cells[rows, name].rate.append(answered / run.seconds)
                    cells[rows, name].processor_us.append((server.settle() - before) / answered * 1e6)
                    if run.failed:
                        message = f"{name}: {run.failed} requests of {rows} rows failed"
                        raise Failed(message)
        return cells

    def sustain(self, rows: int, seconds: int) -> Iterator[Figure]:
        """Ask for `RATE` rows a second, and count what waits and what arrives."""
        server, what = self.running[OURS], f"{RATE:,} rows/s in requests of {rows}"
        _drained(server)
        before = _committed(self.work / OURS)
        with _waiting(server) as waits:
            run = load.paced(server.port, self.requests(rows), self.client_core, RATE / rows, seconds)
        answered = len(run.latencies_ms) * rows
        _drained(server)
        missing = answered - (_committed(self.work / OURS) - before)
        kept = answered / (RATE * seconds)
        quarter = max(1, len(waits) // 4)
        grown = statistics.mean(waits[-quarter:]) - statistics.mean(waits[quarter : 2 * quarter])
        latencies = sorted(run.latencies_ms)
        line = "sustain"
        yield Figure(line, f"{what}: answered", kept, "of all", ">= 0.99", kept >= 0.99)
        yield Figure(line, f"{what}: answered and not in Delta", missing, "rows", "0", missing == 0)
        yield Figure(line, f"{what}: most that waited", max(waits), "rows")
        most = RATE * _LONGEST_PAUSE_S
        yield Figure(line, f"{what}: growth of what waits", grown, "rows", f"< {most:,}", grown < most)
        yield Figure(line, f"{what}: p50", latencies[len(latencies) // 2], "ms")
        yield Figure(line, f"{what}: p99", latencies[len(latencies) * 99 // 100], "ms")


def told(cells: dict[tuple[int, str], Cell]) -> Iterator[Figure]:
    """What the log costs, by rows a request; medians over rounds, the share that of each round's pair."""
    for rows, connections in CELLS:
        off = cells[rows, UNLOGGED]
        what = f"{rows} rows a request, {connections} connections"
        yield Figure("cost", f"{what}, without a log", statistics.median(off.rate), "rows/s")
        for name, where in ((OURS, "one core"), (SPREAD, "two cores")):
            on = cells[rows, name]
            share = statistics.median(a / b for a, b in zip(on.rate, off.rate, strict=True))
            yield Figure("cost", f"{what}, logged on {where}", statistics.median(on.rate), "rows/s")
            target = f">= {LEAST_SHARE}"
            yield Figure("cost", f"{what}, {where}: with / without", share, "", target, share >= LEAST_SHARE)
            taken = statistics.median(on.processor_us) - statistics.median(off.processor_us)
            yield Figure("cost", f"{what}, {where}: CPU of the log", taken, "µs/row")


@contextmanager
def _waiting(server: Server) -> Iterator[list[float]]:
    """Note every half second how many rows wait for Delta."""
    found, ended = [_pending(server)], threading.Event()

    def look() -> None:
        while not ended.wait(_LOOK_S):
            found.append(_pending(server))

    thread = threading.Thread(target=look)
    thread.start()
    yield found
    ended.set()
    thread.join()


def _pending(server: Server) -> float:
    connection = HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    return next(float(line.split()[-1]) for line in text.splitlines() if "log_pending_rows{" in line)


def _drained(server: Server) -> None:
    end = time.monotonic() + _DRAIN_S
    while _pending(server) and time.monotonic() < end:
        time.sleep(_LOOK_S)


def _committed(home: Path) -> int:
    """Count the rows of the table."""
    try:
        return int(DeltaTable(home / "flights/inference").to_pyarrow_dataset().count_rows())
    except TableNotFoundError:
        return 0


def run(arguments: argparse.Namespace, work: Path, cores: tuple[int, int]) -> list[Figure]:
    """Start the servers, measure, print and return all figures."""
    served = served_model.make(work)
    with ExitStack() as stack:
        running = {}
        for name in (OURS, SPREAD, UNLOGGED):
            running[name] = Server(name, served, work / name, cores[0])
            stack.callback(running[name].stop)
            print(f"{name}: {KINDS[name].settings}", flush=True)
        running[SPREAD].move_children(cores[1])
        bench = Bench(served, running, work, cores[1])
        cells = bench.cost(arguments.seconds, arguments.rounds)
        figures = list(told(cells))
        print("\ncost", *figures, sep="\n", flush=True)
        print("\nsustain", flush=True)
        for rows in SUSTAINED:
            most = statistics.median(cells[rows, OURS].rate) if (rows, OURS) in cells else RATE * rows
            if most * MOST_SHARE_OF_ITS_MOST < RATE:
                print(f"not in requests of {rows}: this core answers {most:,.0f} rows/s of them at most")
                continue
            found = list(bench.sustain(rows, arguments.sustain))
            print(*found, sep="\n", flush=True)
            figures += found
    return figures


def main() -> None:
    """Measure, print a table, write all figures."""
    asked = two_cores.parser(__doc__, seconds=8, rounds=5)
    asked.add_argument("--sustain", type=int, default=120, help="seconds at the constant rate")
    two_cores.main(asked, run)


if __name__ == "__main__":
    main()
