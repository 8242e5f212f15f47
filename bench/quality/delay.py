"""How many windows pass before a shift is seen, as shipped and at one measured false-alarm rate.

    python bench/quality/delay.py [--quick | --part] [--only METHOD ...] [--rate R] [--json FILE]

A run is a reference of 2,000 rows and windows of 200 rows with 50 features; the reference is drawn anew for
each run and fixed within it. Three sets of runs, with seeds of their own: to calibrate (no drift), to test
the false alarms (no drift), to test each shift.

Alarms of one run hang together by its reference, and ours by windows that are looked at more than once. So a
rate of false alarms is the share of runs without drift, five windows each, in which there is any. At the
equal rate, a method's threshold is the largest score that `rate` of the calibration runs exceed anywhere; the
share in the test runs, with its interval, says how well that holds.

Eight windows without drift come before each run, for methods with a memory. The delay counts windows from
the onset, 1 is the first shifted window; a run without an alarm in the ten windows after the onset counts as
later than all others.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import betaincinv

sys.path.insert(0, str(Path(__file__).parents[2]))  # `bench` is not installed

from bench.quality import streams
from bench.quality.methods import METHODS, Answer, Batch, Scale, judge_all
from bench.quality.streams import HORIZON, NONE, SEASONAL_NONE, SHIFTS, Shift

QUIET = 5
"""Windows of a run without drift."""
NEVER = HORIZON + 1
HALF = "evidently half"
"""Its rule for a data set, half of the columns; it has no threshold to set: it is shown as shipped alone."""


@dataclass(frozen=True)
class Plan:
    """Runs of each set."""

    calibrate: int
    test: int
    shift: int

    def null(self, shift: Shift) -> tuple[int, int]:
        """Return the runs without drift, to calibrate and to test; fewer of the seasonal streams."""
        return (self.calibrate // 2, self.test // 2) if shift.seasonal else (self.calibrate, self.test)


FULL = Plan(calibrate=100, test=80, shift=10)
QUICK = Plan(calibrate=20, test=10, shift=3)
PART = Plan(calibrate=40, test=40, shift=4)


@dataclass(frozen=True)
class Data:
    """The batches, in the order in which all methods answer, and where each set lies."""

    batches: list[Batch]
    sets: dict[tuple[str, str], slice]


def write(folder: Path, plan: Plan, shifts: tuple[Shift, ...]) -> Data:
    """Write every run; the three sets take different seeds."""
    nulls = [NONE, *([SEASONAL_NONE] if any(each.seasonal for each in shifts) else [])]
    wanted = [("calibrate", each, plan.null(each)[0], 1_000) for each in nulls]
    wanted += [("test", each, plan.null(each)[1], 2_000) for each in nulls]
    wanted += [("shift", each, plan.shift, 3_000) for each in shifts]
    batches: list[Batch] = []
    sets = {}
    for purpose, shift, runs, seed in wanted:
        sets[purpose, shift.name] = slice(len(batches), len(batches) + runs)
        windows = HORIZON if purpose == "shift" else QUIET
        batches += [streams.write(folder, shift, seed + run, windows) for run in range(runs)]
    return Data(batches, sets)


def delays(alarms: list[npt.NDArray[np.bool_]]) -> npt.NDArray[np.int64]:
    """Return the delay of each run from its alarms after the onset."""
    return np.array([int(each.argmax()) + 1 if each.any() else NEVER for each in alarms])


def interval(values: npt.NDArray[np.int64], random: np.random.Generator) -> tuple[float, float]:
    """Return the 95 % bootstrap interval of the median."""
    samples = np.median(random.choice(values, (2_000, len(values))), axis=1)
    return float(np.quantile(samples, 0.025)), float(np.quantile(samples, 0.975))


def outcome(alarms: list[npt.NDArray[np.bool_]]) -> dict[str, Any]:
    """Summarize the runs of one shift."""
    found = delays(alarms)
    low, high = interval(found, np.random.default_rng(0))
    share = float((found < NEVER).mean())
    return {
        "median": float(np.median(found)),
        "low": low,
        "high": high,
        "detected": share,
        "runs": len(found),
    }


def threshold(highest: npt.NDArray[np.float64], rate: float) -> float:
    """Return the smallest of the runs' highest scores that at most `rate` of the runs exceed."""
    allowed = math.floor(rate * len(highest))
    return float(np.sort(highest)[len(highest) - 1 - allowed])


def share(alarms: list[npt.NDArray[np.bool_]]) -> dict[str, float]:
    """Return the share of runs with any alarm, and its exact 95 % interval (Clopper and Pearson 1934)."""
    runs, hits = len(alarms), sum(bool(each.any()) for each in alarms)
    low = float(betaincinv(hits, runs - hits + 1, 0.025)) if hits else 0.0
    high = float(betaincinv(hits + 1, runs - hits, 0.975)) if hits < runs else 1.0
    return {"share": hits / runs, "low": low, "high": high, "runs": runs}


def evaluate(answers: list[Answer], data: Data, shifts: tuple[Shift, ...], rate: float) -> dict[str, Any]:
    """Return a method's false alarms and delays, as shipped and at the equal rate."""
    result: dict[str, Any] = {"false_alarms": {}, "shifts": {}}
    for shift in (NONE, SEASONAL_NONE, *shifts):
        null = SEASONAL_NONE if shift.seasonal else NONE
        if ("calibrate", null.name) not in data.sets:
            continue
        calibration = answers[data.sets["calibrate", null.name]]
        scale = Scale.of(calibration)
        limit = threshold(np.array([scale.windows(each).max() for each in calibration]), rate)
        own = answers[data.sets["test" if shift.kind == "none" else "shift", shift.name]]
        ways = {
            "shipped": [each.window_alarms for each in own],
            "equal": [scale.windows(each) > limit for each in own],
        }
        if shift.kind == "none":
            result["false_alarms"][shift.name] = {way: share(alarms) for way, alarms in ways.items()}
        else:
            result["shifts"][shift.name] = {way: outcome(alarms) for way, alarms in ways.items()}
    return result


def text(found: dict[str, Any]) -> str:
    """Return `median [low,high] detected%`; past the horizon is `-`."""

    def say(value: float) -> str:
        return "-" if value >= NEVER else f"{value:g}"

    return f"{say(found['median'])} [{say(found['low'])},{say(found['high'])}] {100 * found['detected']:.0f}%"


def show(results: dict[str, Any], way: str) -> None:
    """Print a line a shift and a column a method."""
    names = list(results)
    width = 20
    print(f"{'':35}{''.join(f'{name:>{width}}' for name in names)}")
    first = results[names[0]]
    for name in first["false_alarms"]:
        found = [results[each]["false_alarms"][name][way] for each in names]
        cells = [
            f"{100 * each['share']:.0f}% [{100 * each['low']:.0f},{100 * each['high']:.0f}]" for each in found
        ]
        print(f"{'false alarms, ' + name:35}{''.join(f'{cell:>{width}}' for cell in cells)}")
    for name in first["shifts"]:
        cells = [text(results[each]["shifts"][name][way]) for each in names]
        print(f"{name:35}{''.join(f'{cell:>{width}}' for cell in cells)}")
    print(flush=True)


def parser() -> argparse.ArgumentParser:
    """Return the command's parser."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--quick", action="store_true", help="few runs, five shifts")
    made.add_argument("--part", action="store_true", help="all shifts, with four tenths of the runs")
    made.add_argument("--only", nargs="+", metavar="METHOD", choices=[each.name for each in METHODS])
    made.add_argument("--rate", type=float, default=0.1, help="runs with a false alarm (default 0.1)")
    made.add_argument("--workers", type=int, default=2, help="methods that run at a time")
    made.add_argument("--json", type=Path, metavar="FILE")
    return made


def main() -> None:
    """Write the runs, ask every method once, print each one's result and then all beside one another."""
    arguments = parser().parse_args()
    methods = [each for each in METHODS if each.streams and each.name in (arguments.only or each.name)]
    shifts = SHIFTS[1:10:2] if arguments.quick else SHIFTS
    plan = QUICK if arguments.quick else PART if arguments.part else FULL
    started = time.monotonic()
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="trimtab-bench-") as folder:
        data = write(Path(folder), plan, shifts)
        print(f"{len(data.batches)} runs written in {time.monotonic() - started:.0f} s\n", flush=True)
        asked = {each.name: data.batches for each in methods}
        for method, answers, seconds in judge_all(methods, asked, workers=arguments.workers, timeout=3600):
            print(f"{method.name}: {seconds:.0f} s; as shipped: {method.column}; {method.window}")
            found = evaluate(answers, data, shifts, arguments.rate)
            results[method.name] = {"seconds": seconds, **found}
            for way in ("shipped", "equal"):
                show({way: found}, way)
            if method.name == "evidently":
                halves = [Answer(each.scores, each.alarms, each.half) for each in answers]
                results[HALF] = evaluate(halves, data, shifts, arguments.rate)
            if arguments.json:
                arguments.json.write_text(json.dumps(results, indent=1), encoding="utf-8")
    ordered = {name: results[name] for name in (*(each.name for each in methods), HALF) if name in results}
    print("As shipped: windows until the first alarm, median [95 % interval], runs with an alarm")
    show(ordered, "shipped")
    print(f"At one false-alarm rate, {100 * arguments.rate:g} % of the calibration runs")
    ordered.pop(HALF, None)
    show(ordered, "equal")
    print(f"{time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
