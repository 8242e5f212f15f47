"""False alarms of the monitor over years of hourly windows, with the default budget of one a year.

    python bench/quality/model_year.py [--years 20] [--rows 200] [--reference-rows 20000] [--json FILE]

A model-year is a model with 50 features (and its prediction), a reference of its own over 28 days, and 8,760
hourly windows of `--rows` rows; nothing drifts. Rows are drawn one by one from a law of 65,536 equally likely
values, the reference's too, and counted by the model's own plan. Every lookback of every column is screened,
and what lies beyond chance's usual reach is judged by the monitor itself (`lookback.looks`, `drift.compare`).
Features are independent of one another, which the budget does not need; correlations are not simulated.

Three ways in which windows hang together:

- independent: every row of one law;
- hour of day: 30 of 40 numeric features follow a daily cycle of half a deviation, the reference's too;
- day effects: on each day, each of the 30 lies -0.2, 0 or 0.2 deviations off, for the whole day.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Container, Iterator
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from scipy.special import chdtrc, gammaincinv, ndtri

sys.path.insert(0, str(Path(__file__).parents[2]))  # `bench` is not installed

from bench.peers.hourly_model import model
from bench.quality.hourly_rows import LAW, Counted, Floats, Ints, column_of, law, states, windows
from bench.quality.streams import CATEGORICAL, NUMERIC
from monitors import reference_profile
from monitors.drift import drift, lookback
from monitors.profiles.plan import ColumnPlan, NumericPlan
from monitors.profiles.profile import Column, Profile
from monitors.reference_profile import ReferenceProfile
from monitors.window_profiles import Past
from monitors.windows import Window
from spec import ModelSpec

HOURS, DAYS = 8760, 28
WAYS = ("independent", "hour of day", "day effects")
HOUR = timedelta(hours=1)
START = datetime(2024, 1, 1, tzinfo=UTC)
PREDICTION = reference_profile.PREDICTION
NEAR = 3.25
"""Distances in units of chance below this have p > 0.0001, a hundred times what any lookback asks for."""


def units(plan: ColumnPlan, reference: Ints, sums: Ints, ends: tuple[float, float], size: float) -> Floats:
    """Return how far lookbacks lie from the reference, in units of chance for an effective size.

    Numbers: the Wasserstein distance of the bins over the deviation, times the root of the size. Categories:
    the normal deviate of the chi-square of the shares.
    """
    before, now = reference / reference.sum(), sums / sums.sum(axis=1, keepdims=True)
    if isinstance(plan, NumericPlan):
        edges = np.clip(plan.edges, *ends)
        widths, middle = np.diff(edges), (edges[1:] + edges[:-1]) / 2
        spread = np.sqrt(before @ middle**2 - (before @ middle) ** 2)
        apart = np.abs(np.cumsum(now - before, axis=1))
        return np.asarray(apart @ widths / spread * np.sqrt(size))
    square = ((now - before) ** 2 / before.clip(min=1e-9)).sum(axis=1) * size
    return np.asarray(-ndtri(chdtrc(max(1, len(before) - 1), square)))


def near(
    reference: Column, counted: Counted, worth: Callable[[int, int], float], longest: list[int]
) -> Iterator[tuple[int, int, float]]:
    """Yield (hour, length, distance) of each lookback that is due and not plainly chance."""
    plan = reference.plan
    ends = float(counted.least.min()), float(counted.most.max())
    total = np.vstack([np.zeros_like(counted.counts[:1]), np.cumsum(counted.counts, axis=0)])
    for length in longest:
        closed = np.arange(length, len(total), max(1, length // 2))
        size = worth(int(counted.counts[0].sum()), length)
        found = units(plan, reference.counts, total[closed] - total[closed - length], ends, size)
        for at in np.flatnonzero(found >= NEAR):
            yield int(closed[at]) - 1, length, float(found[at])


def judged(
    spec: ModelSpec, counts: ReferenceProfile, name: str, counted: Counted, hour: int, lengths: Container[int]
) -> dict[int, drift.ColumnDrift]:
    """Return the monitor's own reading of a column in those lookbacks that end with an hour."""
    plan = counts.profile.plan
    past = {}
    for each in range(max(0, hour - 12), hour + 1):
        column = column_of(plan.columns[name], counted, each)
        past[START + each * HOUR] = Profile(plan, column.rows, {name: column})
    window = Window(START + hour * HOUR, START + (hour + 1) * HOUR)
    found = {}
    for look in lookback.looks(spec, window, Past(HOUR, past), counts):
        if look.span.end == window.end and look.scale.length in lengths:
            verdict = drift.compare(spec, [look], counts)
            columns = {one.column: one for one in (*verdict.features, verdict.prediction)}
            found[look.scale.length] = columns[name]
    return found


def worth(counts: ReferenceProfile, name: str, rows: int, length: int) -> float:
    """Return the effective size of a lookback with the reference, by the reference's design effect."""
    known = counts.dependence
    inside = max(known.effect(name, method, rows, length) for method in ("wasserstein", "jensenshannon"))
    effect = max(known.effect(name, method, known.block_rows) for method in ("wasserstein", "jensenshannon"))
    window, reference = rows * length / inside, counts.profile.rows / effect
    return window * reference / (window + reference)


def year(way: str, seed: int, rows: int, reference_rows: int, hours: int) -> dict[str, Any]:
    """Simulate one model-year and count its alarms."""
    random = np.random.default_rng([seed, WAYS.index(way)])
    names = [*NUMERIC, *CATEGORICAL]
    spec = model(names, CATEGORICAL, None)
    laws = {name: law(name, way) for name in (*names, PREDICTION)}
    passed = np.arange(reference_rows) * DAYS * 24 / reference_rows
    before = {name: states(way, DAYS * 24, len(one.values), random) for name, one in laws.items()}
    table = pa.table(
        {
            name: one.values[before[name][passed.astype(int)], random.integers(LAW, size=reference_rows)]
            for name, one in laws.items()
        }
    )
    times = ((START - timedelta(days=DAYS)).timestamp() * 1e6 + passed * 3.6e9).astype(np.int64)
    counts = reference_profile.made(spec, table, times)
    found: dict[str, Any] = {
        "way": way,
        "seed": seed,
        "looks": 0,
        "judged": 0,
        "closest": 0.0,
        "border": 1.0,
        "alarms": [],
    }
    for name, one in laws.items():
        counted = windows(
            one, counts.profile.plan.columns[name], states(way, hours, len(one.values), random), rows, random
        )
        tell(found, spec, counts, name, counted)
    return found


def tell(
    found: dict[str, Any], spec: ModelSpec, counts: ReferenceProfile, name: str, counted: Counted
) -> None:
    """Add what the monitor says of a column's year: alarms, and how close the others came."""
    reference = counts.profile.columns[name]
    longest = [scale.length for scale in lookback.scales(spec)]
    found["looks"] += sum(len(counted.counts) // max(1, length // 2) for length in longest)
    beyond: dict[int, dict[int, float]] = {}
    for hour, length, distance in near(reference, counted, partial(worth, counts, name), longest):
        beyond.setdefault(hour, {})[length] = distance
    for hour, lengths in sorted(beyond.items()):
        readings = judged(spec, counts, name, counted, hour, lengths)
        for length, distance in lengths.items():
            reading = readings[length]
            found["judged"] += 1
            found["closest"] = max(found["closest"], reading.level / reading.p_value)
            if distance < NEAR + 0.1:
                found["border"] = min(found["border"], reading.p_value)
            if reading.drifted:
                found["alarms"].append(
                    {"column": name, "hour": hour, "lookback": length, "p": reading.p_value}
                )


def interval(alarms: int, years: int) -> tuple[float, float]:
    """Return the exact 95 % interval of a Poisson rate (Garwood 1936)."""
    low = float(gammaincinv(alarms, 0.025)) / years if alarms else 0.0
    return low, float(gammaincinv(alarms + 1, 0.975)) / years


def show(years: list[dict[str, Any]], way: str) -> dict[str, Any]:
    """Print and return what the years of one way gave."""
    own = [each for each in years if each["way"] == way]
    alarms = [len(each["alarms"]) for each in own]
    per_year = sum(alarms) / len(own)
    verdict = "met" if per_year <= 1 else "NOT MET"
    low, high = interval(sum(alarms), len(own))
    hours = sum(len({one["hour"] for one in each["alarms"]}) for each in own)
    print(
        f"{way:<12} {len(own)} years, {sum(each['looks'] for each in own):,} looks at a column, "
        f"{sum(each['judged'] for each in own):,} judged: {sum(alarms)} false alarms in {hours} windows, "
        f"{per_year:.2f} [{low:.2f}, {high:.2f}] a model-year (<= 1: {verdict}), "
        f"{sum(map(bool, alarms))} years with one; "
        f"closest: p = level / {max(each['closest'] for each in own):.2g}; "
        f"least p at the screen's border {min(each['border'] for each in own):.1g}"
    )
    return {
        "way": way,
        "years": len(own),
        "false_alarms": sum(alarms),
        "per_year": per_year,
        "interval": (low, high),
    }


def main() -> None:
    """Simulate the years, two at a time."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--years", type=int, default=20)
    parser.add_argument("--hours", type=int, default=HOURS, help="windows of a year")
    parser.add_argument("--rows", type=int, default=200)
    parser.add_argument("--reference-rows", type=int, default=20_000)
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    started = time.monotonic()
    sizes = {"rows": arguments.rows, "reference_rows": arguments.reference_rows, "hours": arguments.hours}
    summaries, years = [], []
    with ProcessPoolExecutor(arguments.workers) as pool:
        for way in arguments.ways:
            years += list(pool.map(partial(year, way, **sizes), range(arguments.years)))
            summaries.append(show(years, way))
    print(f"{time.monotonic() - started:.0f} s")
    if arguments.json:
        arguments.json.write_text(
            json.dumps({**sizes, "ways": summaries, "years": years}, indent=1), encoding="utf-8"
        )


if __name__ == "__main__":
    main()
