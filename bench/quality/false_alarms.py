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


FULL = (
    Sizes(100, 100, 8, 3),
    Sizes(1_000, 100, 8, 3),
    Sizes(1_001, 100, 8, 3),
    Sizes(1_001, 1_000, 6, 3),
    Sizes(10_000, 100, 6, 4),
    Sizes(10_000, 1_000, 4, 4),
    Sizes(10_000, 10_000, 4, 2),
    Sizes(100_000, 1_000, 2, 5),
    Sizes(100_000, 100_000, 2, 1, kinds=("normal", "heavy", "k=10")),
    Sizes(1_000_000, 1_000, 1, 5, kinds=("normal", "k=10")),
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
                path = folder / f"{side}-{kind}-{seed}.arrow"
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


def measure(sizes: Sizes, methods: list[Method], workers: int) -> list[Row]:
    """Measure a pair of sizes for every method that can take it."""
    able = [each for each in methods if each.name != "nannyml" or sizes.reference >= 5 * sizes.window]
    with tempfile.TemporaryDirectory(prefix="trimtab-bench-") as folder:
        batches = write(Path(folder), sizes)
        found = judge_all(able, batches, workers=workers, timeout=1800)
    rows: list[Row] = []
    for at, kind in enumerate(sizes.kinds):
        label = {"n_ref": sizes.reference, "n_cur": sizes.window, "kind": kind}
        own = slice(at * sizes.references, (at + 1) * sizes.references)
        for method in methods:
            if method in able:
                answers, seconds = found[method.name]
                rows.append({**label, "method": method.name, **summary(answers[own]), "seconds": seconds})
            else:
                rows.append(
                    {**label, "method": method.name, "why": "the reference holds fewer than 5 chunks"}
                )
    return rows


def show(rows: list[Row], methods: list[Method]) -> None:
    """Print a line for each kind: column rate and window rate of every method, in %."""
    for at in range(0, len(rows), len(methods)):
        parts = []
        for each in rows[at : at + len(methods)]:
            rates = [each[key] for key in ("column_rate", "window_rate") if key in each]
            rates += [each["half_rate"]] if each["method"] == "evidently" else []
            parts.append(f"{' / '.join(f'{100 * rate:.3g}' for rate in rates) or '-':>{WIDTH}}")
        row = rows[at]
        tests = max(each.get("column_tests", 0) for each in rows[at : at + len(methods)])
        print(
            f"{row['n_ref']:>9,} {row['n_cur']:>9,} {row['kind']:>7} {tests:>6,}{''.join(parts)}", flush=True
        )


def main() -> None:
    """Run the grid and print it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="two pairs of sizes, two kinds")
    parser.add_argument("--only", nargs="+", metavar="METHOD", choices=[each.name for each in METHODS])
    parser.add_argument("--workers", type=int, default=2, help="methods that run at a time")
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    methods = [each for each in METHODS if each.univariate and each.name in (arguments.only or each.name)]
    started, rows = time.monotonic(), []
    for method in methods:
        print(f"{method.name:>13}: a column alarms: {method.column}; a window alarms: {method.window}")
    print("\nfalse alarms, %: column tests / windows / evidently's own rule for windows, half of the columns")
    names = "".join(f"{each.name:>{WIDTH}}" for each in methods)
    print(f"{'n_ref':>9} {'n_cur':>9} {'kind':>7} {'tests':>6}{names}")
    for sizes in QUICK if arguments.quick else FULL:
        found = measure(sizes, methods, arguments.workers)
        show(found, methods)
        rows += found
    print(f"\n{time.monotonic() - started:.0f} s")
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
