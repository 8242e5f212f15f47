"""How many windows pass before a shift is seen, as shipped and at one measured false-alarm rate.

    python bench/quality/delay.py [--quick] [--only METHOD ...] [--rate R] [--json FILE]

A run is a reference of 2,000 rows and windows of 200 rows with 50 features; the reference is drawn anew for
each run and fixed within it. Three sets of runs, with seeds of their own: to calibrate (no drift), to test
the false alarms (no drift), to test each shift. At the equal rate, a method's threshold is the quantile of
its window scores in the calibration runs that leaves `rate` of the windows above it. Methods without memory
are not asked about the windows before the onset; ours sees them. The delay counts windows from the onset, 1
is the first shifted window; a run without an alarm in the 16 windows after the onset counts as later than
all others.
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

sys.path.insert(0, str(Path(__file__).parents[2]))  # `bench` is not installed

from bench.quality import streams
from bench.quality.methods import METHODS, Answer, Batch, Scale, judge_all
from bench.quality.streams import HORIZON, NONE, ONSET, SEASONAL_NONE, SHIFTS, Shift

NEVER = HORIZON + 1


@dataclass(frozen=True)
class Plan:
    """Runs of each set."""

    calibrate: int
    test: int
    shift: int

    def null(self, shift: Shift) -> tuple[int, int]:
        """Return the runs without drift, to calibrate and to test; half as many of the seasonal streams."""
        return (self.calibrate // 2, self.test // 2) if shift.seasonal else (self.calibrate, self.test)


FULL = Plan(calibrate=60, test=30, shift=12)
QUICK = Plan(calibrate=8, test=4, shift=3)


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
        batches += [streams.write(folder, shift, seed + run, ONSET + HORIZON) for run in range(runs)]
    return Data(batches, sets)


def delays(alarms: list[npt.NDArray[np.bool_]]) -> npt.NDArray[np.int64]:
    """Return the delay of each run from its alarms at and after the onset."""
    return np.array(
        [int(each[-HORIZON:].argmax()) + 1 if each[-HORIZON:].any() else NEVER for each in alarms]
    )


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


def threshold(scores: npt.NDArray[np.float64], rate: float) -> float:
    """Return the smallest score that at most `rate` of the calibration windows exceed."""
    allowed = math.floor(rate * len(scores))
    return float(np.sort(scores)[len(scores) - 1 - allowed])


def evaluate(answers: list[Answer], data: Data, shifts: tuple[Shift, ...], rate: float) -> dict[str, Any]:
    """Return a method's false alarms and delays, as shipped and at the equal rate."""
    result: dict[str, Any] = {"false_alarms": {}, "shifts": {}}
    for shift in (NONE, SEASONAL_NONE, *shifts):
        null = SEASONAL_NONE if shift.seasonal else NONE
        if ("calibrate", null.name) not in data.sets:
            continue
        calibration = answers[data.sets["calibrate", null.name]]
        scale = Scale.of(calibration)
        limit = threshold(np.concatenate([scale.windows(each) for each in calibration]), rate)
        own = answers[data.sets["test" if shift.kind == "none" else "shift", shift.name]]
        equal = [scale.windows(each) > limit for each in own]
        shipped = [each.window_alarms for each in own]
        if shift.kind == "none":
            result["false_alarms"][shift.name] = {
                "windows": sum(map(len, equal)),
                "shipped": float(np.concatenate(shipped).mean()),
                "equal": float(np.concatenate(equal).mean()),
            }
        else:
            result["shifts"][shift.name] = {"shipped": outcome(shipped), "equal": outcome(equal)}
    return result


def text(found: dict[str, Any]) -> str:
    """Return `median [low,high] detected%`; past the horizon is `-`."""

    def say(value: float) -> str:
        return "-" if value >= NEVER else f"{value:g}"

    return f"{say(found['median'])} [{say(found['low'])},{say(found['high'])}] {100 * found['detected']:.0f}%"


def show(results: dict[str, Any], way: str) -> None:
    """Print a line a shift and a column a method."""
    names = list(results)
    width = 19
    print(f"{'':35}{''.join(f'{name:>{width}}' for name in names)}")
    first = results[names[0]]
    for name in first["false_alarms"]:
        rates = [f"{1_000 * results[each]['false_alarms'][name][way]:.1f} per 1000" for each in names]
        print(f"{'false alarms, ' + name:35}{''.join(f'{rate:>{width}}' for rate in rates)}")
    for name in first["shifts"]:
        cells = [text(results[each]["shifts"][name][way]) for each in names]
        print(f"{name:35}{''.join(f'{cell:>{width}}' for cell in cells)}")


def main() -> None:
    """Write the runs, ask every method once, print both tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="few runs, five shifts")
    parser.add_argument("--only", nargs="+", metavar="METHOD", choices=[each.name for each in METHODS])
    parser.add_argument("--rate", type=float, help="false alarms a window (default 0.01; quick 0.02)")
    parser.add_argument("--workers", type=int, default=2, help="methods that run at a time")
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    methods = [each for each in METHODS if each.streams and each.name in (arguments.only or each.name)]
    shifts = SHIFTS[1:10:2] if arguments.quick else SHIFTS
    rate = arguments.rate or (0.02 if arguments.quick else 0.01)
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="trimtab-bench-") as folder:
        data = write(Path(folder), QUICK if arguments.quick else FULL, shifts)
        print(f"{len(data.batches)} runs written in {time.monotonic() - started:.0f} s", flush=True)
        found = judge_all(methods, data.batches, workers=arguments.workers, timeout=3600)
    if (
        "evidently" in found
    ):  # its rule for a data set has no threshold to set, so it is shown as shipped alone
        answers, taken = found["evidently"]
        halves = [Answer(each.scores, each.alarms, each.half) for each in answers]
        found["evidently half"] = halves, taken
    results = {name: evaluate(answers, data, shifts, rate) for name, (answers, _) in found.items()}
    for method in methods:
        print(
            f"{method.name:>13}: {found[method.name][1]:.0f} s; as shipped: {method.column}; {method.window}"
        )
    print("\nAs shipped: windows until the first alarm, median [95 % interval], runs with an alarm")
    show(results, "shipped")
    print(f"\nAt one false-alarm rate, {1_000 * rate:g} per 1000 windows of calibration")
    show({name: each for name, each in results.items() if name != "evidently half"}, "equal")
    print(f"\n{time.monotonic() - started:.0f} s")
    if arguments.json:
        answer = {
            "rate": rate,
            "seconds": {name: each for name, (_, each) in found.items()},
            "methods": results,
        }
        arguments.json.write_text(json.dumps(answer, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
