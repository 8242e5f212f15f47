"""The command line of a bench whose servers have the first core, and whose client has the second."""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from bench.peers.client import Failed
from bench.speed import figures
from bench.speed.figures import Figure

Run = Callable[[argparse.Namespace, Path, tuple[int, int]], list[Figure]]


def parser(description: str | None, *, seconds: int, rounds: int) -> argparse.ArgumentParser:
    """Return what these benches are asked, with their defaults of seconds a cell and of rounds."""
    made = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--seconds", type=int, default=seconds, help="seconds a cell and round")
    made.add_argument("--rounds", type=int, default=rounds)
    made.add_argument("--work", type=Path, help="folder for what the servers write; removed at the end")
    made.add_argument("--json", type=Path, metavar="FILE")
    return made


def main(asked: argparse.ArgumentParser, run: Run) -> None:
    """Run a bench in a new folder on the first two cores; write all figures."""
    arguments = asked.parse_args()
    allowed = sorted(os.sched_getaffinity(0))
    if len(allowed) < 2:
        asked.error("two cores are needed, one for the servers and one for the client")
    around = figures.surroundings()
    print(figures.line(around))
    with tempfile.TemporaryDirectory(prefix="trimtab-bench-", dir=arguments.work) as work:
        try:
            measured = run(arguments, Path(work), (allowed[0], allowed[1]))
        except Failed as error:
            message = f"not measured: {error}"
            raise SystemExit(message) from error
    if arguments.json:
        figures.write(arguments.json, around, measured)
