"""How fast the drift engine is, beside other libraries, in one run on the same data.

    python bench/speed/drift.py [--rows N] [--parquet-rows N] [--only LINE ...] [--work FOLDER] [--json FILE]

Each library runs in a process and an environment of its own (`bench/peers`). Data in memory are read before
the clock starts; imports are not timed, except where a whole process is. Ours runs `--runs` times and
a library that takes less than a minute three times, and the median is taken; else once.
Nothing else should run on the machine.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))  # `bench` is not installed

from bench.peers import environments
from bench.peers.client import QUIET, Failed, ask
from bench.speed import figures, tables
from bench.speed.figures import Figure

CORES = 2
KINDS = ("seconds", "profiled_seconds")


@dataclass(frozen=True)
class Setting:
    """What a line is measured on."""

    work: Path
    rows: int
    parquet_rows: int
    runs: int


Line = Callable[[Setting], list[Figure]]


def ours(task: str, **request: Any) -> dict[str, Any]:
    """Ask ours."""
    return ask("trimtab", {"task": task, **request}, timeout=3600)


def at_least(line: str, what: str, ratio: float, target: float, note: str = "") -> Figure:
    """Return a ratio that must reach a target."""
    return Figure(line, what, ratio, "x", f">= {target:g} x", ratio >= target, note)


def memory(setting: Setting) -> list[Figure]:
    """Two tables of 25 columns in memory: ours, and each library that compares tables."""
    data = tables.pair(setting.work, setting.rows)
    by_form = {form: ours("speed", form=form, runs=setting.runs, **data) for form in ("pandas", "arrow")}
    found = []
    for form, answer in by_form.items():
        note = f"median of {setting.runs}, {answer['drifted']} of 25 drifted"
        whole = median(answer["seconds"])
        known, comparing = median(answer["profiled_seconds"]), median(answer["comparing_seconds"])
        found.append(Figure("memory", f"trimtab, {form}, nothing precomputed", whole, "s", note=note))
        found.append(Figure("memory", f"trimtab, {form}, reference profiled before", known, "s"))
        found.append(Figure("memory", f"trimtab, {form}, both profiled before", comparing, "s"))
    whole, known = (median(by_form["pandas"][key]) for key in ("seconds", "profiled_seconds"))
    for peer, target in (("evidently", 300), ("whylogs", 20), ("nannyml", 20), ("popmon", 20)):
        try:
            theirs = peer_seconds(peer, data)
        except Failed as error:
            found.append(Figure("memory", peer, float("nan"), "s", note=str(error).splitlines()[0]))
            continue
        taken = median(theirs["seconds"])
        note = f"median of {len(theirs['seconds'])}, {theirs['version']}, peak {theirs['peak_mib']:,.0f} MiB"
        found.append(Figure("memory", peer, taken, "s", note=note))
        found.append(at_least("memory", f"{peer} / trimtab (pandas)", taken / whole, target))
        if peer == "evidently":
            found.append(
                at_least("memory", "evidently / trimtab, reference profiled before", taken / known, 1000)
            )
        if "profiled_seconds" in theirs:
            ratio = median(theirs["profiled_seconds"]) / known
            found.append(Figure("memory", f"{peer} / trimtab, both with a profiled reference", ratio, "x"))
    return found


def peer_seconds(peer: str, data: dict[str, str]) -> dict[str, Any]:
    """Run a library once, and twice more if that took less than a minute."""
    first = ask(peer, {"task": "speed", "runs": 1, **data}, timeout=3600)
    if median(first["seconds"]) >= 60:
        return first
    more = ask(peer, {"task": "speed", "runs": 2, **data}, timeout=3600)
    return more | {key: first[key] + more[key] for key in first if key in KINDS}


def parquet(setting: Setting) -> list[Figure]:
    """A Parquet file from disk (in the page cache), against reading it and doing nothing."""
    found, peaks = [], {}
    for rows in (setting.parquet_rows // 10, setting.parquet_rows):
        path = file_of(setting, rows)
        bare = {form: ours("read", form=form, path=path, runs=3) for form in ("stream", "whole")}
        answer = ours("parquet", path=path, runs=3)
        for form, each in bare.items():
            rate = rows / median(each["seconds"])
            note = f"peak {each['peak_mib']:,.0f} MiB, median of 3"
            found.append(Figure("parquet", f"pyarrow read, {form}, {rows:,} x 20", rate, "rows/s", note=note))
        rate, peaks[rows] = rows / median(answer["seconds"]), answer["peak_mib"]
        quickest = max(rows / median(each["seconds"]) for each in bare.values())
        size = Path(path).stat().st_size / 2**20
        note = f"file {size:,.0f} MiB, plan included, median of 3"
        found.append(Figure("parquet", f"trimtab profile, {rows:,} x 20", rate, "rows/s", note=note))
        share = 100 * rate / quickest
        what = f"share of the faster bare read, {rows:,} rows"
        found.append(Figure("parquet", what, share, "%", ">= 50 %", share >= 50))
        what = f"peak resident memory, {rows:,} rows"
        peak = answer["peak_mib"]
        found.append(Figure("parquet", what, peak, "MiB", "< 1024 MiB", peak < 1024))
    small, large = peaks.values()
    found.append(
        Figure("parquet", "peak at ten times the rows", large / small, "x", "<= 1.1 x", large <= 1.1 * small)
    )
    return found


def file_of(setting: Setting, rows: int) -> str:
    """Return the Parquet file of `rows`, written once a run."""
    path = setting.work / f"{rows}.parquet"
    return str(path) if path.exists() else tables.parquet(path, rows)


def wide(setting: Setting) -> list[Figure]:
    """Many columns: the time of each, and what Python takes of it (one row is nothing but overhead)."""
    rows = min(100_000, setting.rows)
    answer = ours("wide", columns=[10, 100, 1000], rows=rows, runs=3)
    found, per = [], {}
    for each in answer["tables"]:
        columns = each["columns"]
        per[columns] = median(each["counted"]) / columns * 1e6
        tiny, planned = median(each["tiny"]) / columns * 1e6, median(each["planned"]) / columns * 1e6
        comparing = median(each["compare"]) / columns * 1e6
        label = f"{columns:,} columns x {rows:,} rows"
        found.append(Figure("wide", f"{label}: counting, a column", per[columns], "us"))
        found.append(Figure("wide", f"{label}: plan and counting, a column", planned, "us"))
        found.append(Figure("wide", f"{label}: comparing two profiles, a column", comparing, "us"))
        met = tiny <= 100 if columns == 1000 else None
        target = "<= 100 us" if columns == 1000 else ""
        found.append(Figure("wide", f"{label}: one row, a column", tiny, "us", target, met))
    growth = per[1000] / per[100]
    found.append(
        Figure("wide", "time a column, 1,000 columns over 100", growth, "x", "<= 1.2 x", growth <= 1.2)
    )
    return found


def check(setting: Setting) -> list[Figure]:
    """`trimtab check` on two small Parquet files, as a whole process, beside the import of Evidently."""
    sides = [
        tables.parquet(setting.work / f"check-{seed}.parquet", 5000, seed, numeric=20, moved=bool(seed))
        for seed in (0, 1)
    ]
    command = [str(Path(sys.executable).with_name("trimtab")), "check", *sides]
    taken, code = processes(command, 10)
    note = f"10 runs, the first {taken[0]:.2f} s, exit {code}"
    middle = median(taken)
    found = [
        Figure("check", "trimtab check, 2 x 5,000 x 25, least", min(taken), "s", note=note),
        Figure(
            "check",
            "trimtab check, 2 x 5,000 x 25, median",
            middle,
            "s",
            "< 1 s",
            middle < 1 and code in {0, 1},
        ),
    ]
    environments.make("evidently")
    preset = "from evidently import Report; from evidently.presets import DataDriftPreset"
    imports, _ = processes([str(environments.python("evidently")), "-c", preset], 3)
    found.append(Figure("check", "importing evidently and its preset, median of 3", median(imports), "s"))
    found.append(
        Figure("check", "import of evidently / trimtab check (medians)", median(imports) / middle, "x")
    )
    return found


def processes(command: list[str], runs: int) -> tuple[list[float], int]:
    """Run a program again and again; return the seconds of each run and the last exit code."""
    taken, code = [], 0
    for _ in range(runs):
        started = time.perf_counter()
        code = subprocess.run(  # noqa: S603 - a program of ours
            command, capture_output=True, check=False, env={**os.environ, **QUIET}
        ).returncode
        taken.append(time.perf_counter() - started)
    return taken, code


def spark(setting: Setting) -> list[Figure]:
    """The same file on Spark and here: the same profile, and what Spark adds."""
    answer = ours("spark", path=file_of(setting, setting.parquet_rows), runs=2)
    on_spark, here = median(answer["spark_seconds"]), median(answer["local_seconds"])
    label = f"{setting.parquet_rows:,} x 20"
    first = answer["spark_seconds"][0]
    return [
        Figure(
            "spark", f"spark local[2], {label}", on_spark, "s", note=f"median of 2, the first {first:.1f} s"
        ),
        Figure("spark", f"local engine, {label}", here, "s", note="median of 2"),
        Figure("spark", "spark / local", on_spark / here, "x"),
        Figure("spark", "starting the session", answer["start_seconds"], "s"),
        Figure("spark", "profiles that are equal", float(answer["same"]), "", "equal", answer["same"]),
    ]


LINES: dict[str, Line] = {"memory": memory, "parquet": parquet, "wide": wide, "check": check, "spark": spark}


def main() -> None:
    """Measure each line, print it at once, write all figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows a side in memory")
    parser.add_argument("--parquet-rows", type=int, default=20_000_000)
    parser.add_argument("--runs", type=int, default=5, help="runs of ours in memory")
    parser.add_argument("--only", nargs="+", choices=LINES, default=list(LINES))
    parser.add_argument(
        "--work", type=Path, help="folder for the data (4 GB); a new one is made in it and removed"
    )
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    around, measured = figures.surroundings(), list[Figure]()
    print(figures.line(around))
    with tempfile.TemporaryDirectory(prefix="trimtab-bench-", dir=arguments.work) as work:
        setting = Setting(Path(work), arguments.rows, arguments.parquet_rows, arguments.runs)
        for line in arguments.only:
            print(f"\n{line}: {LINES[line].__doc__}", flush=True)
            try:
                found = LINES[line](setting)
            except Failed as error:
                found = [Figure(line, "not measured", float("nan"), "", note=str(error))]
            measured += found
            print(*found, sep="\n", flush=True)
    if arguments.json:
        figures.write(arguments.json, around, measured)


if __name__ == "__main__":
    main()
