"""What a runner speaks: one JSON request on standard input, one JSON answer on standard output.

It runs in the environment of the library that is measured, so it needs nothing but pyarrow and pandas.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd
from pyarrow import feather

Request = dict[str, Any]
Task = Callable[[Request], dict[str, Any]]


def frame(path: str) -> pd.DataFrame:
    """Read an Arrow file into memory as pandas makes it by default."""
    return feather.read_table(path, memory_map=False).to_pandas()


def pieces(request: Request) -> Iterator[tuple[pd.DataFrame, list[pd.DataFrame], list[str]]]:
    """Read the batches of a `windows` request: reference, windows after `skip`, categorical columns."""
    for batch in request["batches"]:
        rows, windows = batch["window_rows"], frame(batch["windows"])
        starts = range(batch["skip"] * rows, len(windows), rows)
        parts = [windows.iloc[at : at + rows].reset_index(drop=True) for at in starts]
        yield frame(batch["reference"]), parts, batch["categorical"]


def timed(work: Callable[[], object], runs: int) -> tuple[list[float], Any]:
    """Run `runs` times; return each run's seconds and the last result."""
    seconds, result = [], None
    for _ in range(runs):
        result = None  # a kept result of the run before would count as memory of this one
        gc.collect()
        started = time.perf_counter()
        result = work()
        seconds.append(time.perf_counter() - started)
    return seconds, result


def peak_mib() -> float:
    """Return the most memory this process ever held resident (`getrusage` would count its parent's)."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def serve(tasks: Mapping[str, Task], package: str) -> None:
    """Answer the request on standard input; whatever a library prints goes to standard error."""
    request = json.load(sys.stdin)
    answers = os.dup(1)
    os.dup2(2, 1)
    started = time.perf_counter()
    answer = tasks[request["task"]](request)
    answer |= {
        "version": version(package),
        "task_seconds": time.perf_counter() - started,
        "peak_mib": peak_mib(),
    }
    with os.fdopen(answers, "w", encoding="utf-8") as stream:
        json.dump(answer, stream)
