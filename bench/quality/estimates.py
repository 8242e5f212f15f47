"""Estimates of performance without labels, held against what came true, beside NannyML's.

    python bench/quality/estimates.py [--quick] [--only SET ...] [--json FILE]

For every window of every set (see `estimate_sets`): the mean absolute error of the estimate, in the metric's
unit, and the share of windows whose realised metric lies in the stated 95 % band. `trimtab` is PAPE or the
loss model; `+labels` adds what past windows missed, all but the newest of them known. NannyML is CBPE or DLE
with every default, its band 1.96 of its own sampling errors. `--quick` looks at every third window.

`against` is the error less NannyML's on the same windows and `ratio` the one over the other, each with the
95 % interval of 10,000 resamples of windows (paired: both errors of a window go together). An error is larger
or smaller than NannyML's if the interval of the difference says so, else no different. With a handful of
windows (titanic has four) the interval is too narrow, as bootstrap intervals are.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[2]))  # `bench` is not installed

from bench.peers.client import ask
from bench.quality.estimate_sets import SETS, Set
from monitors import frames
from monitors.estimators import bands
from monitors.estimators.bands import Expected, Pair
from monitors.estimators.estimate import fit
from monitors.finding import NoData
from monitors.metrics import statistic
from monitors.performance import Truth
from spec import PerformanceMetric, Task
from spec.performance import EstimateMethod

Bands = list[tuple[float, float, float]]
"""Of each window: value, low, high; NaN where there is no estimate."""
UNKNOWN = (math.nan, math.nan, math.nan)
METHODS = ("trimtab", "trimtab+labels", "trimtab cbpe", "nannyml")


RESAMPLES = 10_000
ROUNDING = 1e-9
"""Of the peer's mean error; errors nearer than that are the same."""


@dataclass(frozen=True)
class Paired:
    """A mean absolute error beside another on the same windows: low end, value, high end at 95 %."""

    difference: tuple[float, float, float]
    ratio: tuple[float, float, float]

    @classmethod
    def of(cls, errors: npt.NDArray[np.float64], others: npt.NDArray[np.float64]) -> Paired:
        """Resample the windows, shape (windows,) each."""
        drawn = np.random.default_rng(0).integers(len(errors), size=(RESAMPLES, len(errors)))
        gaps = errors - others
        gaps[np.abs(gaps) < ROUNDING * others.mean()] = 0.0

        def around(value: float, redrawn: npt.NDArray[np.float64]) -> tuple[float, float, float]:
            low, high = np.quantile(redrawn, (0.025, 0.975))
            return float(low), value, float(high)

        return cls(
            around(float(gaps.mean()), gaps[drawn].mean(axis=1)),
            around(
                float(errors.mean() / others.mean()), errors[drawn].mean(axis=1) / others[drawn].mean(axis=1)
            ),
        )

    @property
    def verdict(self) -> str:
        """What the interval of the difference says."""
        low, _, high = self.difference
        return "larger" if low > 0 else "smaller" if high < 0 else "no different"


@dataclass(frozen=True)
class Measured:
    """A method on a metric of a set."""

    name: str
    metric: str
    method: str
    error: float
    covered: float
    width: float
    windows: int
    against: Paired

    @classmethod
    def of(
        cls,
        name: str,
        metric: str,
        method: str,
        given: Bands,
        peer: Bands,
        realised: npt.NDArray[np.float64],
    ) -> Measured:
        """Hold bands, and a peer's, against the realised values, where all three are known."""
        (value, low, high), theirs = np.array(given).T, np.array(peer).T[0]
        known = np.isfinite(value) & np.isfinite(realised) & np.isfinite(theirs)
        inside = (low <= realised) & (realised <= high)
        errors = np.abs(value - realised)[known]
        return cls(
            name,
            metric,
            method,
            float(errors.mean()),
            float(inside[known].mean()),
            float((high - low)[known].mean()),
            int(known.sum()),
            Paired.of(errors, np.abs(theirs - realised)[known]),
        )


def truth(each: Set, rows: pd.DataFrame) -> Truth:
    """Return what the monitors read."""
    times = (
        rows["time"].astype("datetime64[us, UTC]").astype("int64")
        if "time" in rows
        else pd.Series(0, rows.index)
    )
    return Truth(rows[each.scores].to_numpy(float), rows["label"].to_numpy(float), times.to_numpy())


def realised(each: Set, windows: list[Truth]) -> dict[str, npt.NDArray[np.float64]]:
    """Return each metric of each window, with its labels."""
    one = np.ones((1, 1))

    def value(metric: str, rows: Truth) -> float:
        block = np.zeros(len(rows), dtype=np.int64)
        return float(statistic(PerformanceMetric(metric), rows.scores, rows.labels, block)(one)[0])

    return {metric: np.array([value(metric, rows) for rows in windows]) for metric in each.metrics}


def ours(
    each: Set, method: EstimateMethod, windows: list[Truth]
) -> tuple[dict[str, list[Expected | NoData]], float]:
    """Estimate every window by a method of ours; and the CPU seconds of a window."""
    spec, timed = each.spec(), "time" in each.reference
    reference = frames.typed(spec, each.reference)
    estimator = fit(spec, reference, truth(each, each.reference), method=method, timed=timed)
    if isinstance(estimator, NoData):
        message = f"{each.name}: {estimator.reason}"
        raise SystemExit(message)
    found: dict[str, list[Expected | NoData]] = {metric: [] for metric in each.metrics}
    started = time.process_time()
    for rows, (_, frame) in zip(windows, each.windows.groupby("window"), strict=True):
        given = estimator.estimate(frames.typed(spec, frame), rows.scores, rows.times if timed else None)
        for metric in each.metrics:
            found[metric].append(given[PerformanceMetric(metric)])
    return found, (time.process_time() - started) / len(windows)


def as_bands(found: list[Expected | NoData]) -> Bands:
    """Return what was estimated as numbers."""
    return [UNKNOWN if isinstance(one, NoData) else (one.value, one.low, one.high) for one in found]


def with_labels(
    metric: str, found: list[Expected | NoData], came_true: npt.NDArray[np.float64]
) -> list[Expected | NoData]:
    """Correct each estimate by the windows before the one before it, whose labels have come in."""
    moved: list[Expected | NoData] = []
    for at, one in enumerate(found):
        past = [
            Pair(before, float(value))
            for before, value in zip(found[: max(0, at - 1)], came_true, strict=False)
            if isinstance(before, Expected) and np.isfinite(value)
        ]
        moved.append(
            one if isinstance(one, NoData) else bands.corrected(PerformanceMetric(metric), one, past)
        )
    return moved


def request(sets: list[Set], folder: Path) -> dict[str, Any]:
    """Write the sets as NannyML reads them."""
    asked = []
    for at, each in enumerate(sets):
        entry: dict[str, Any] = {"name": each.name, "task": each.task.value, "metrics": each.metrics}
        for side in ("reference", "windows"):
            frame = getattr(each, side).drop(columns="time", errors="ignore")
            scores, labels = frame[each.scores].to_numpy(float), frame["label"]
            if each.task is Task.BINARY:
                frame["y_pred"] = (scores[:, 0] >= 0.5).astype(int)
            elif each.task is Task.MULTICLASS:
                frame["y_pred"] = np.array(each.scores)[scores.argmax(axis=1)]
                labels = pd.Series(np.array(each.scores)[labels.astype(int)], frame.index)
            else:
                frame["y_pred"] = scores[:, 0]
            entry[side] = str(folder / f"{at}-{side}.arrow")
            frame.assign(y_true=labels).drop(columns="label").to_feather(entry[side])
        names = {"1": each.scores[0]} if each.task is Task.BINARY else {name: name for name in each.scores}
        asked.append({**entry, "features": each.features, "scores": names})
    return {"task": "estimates", "sets": asked}


def nannyml(sets: list[Set]) -> dict[str, dict[str, Bands]]:
    """Return NannyML's estimates with bands of 1.96 of its sampling errors."""
    with tempfile.TemporaryDirectory() as folder:
        answer = ask("nannyml", request(sets, Path(folder)), timeout=3600, threads=1)
    return {
        name: {
            metric: [(v, v - 1.96 * e, v + 1.96 * e) for v, e in zip(one["value"], one["error"], strict=True)]
            for metric, one in metrics.items()
        }
        for name, metrics in answer["sets"].items()
    }


def measure(each: Set, theirs: dict[str, Bands]) -> Iterator[Measured]:
    """Hold every method against the labels of a set."""
    windows = [truth(each, frame) for _, frame in each.windows.groupby("window")]
    came_true = realised(each, windows)
    regression = each.task is Task.REGRESSION
    found, seconds = ours(each, EstimateMethod.LOSS_MODEL if regression else EstimateMethod.PAPE, windows)
    plain = {} if regression else ours(each, EstimateMethod.CBPE, windows)[0]
    print(
        f"{each.name}: {len(windows)} windows, {len(each.reference):,} reference rows, "
        f"{seconds:.2f} CPU s a window"
    )
    for metric in each.metrics:
        given = {
            "trimtab": as_bands(found[metric]),
            "trimtab+labels": as_bands(with_labels(metric, found[metric], came_true[metric])),
            "nannyml": theirs[metric],
        }
        if plain:
            given["trimtab cbpe"] = as_bands(plain[metric])
        for method in METHODS:
            if method in given:
                yield Measured.of(each.name, metric, method, given[method], theirs[metric], came_true[metric])


def show(measured: list[Measured]) -> None:
    """Print errors and coverage of each set and metric, and what is met."""
    print(
        f"\n{'set':<14} {'metric':<8} {'method':<14} {'error':>8} {'covered':>7} {'width':>8} {'windows':>7}"
        f"  {'against NannyML':<31} {'ratio':<19}"
    )
    for one in measured:
        low, value, high = one.against.difference
        least, ratio, most = one.against.ratio
        print(
            f"{one.name:<14} {one.metric:<8} {one.method:<14} {one.error:>8.4g} {one.covered:>7.1%} "
            f"{one.width:>8.4g} {one.windows:>7}  {f'{value:+.2g} ({low:+.2g} to {high:+.2g})':<31} "
            f"{f'{ratio:.2f} ({least:.2f} to {most:.2f})':<19} {one.against.verdict}"
        )
    for method in METHODS:
        own = [one for one in measured if one.method == method]
        if not own:
            continue
        covered = sum(one.covered * one.windows for one in own) / sum(one.windows for one in own)
        print(f"{method}: {covered:.1%} of realised values in the stated bands")
    for method in METHODS[:2]:
        verdicts = Counter(one.against.verdict for one in measured if one.method == method)
        told = ", ".join(f"{verdict} {count}" for verdict, count in sorted(verdicts.items()))
        print(f"{method}: error against NannyML's over sets and metrics: {told}")


def main() -> None:
    """Measure every set."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", nargs="+", choices=[make.__name__ for make in SETS])
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    folder = Path(ask("nannyml", {"task": "data"}, timeout=600)["folder"])
    sets = [make(folder) for make in SETS if not arguments.only or make.__name__ in arguments.only]
    if arguments.quick:
        sets = [replace(each, windows=each.windows[each.windows["window"] % 3 == 0]) for each in sets]
    theirs = nannyml(sets)
    measured = [one for each in sets for one in measure(each, theirs[each.name])]
    show(measured)
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(one) for one in measured], indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
