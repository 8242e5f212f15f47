"""Delays and false alarms of the risk test on river's streams, beside river's own detectors and a dummy.

    python bench/quality/concept.py [--quick] [--json FILE]

A model (a tree, or logistic regression for the hyperplane) is trained on rows of the old concept and never
again. 5,000 further rows are the risk test's source. A run is 20,000 rows: all of the old concept, or with
the new one from row 10,000 on, at once, or mixed in by a sigmoid as river's `ConceptDriftStream` does: 2 %
of the rows at 10,000, half of them at 14,000. The rows of river's generators are independent, so runs are
drawn from a pool of 60,000 rows of each concept. Everyone sees the same rows: whether the model was wrong on
each. Ours sees them in blocks of 50, as independent rows.

False alarms are counted in runs without change; a delay is that of the first alarm at or after the change,
in rows, infinite where none comes; a run of ours that has alarmed before the change counts as never
detected. The dummy alarms every 500 rows: what it scores can be had without looking.

The second table asks what days with a weather of their own do: Brier-like losses whose mean has a
lognormal factor of the day's own, correlated with the day's before or not, 500 rows a day, a source of 28
days, 365 days without change, and a rise by half after 60 days.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from river.datasets import synth
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

sys.path.insert(0, str(Path(__file__).parents[2]))  # `bench` is not installed

from monitors.concept import risk
from monitors.concept.blocks import BlockLoss
from monitors.concept.source import Source
from monitors.detectors.streams import drifts
from monitors.finding import NoData
from monitors.performance import Truth
from spec import loads
from spec.concept import ConceptDrift, Dependence

ROWS, CHANGE, GRADUAL, BLOCK, EVERY = 20_000, 10_000, 4_000, 50, 500
POOL, TRAINING, SOURCE = 60_000, 5_000, 5_000
ALPHA = 0.01
PEERS = ("adwin", "page_hinkley", "ddm", "eddm", "hddm_a", "hddm_w", "kswin")
DAY = 86_400 * 10**6
FIRST = datetime(2024, 1, 1, tzinfo=UTC)
Values = npt.NDArray[np.float64]

SPEC = loads(
    """
model: bench
task: binary
data: {inference_log: log, labels: labels, id: id, time: t, target: {name: y}}
features: {x: numeric}
""",
    "bench",
)


@dataclass(frozen=True)
class Runs:
    """How many runs are made; KSWIN takes seconds a run and gets fewer."""

    null: int
    change: int
    kswin: int
    days: int


FULL = Runs(null=100, change=20, kswin=1, days=50)
QUICK = Runs(null=12, change=4, kswin=1, days=5)


@dataclass(frozen=True)
class Pool:
    """Whether the model was wrong, row by row: of the source, and in the old and the new concept."""

    name: str
    source: Values
    old: Values
    new: Values

    def run(self, seed: int, width: int | None) -> Values:
        """Draw a run; None for no change, 0 for a sudden one, else the rows to its middle."""
        random = np.random.default_rng(seed)
        old, new = random.choice(self.old, ROWS), random.choice(self.new, ROWS)
        if width is None:
            return old
        since = np.arange(ROWS) - CHANGE
        changed = 1 / (1 + np.exp(-4 * (since - width) / width)) if width else 1.0
        return np.where((since >= 0) & (random.random(ROWS) < changed), new, old)


def streams() -> Iterator[tuple[str, Any, Any]]:
    """Yield river's generators of the old and of the new concept."""
    yield "SEA", synth.SEA(variant=0, seed=1, noise=0.1), synth.SEA(variant=3, seed=2, noise=0.1)
    yield (
        "Agrawal",
        synth.Agrawal(classification_function=0, seed=1, perturbation=0.05),
        synth.Agrawal(classification_function=2, seed=2, perturbation=0.05),
    )
    yield (
        "STAGGER",
        synth.STAGGER(classification_function=0, seed=1),
        synth.STAGGER(classification_function=1, seed=2),
    )
    yield (
        "LED",
        synth.LEDDrift(seed=1, noise_percentage=0.1, irrelevant_features=True, n_drift_features=0),
        synth.LEDDrift(seed=2, noise_percentage=0.1, irrelevant_features=True, n_drift_features=3),
    )
    yield (
        "Hyperplane",
        synth.Hyperplane(seed=1, n_features=10, noise_percentage=0.05),
        synth.Hyperplane(seed=7, n_features=10, noise_percentage=0.05),
    )


def pool(name: str, old: Any, new: Any) -> Pool:
    """Train on the old concept, and say on which further rows of both the model is wrong."""
    rows = TRAINING + SOURCE + POOL
    inputs, labels = table(old, rows)
    model = (
        LogisticRegression(max_iter=1000)
        if name == "Hyperplane"
        else DecisionTreeClassifier(max_depth=7, min_samples_leaf=20, random_state=0)
    )
    model.fit(inputs[:TRAINING], labels[:TRAINING])
    wrong = (model.predict(inputs[TRAINING:]) != labels[TRAINING:]).astype(float)
    inputs, labels = table(new, POOL)
    after = (model.predict(inputs) != labels).astype(float)
    return Pool(name, wrong[:SOURCE], wrong[SOURCE:], after)


def table(stream: Any, rows: int) -> tuple[Values, npt.NDArray[np.int64]]:
    """Return the first rows of a generator: numbers, and the class."""
    taken = list(islice(stream, rows))
    inputs = np.array([[float(value) for value in x.values()] for x, _ in taken])
    return inputs, np.array([int(y) for _, y in taken])


def blocks(values: Values, rows: int) -> list[BlockLoss]:
    """Cut a series of losses into blocks, a day each."""
    return [
        BlockLoss.of(FIRST + timedelta(days=at), part) for at, part in enumerate(values.reshape(-1, rows))
    ]


def source_of(values: Values, rows: int) -> Source:
    """Return a source of given losses, `rows` a day: Brier's score of a score 1 − √loss for a 1."""
    times = np.repeat(np.arange(len(values) // rows), rows) * DAY
    return cast("Source", Source.of(Truth(1 - np.sqrt(values)[:, None], np.ones(len(values)), times), SPEC))


def ours(source: Source, series: Values, rows: int, wanted: ConceptDrift) -> list[int]:
    """Return the row at whose block's end the test rejects, if it does."""
    found = risk.verdict(source, blocks(series, rows), wanted)
    if isinstance(found, NoData) or found.rejected is None:
        return []
    return [(found.rejected + 1) * rows - 1]


def methods(source: Source) -> dict[str, Callable[[Values], list[int]]]:
    """Return each method as the rows of a series at which it alarms."""
    said = {f"ours, tolerance {tolerance:.0%}": tolerance for tolerance in (0.1, 0.0)}
    found: dict[str, Callable[[Values], list[int]]] = {
        name: lambda series, tolerance=tolerance: ours(  # type: ignore[misc]
            source, series, BLOCK, ConceptDrift(alpha=ALPHA, tolerance=tolerance, dependence="none")
        )
        for name, tolerance in said.items()
    }
    for name in PEERS:
        found[name] = lambda series, name=name: drifts(name, series.tolist())  # type: ignore[misc]
    found["dummy"] = lambda series: list(range(EVERY - 1, len(series), EVERY))
    return found


def delay(alarms: list[int], *, once: bool) -> float:
    """Return the rows from the change to the first alarm after it; infinite where there is none."""
    if once and alarms and alarms[0] < CHANGE:
        return math.inf
    return min((row - CHANGE + 1 for row in alarms if row >= CHANGE), default=math.inf)


def measure(each: Pool, plan: Runs) -> dict[str, Any]:
    """Return each method's false alarms and delays on a stream."""
    results: dict[str, Any] = {}
    for name, alarms in methods(source_of(each.source, SOURCE // 50)).items():
        is_slow, once = name == "kswin", name.startswith("ours")
        runs = plan.null if once or name == "dummy" else max(plan.null // 4, 4)
        null = [alarms(each.run(1_000 + run, None)) for run in range(plan.kswin if is_slow else runs)]
        found: dict[str, Any] = {
            "null_runs": len(null),
            "ever": float(np.mean([bool(rows) for rows in null])),
            "per_10k": float(np.mean([len(rows) for rows in null])) * 10_000 / ROWS,
        }
        for kind, width in (("sudden", 0), ("gradual", GRADUAL)):
            count = plan.kswin if is_slow else plan.change
            delays = [delay(alarms(each.run(5_000 + run, width)), once=once) for run in range(count)]
            found[kind] = float(np.median(delays))
            found[f"{kind}_detected"] = float(np.isfinite(delays).mean())
        results[name] = found
    return results


def show(each: Pool, results: dict[str, Any]) -> None:
    """Print a line a method."""
    print(f"\n{each.name}: error {each.old.mean():.3f} before, {each.new.mean():.3f} after the change")
    heads = ("null runs", "ever", "per 10k", "sudden", "found", "gradual", "found")
    print(f"{'':20}{''.join(f'{head:>10}' for head in heads)}")
    for name, found in results.items():
        print(
            f"{name:20}{found['null_runs']:>10}{found['ever']:>10.1%}{found['per_10k']:>10.2f}"
            f"{found['sudden']:>10.0f}{found['sudden_detected']:>10.0%}"
            f"{found['gradual']:>10.0f}{found['gradual_detected']:>10.0%}"
        )
    sys.stdout.flush()


def weather(plan: Runs) -> dict[str, dict[str, float]]:
    """Return, by the days' spread and the assumed dependence, false alarms and delays in days."""
    results: dict[str, dict[str, float]] = {}
    for spread, lasting in ((0.0, 0.0), (0.1, 0.0), (0.2, 0.0), (0.4, 0.0), (0.2, 0.5), (0.2, 0.8)):
        kinds: dict[Dependence, tuple[list[bool], list[float]]] = {
            "measured": ([], []),
            "days": ([], []),
            "none": ([], []),
        }
        for run in range(plan.days):
            random = np.random.default_rng([run, int(10 * spread), int(10 * lasting)])
            source = source_of(days(random, 28, spread, lasting), 500)
            null = days(random, 365, spread, lasting)
            risen = days(random, 260, spread, lasting, rise=(60, 1.5))
            for kind, (ever, delays) in kinds.items():
                wanted = ConceptDrift(alpha=ALPHA, dependence=kind)
                ever.append(bool(ours(source, null, 500, wanted)))
                found = [(row + 1) // 500 - 60 for row in ours(source, risen, 500, wanted)]
                delays.append(found[0] if found and found[0] > 0 else math.inf)
        for kind, (ever, delays) in kinds.items():
            results[f"{spread:.0%}, lasting {lasting:g}, {kind}"] = {
                "ever": float(np.mean(ever)),
                "delay": float(np.median(delays)),
                "detected": float(np.isfinite(delays).mean()),
            }
    return results


def days(
    random: np.random.Generator, count: int, spread: float, lasting: float, rise: tuple[int, float] = (0, 1)
) -> Values:
    """Draw 500 losses a day around 0.13, times a lognormal factor of the day's own.

    `lasting` is the correlation of neighbouring days' factors; from day `rise[0]` on the risk is
    `rise[1]` times as high.
    """
    weathers, today = np.empty(count), random.normal()
    for at in range(count):
        weathers[at] = today
        today = lasting * today + math.sqrt(1 - lasting**2) * random.normal()
    risen = np.where(np.arange(count) >= rise[0], rise[1], 1.0)
    means = (0.13 * risen * np.exp(spread * weathers - spread**2 / 2)).clip(0, 0.6)
    return np.concatenate([random.beta(2 * mean, 2 * (1 - mean), 500) for mean in means])


def main() -> None:
    """Draw the runs, ask every method, print both tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a tenth of the runs")
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    plan, started = QUICK if arguments.quick else FULL, time.process_time()
    results = {}
    for each in streams():
        drawn = pool(*each)
        results[drawn.name] = measure(drawn, plan)
        show(drawn, results[drawn.name])
    stormy = weather(plan)
    print(f"\n{'days, assumed dependence':32}{'ever':>8}{'delay':>8}{'found':>7}   ({plan.days} runs)")
    for name, found in stormy.items():
        print(f"{name:32}{found['ever']:>8.1%}{found['delay']:>8.0f}{found['detected']:>7.0%}")
    print(f"\n{time.process_time() - started:.0f} CPU-seconds")
    if arguments.json:
        arguments.json.write_text(json.dumps({"streams": results, "days": stormy}, indent=2), "utf-8")


if __name__ == "__main__":
    main()
