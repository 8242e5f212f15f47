"""How fast the model server is, beside others, in one run: one ONNX file, one client, one core each.

    python bench/speed/serving.py [--seconds S] [--rounds N] [--only SERVER ...] [--work FOLDER] [--json FILE]

Trimtab's server with its inference log and without it, MLServer, `mlflow models serve` and a FastAPI
app; each from an environment of its own (`bench/peers`), set up for one core as its makers advise. All run
at once on the first core, one at a time is asked, in turns, by a client on the second. Nothing else should
run on the machine. First all must answer what ONNX Runtime answers. Then: one row a request with 1, 16 and 64
connections (wrk); latency at half of each server's most, and at half of the slowest's, at a constant rate;
256 rows a request, beside ONNX Runtime in a process of its own. "CPU" is what a server's processes took
of the processor, work put off until after the load included; a busy machine moves it least.

Targets: requests/s >= 5 times MLServer's and MLflow's and >= 2 times FastAPI's; p99 below theirs; batches
>= 70 % of ONNX Runtime's rows/s.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))  # `bench` is not installed

from bench.peers.client import Failed
from bench.speed import load, served_figures, served_model, servers, two_cores
from bench.speed.figures import Figure
from bench.speed.load import Closed
from bench.speed.served_figures import BATCH, BINARY, JSON, Measured
from bench.speed.served_model import Served
from bench.speed.served_wire import BinaryInference, Wire
from bench.speed.servers import OURS, SPREAD, UNLOGGED, Server

CONNECTIONS = (1, 16, 64)
BATCH_CONNECTIONS = 4
CHECKED_SINGLY = 32
TOLERANCE = 1e-6
OWN, SLOWEST = "its own most", "the slowest's most"


@dataclass(frozen=True)
class Bench:
    """What a run measures, and with what: cores of the servers and of the client, seconds a cell."""

    served: Served
    servers: list[Server]
    work: Path
    cores: tuple[int, int]
    seconds: int
    rounds: int

    def check(self) -> list[Figure]:
        """Ask each server for the same rows, singly and at once; all must answer what the model says.

        Raises
        ------
        Failed
            One answers something else.
        """
        truth, found = self.served.truth(), []
        for server in self.servers:
            wires = [(server.kind.wire, count) for count in (1, BATCH)]
            if server.name in (OURS, UNLOGGED):
                wires.append((_binary(server), BATCH))
            furthest = 0.0
            for wire, count in wires:
                most = CHECKED_SINGLY if count == 1 else BATCH
                for at in range(0, most, count):
                    asked = self.served.asked.iloc[at : at + count]
                    scores = wire.scores(*server.ask(wire.body(asked), wire.path))
                    furthest = max(furthest, float(np.abs(scores - truth[at : at + count]).max()))
            if not furthest <= TOLERANCE:
                message = f"{server.name} answers other numbers: {furthest:.3g} from onnxruntime's"
                raise Failed(message)
            what = f"{server.name}, largest difference from onnxruntime"
            found.append(Figure("check", what, furthest, "", f"<= {TOLERANCE:g}", met=True))
        return found

    def requests(self, name: str, wire: Wire, rows: int) -> Path:
        """Write all rows as requests of so many."""
        file = self.work / f"{name}-{rows}.requests"
        asked = self.served.asked
        return load.write(
            file, [wire.request(asked.iloc[at : at + rows]) for at in range(0, len(asked), rows)]
        )

    def measure(self) -> Measured:
        """Measure everything in rounds, in each one server after the other."""
        measured = Measured()
        singles = {server.name: self.requests(server.name, server.kind.wire, 1) for server in self.servers}
        wires = [(server, JSON, server.kind.wire) for server in self.servers]
        wires += [
            (server, BINARY, _binary(server)) for server in self.servers if server.name in (OURS, UNLOGGED)
        ]
        many = [
            (server, form, self.requests(f"{server.name}-{form}", wire, BATCH))
            for server, form, wire in wires
        ]
        for server in self.servers:
            load.closed(server.port, singles[server.name], self.cores[1], CONNECTIONS[1], 1)
        for number in range(1, self.rounds + 1):
            print(f"round {number} of {self.rounds}: as fast as they answer", flush=True)
            for connections in CONNECTIONS:
                for server in self.servers:
                    cell = self._closed(server, singles[server.name], connections)
                    measured.single[server.name, connections].append(cell)
            for rows in (1, BATCH):
                measured.bare[rows].append(self._bare(rows))
            for server, form, file in many:
                measured.batches[server.name, form].append(self._closed(server, file, BATCH_CONNECTIONS))
        self._paced(measured, singles)
        return measured

    def _closed(self, server: Server, file: Path, connections: int) -> tuple[Closed, float]:
        before = server.settle()
        run = load.closed(server.port, file, self.cores[1], connections, self.seconds)
        return run, (server.settle() - before) / max(run.requests, 1) * 1e6

    def _paced(self, measured: Measured, files: dict[str, Path]) -> None:
        halves = {server.name: measured.most(server.name) / 2 for server in self.servers}
        for number in range(1, self.rounds + 1):
            print(f"round {number} of {self.rounds}: at a constant rate", flush=True)
            for half in (OWN, SLOWEST):
                for server in self.servers:
                    rate = halves[server.name] if half == OWN else min(halves.values())
                    server.settle()
                    run = load.paced(server.port, files[server.name], self.cores[1], rate, self.seconds)
                    measured.paced[server.name, half].append(run)
                    measured.rates[server.name, half] = rate

    def _bare(self, rows: int) -> tuple[float, float]:
        """Return ONNX Runtime's rows a second on the servers' core, and µs of the processor a row."""
        session, feeds = self.served.session(), self.served.feeds(self.served.asked.iloc[:rows])
        before = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {self.cores[0]})
        count, started, spent = 0, time.perf_counter(), time.thread_time()
        while time.perf_counter() < started + self.seconds / 2:
            session.run(served_model.OUTPUTS, feeds)
            count += rows
        taken, spent = time.perf_counter() - started, time.thread_time() - spent
        os.sched_setaffinity(0, before)
        return count / taken, spent / count * 1e6


def _binary(server: Server) -> BinaryInference:
    return BinaryInference(server.kind.wire.path)


def run(arguments: argparse.Namespace, work: Path, cores: tuple[int, int]) -> list[Figure]:
    """Start the servers, check them, measure them; print and return all figures."""
    served = served_model.make(work)
    print(f"model: {served.file.stat().st_size / 1024:,.0f} KiB, {len(served.spec.features)} features")
    with ExitStack() as stack:
        running = []
        for name in arguments.only:
            running.append(Server(name, served, work / name, cores[0]))
            stack.callback(running[-1].stop)
            print(f"{name}: {running[-1].kind.settings}", flush=True)
        bench = Bench(served, running, work, cores, arguments.seconds, arguments.rounds)
        figures = bench.check()
        print("\ncheck: the same rows get the same numbers", *figures, sep="\n", flush=True)
        measured = bench.measure()
    for line in (
        served_figures.single,
        served_figures.latency,
        served_figures.batches,
        served_figures.failed,
    ):
        found = list(line(measured))
        print(f"\n{line.__name__}: {line.__doc__}", *found, sep="\n", flush=True)
        figures += found
    return figures


def main() -> None:
    """Measure, print a table, write all figures."""
    asked = two_cores.parser(__doc__, seconds=6, rounds=2)
    usual = [name for name in servers.KINDS if name != SPREAD]
    asked.add_argument("--only", nargs="+", choices=servers.KINDS, default=usual)
    two_cores.main(asked, run)


if __name__ == "__main__":
    main()
