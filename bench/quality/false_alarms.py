"""False alarms on identical distributions: a reference and windows drawn from the same law.

    python bench/quality/false_alarms.py [--quick] [--only METHOD ...] [--json FILE]

A cell is a pair of sizes and a kind of column. Its batches hold 50 independent columns of that kind, so a
window gives 50 column tests and one window test. Every method answers about the same rows.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow import feather

sys.path.insert(0, str(Path(__file__).parents[2]))  # `bench` is not installed

from bench.quality.methods import METHODS, Answer, Batch, Method, judge_all
from bench.quality.streams import frequencies

COLUMNS = 50
WIDTH = 17
Row = dict[str, Any]
KINDS = ("normal", "heavy", "k=3", "k=10", "k=50")


@dataclass(frozen=True)
class Sizes:
    """Rows of each side, and how often: references x windows a reference x columns."""

    reference: int
    window: int
    references: int
    windows: int
    columns: int = COLUMNS
    kinds: tuple[str, ...] = KINDS


FEW = ("normal", "heavy", "k=10")
FULL = (
    Sizes(100, 100, 8, 3),
    Sizes(1_000, 100, 8, 3),
    Sizes(1_001, 100, 8, 3),
    Sizes(1_001, 1_000, 6, 3),
    Sizes(10_000, 100, 4, 4),
    Sizes(10_000, 1_000, 4, 4),
    Sizes(10_000, 10_000, 4, 2),
    Sizes(100_000, 1_000, 2, 4, kinds=FEW),
    Sizes(100_000, 100_000, 1, 1, kinds=FEW),
    Sizes(1_000_000, 1_000, 1, 4, columns=20, kinds=("normal", "k=10")),
    Sizes(1_000_000, 1_000_000, 1, 1, columns=20, kinds=("normal", "k=10")),
)
QUICK = tuple(
    Sizes(reference, window, 1, 2, kinds=("normal", "k=10"))
    for reference, window in ((1_001, 100), (10_000, 1_000))
)


def column(kind: str, rows: int, random: np.random.Generator) -> npt.NDArray[np.generic]:
    """Draw a column; `heavy` has no variance (Student t with 2 degrees of freedom)."""
    if kind == "normal":
        return random.normal(size=rows)
    if kind == "heavy":
        return random.standard_t(2, size=rows)
    size = int(kind[2:])
    return np.array([f"v{at:02}" for at in range(size)])[random.choice(size, rows, p=frequencies(size))]


def write(folder: Path, sizes: Sizes) -> list[Batch]:
    """Write the batches of a pair of sizes, kind by kind."""
    batches: list[Batch] = []
    for kind in sizes.kinds:
        names = [f"{kind}-{at}" for at in range(sizes.columns)]
        categorical = names if kind.startswith("k=") else []
        for seed in range(sizes.references):
            random = np.random.default_rng([seed, sizes.reference, sizes.window, *kind.encode()])
            batch: Batch = {"window_rows": sizes.window, "skip": 0, "categorical": categorical}
            for side, rows in (("reference", sizes.reference), ("windows", sizes.window * sizes.windows)):
                path = folder / f"{side}-{sizes.reference}-{sizes.window}-{kind}-{seed}.arrow"
                table = pa.table({name: column(kind, rows, random) for name in names})
                feather.write_feather(table, str(path), compression="uncompressed")
                batch[side] = str(path)
            batches.append(batch)
    return batches


def summary(answers: list[Answer]) -> dict[str, float | int]:
    """Count the alarms of a cell."""
    columns = np.concatenate([each.alarms.ravel() for each in answers])
    windows = np.concatenate([each.window_alarms for each in answers])
    half = np.concatenate([each.half for each in answers])
    return {
        "column_tests": len(columns),
        "column_rate": float(columns.mean()),
        "windows": len(windows),
        "window_rate": float(windows.mean()),
        "half_rate": float(half.mean()),
    }


@dataclass(frozen=True)
class Cell:
    """A pair of sizes and a kind, and where its batches lie among all."""

    sizes: Sizes
    kind: str
    batches: slice

    def __str__(self) -> str:
        return f"{self.sizes.reference:>9,} {self.sizes.window:>9,} {self.kind:>7}"


def layout(grid: tuple[Sizes, ...]) -> list[Cell]:
    """Return the cells of a grid in the order in which `write` makes them."""
    cells, at = [], 0
    for sizes in grid:
        for kind in sizes.kinds:
            cells.append(Cell(sizes, kind, slice(at, at + sizes.references)))
            at += sizes.references
    return cells


def is_able(method: Method, cell: Cell) -> bool:
    """Say whether a method can take it: NannyML's thresholds are of five chunks of the reference or more."""
    return method.name != "nannyml" or cell.sizes.reference >= 5 * cell.sizes.window


def judged(method: Method, cells: list[Cell], answers: list[Answer], seconds: float) -> list[Row]:
    """Return a row for each cell that a method was asked about."""
    rows, at = [], 0
    for cell in cells:
        own = answers[at : at + cell.sizes.references]
        at += cell.sizes.references
        label = {"n_ref": cell.sizes.reference, "n_cur": cell.sizes.window, "kind": cell.kind}
        rows.append({**label, "method": method.name, **summary(own), "seconds": seconds})
    return rows


def rates(row: Row | None) -> str:
    """Return column rate, window rate and, of Evidently, the rate of half of the columns, in %."""
    if row is None:
        return "-"
    found = [row["column_rate"], row["window_rate"]]
    found += [row["half_rate"]] if row["method"] == "evidently" else []
    return " / ".join(f"{100 * rate:.3g}" for rate in found)


def show(rows: list[Row], cells: list[Cell], names: list[str]) -> None:
    """Print a line a cell and a column a method."""
    print(
        f"{'n_ref':>9} {'n_cur':>9} {'kind':>7} {'tests':>6}{''.join(f'{name:>{WIDTH}}' for name in names)}"
    )
    for cell in cells:
        where = cell.sizes.reference, cell.sizes.window, cell.kind
        own = {row["method"]: row for row in rows if (row["n_ref"], row["n_cur"], row["kind"]) == where}
        tests = max((row["column_tests"] for row in own.values()), default=0)
        print(f"{cell} {tests:>6,}{''.join(f'{rates(own.get(name)):>{WIDTH}}' for name in names)}")
    print(flush=True)


def main() -> None:
    """Write the grid, ask every method once, print each one's result and then all beside one another."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="two pairs of sizes, two kinds")
    parser.add_argument("--only", nargs="+", metavar="METHOD", choices=[each.name for each in METHODS])
    parser.add_argument("--workers", type=int, default=2, help="methods that run at a time")
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    methods = [each for each in METHODS if each.univariate and each.name in (arguments.only or each.name)]
    grid = QUICK if arguments.quick else FULL
    cells, started = layout(grid), time.monotonic()
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="trimtab-bench-") as folder:
        batches = [batch for sizes in grid for batch in write(Path(folder), sizes)]
        print(f"{len(batches)} references and their windows written in {time.monotonic() - started:.0f} s")
        print("%: column tests / windows / evidently's rule for a data set, half of the columns\n")
        asked = {each.name: [cell for cell in cells if is_able(each, cell)] for each in methods}
        own = {
            name: [batch for cell in able for batch in batches[cell.batches]] for name, able in asked.items()
        }
        for method, answers, seconds in judge_all(methods, own, workers=arguments.workers, timeout=3600):
            print(f"{method.name}: {seconds:.0f} s; column: {method.column}; window: {method.window}")
            found = judged(method, asked[method.name], answers, seconds)
            show(found, asked[method.name], [method.name])
            rows += found
            if arguments.json:
                arguments.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    show(rows, cells, [each.name for each in methods])
    print(f"{time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
