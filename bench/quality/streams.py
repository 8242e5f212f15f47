"""Streams of windows with a reference, without drift and with set shifts; every value follows from the seed.

Fifty features: 20 normal, 10 lognormal, 10 heavy-tailed on both sides (sinh of a normal), 10 categorical
with 3 to 50 values. A shift moves few of them, from window `ONSET` on; the earlier windows are like the
reference.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow import feather

REFERENCE_ROWS = 2000
WINDOW_ROWS = 200
ONSET = 8
HORIZON = 10
DAY = 24
REFERENCE_HOURS = 4 * DAY
SIZES = (3, 4, 5, 6, 8, 10, 15, 20, 30, 50)
CATEGORICAL = [f"c{size}" for size in SIZES]
NUMERIC = [
    f"{kind}{at:02}" for kind, count in (("normal", 20), ("log", 10), ("heavy", 10)) for at in range(count)
]
CYCLIC = 30
"""How many numeric features follow the hour of the day in the seasonal streams."""

Values = npt.NDArray[np.float64]
Columns = dict[str, npt.NDArray[np.generic]]


@dataclass(frozen=True)
class Shift:
    """A shift: what moves, how far, and how much of it is there in the k-th window after the onset."""

    name: str
    kind: str
    size: float
    gradual: bool = False
    seasonal: bool = False

    def at(self, window: npt.NDArray[np.int64]) -> Values:
        """Return the part of the shift, 0 to 1, in windows counted from the onset."""
        there = (window >= 0).astype(float)
        return np.clip((window + 1) / HORIZON, 0, 1) if self.gradual else there


NONE = Shift("none", "none", 0)
SEASONAL_NONE = Shift("seasonal, none", "none", 0, seasonal=True)
SHIFTS = (
    Shift("location 0.2 sd, 5 of 40", "location", 0.2),
    Shift("location 0.5 sd, 5 of 40", "location", 0.5),
    Shift("scale x1.2, 5 of 40", "scale", 1.2),
    Shift("scale x1.5, 5 of 40", "scale", 1.5),
    Shift("tail 2 % beyond 3 sd, 5 of 40", "tail", 0.02),
    Shift("tail 10 % beyond 3 sd, 5 of 40", "tail", 0.10),
    Shift("categories 10 % move, 3 of 10", "categories", 0.10),
    Shift("categories 30 % move, 3 of 10", "categories", 0.30),
    Shift("correlation 0 to 0.3, block of 5", "correlation", 0.3),
    Shift("correlation 0 to 0.6, block of 5", "correlation", 0.6),
    Shift("gradual location to 0.6 sd", "location", 0.6, gradual=True),
    Shift("seasonal, location 0.5 sd", "location", 0.5, seasonal=True),
)


def frequencies(size: int) -> Values:
    """Return the shares of a categorical feature's values: Zipf-like, the rarest still seen."""
    weights = 1 / np.arange(1, size + 1) ** 0.7
    return weights / weights.sum()


def correlated(normal: Values, part: Values, shift: Shift) -> Values:
    """Give the first five columns the common correlation `size`; each stays standard normal."""
    if shift.kind != "correlation":
        return normal
    block, common = normal[:, :5], normal[:, -1:]
    rho = shift.size * part[:, None]
    return np.hstack([np.sqrt(rho) * common + np.sqrt(1 - rho) * block, normal[:, 5:]])


def marginal(name: str, normal: Values) -> Values:
    """Turn standard normal values into those of the feature's own distribution, monotonically."""
    if name.startswith("log"):
        return np.exp(normal)
    if name.startswith("heavy"):
        return np.sinh(1.5 * normal)
    return normal


def moved(values: Values, part: Values, shift: Shift, random: np.random.Generator) -> Values:
    """Apply location, scale or tail on the normal scale."""
    if shift.kind == "location":
        return values + shift.size * part
    if shift.kind == "scale":
        return values * (1 + (shift.size - 1) * part)
    if shift.kind == "tail":
        hit = random.random(len(values)) < shift.size * part
        return np.where(hit, np.sign(values) * (3 + np.abs(values) / 2), values)
    return values


def categories(size: int, part: Values, shift: Shift, random: np.random.Generator) -> npt.NDArray[np.str_]:
    """Draw values; a shift takes `size` of the rows away from the most frequent one, to the others alike."""
    names = np.array([f"v{at:02}" for at in range(size)])
    values = random.choice(size, len(part), p=frequencies(size))
    if shift.kind == "categories" and size in SIZES[3:6]:
        hit = (random.random(len(part)) < shift.size * part) & (values == 0)
        values = np.where(hit, random.integers(1, size, len(part)), values)
    return names[values]


def draw(shift: Shift, window: npt.NDArray[np.int64], hour: Values, random: np.random.Generator) -> Columns:
    """Draw a row for each of `window` (counted from the onset, negative before) and `hour` (0 to 24)."""
    part = shift.at(window)
    normal = correlated(random.normal(size=(len(window), len(NUMERIC) + 1)), part, shift)
    cycle = np.sin(2 * np.pi * hour / DAY) if shift.seasonal else np.zeros(len(window))
    columns: Columns = {}
    for at, name in enumerate(NUMERIC):
        values = normal[:, at] + (0.5 * cycle if at < CYCLIC else 0)
        if at % 8 == 0:  # the moved five: of every distribution, cyclic and not
            values = moved(values, part, shift, random)
        columns[name] = marginal(name, values)
    for name, size in zip(CATEGORICAL, SIZES, strict=True):
        columns[name] = categories(size, part, shift, random)
    return columns


def write(folder: Path, shift: Shift, seed: int, windows: int) -> dict[str, object]:
    """Write a run: its reference, `ONSET` windows without the shift and `windows` with it; return the batch.

    A window is an hour, a stream begins at any hour of the day. The reference's rows are in the order of
    time and cover four days. `skip` is the windows that only a method with a memory looks at.
    """
    random = np.random.default_rng([seed, *shift.name.encode()])
    before = np.full(REFERENCE_ROWS, -1)
    hours = np.arange(REFERENCE_ROWS) * REFERENCE_HOURS / REFERENCE_ROWS
    after = np.repeat(np.arange(ONSET + windows) - ONSET, WINDOW_ROWS)
    first = int(random.integers(DAY))
    clock = (after + ONSET + first) % DAY + random.random(len(after))
    stem = folder / f"{sum(shift.name.encode())}-{seed}"
    batch: dict[str, object] = {"window_rows": WINDOW_ROWS, "skip": ONSET, "categorical": CATEGORICAL}
    batch |= {"first_hour": first, "reference_hours": REFERENCE_HOURS}
    for side, table in (
        ("reference", draw(shift, before, hours, random)),
        ("windows", draw(shift, after, clock, random)),
    ):
        path = f"{stem}-{side}.arrow"
        feather.write_feather(pa.table(table), path, compression="uncompressed")
        batch[side] = path
    return batch
