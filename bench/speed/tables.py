"""The tables of the speed bench; every value follows from the seed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import feather

SIZES = (3, 8, 20, 50, 200)
GROUP = 1_000_000


def names(size: int) -> pa.Array:
    """Return the values of a categorical column with `size` of them."""
    return pa.array([f"value-{at:03}" for at in range(size)])


def words(size: int, rows: int, random: np.random.Generator) -> pa.Array:
    """Draw strings, the first values more often."""
    codes = np.minimum(random.geometric(3 / (size + 1), rows) - 1, size - 1)
    return names(size).take(pa.array(codes))


def numbers(at: int, rows: int, random: np.random.Generator) -> np.ndarray:
    """Draw a numeric column: in turn normal, lognormal, uniform, integer counts."""
    if at % 4 == 0:
        return random.normal(size=rows)
    if at % 4 == 1:
        return random.lognormal(size=rows)
    if at % 4 == 2:
        return random.random(rows)
    return random.poisson(40, rows)


def mixed(rows: int, seed: int, *, numeric: int = 20, moved: bool = False) -> pa.Table:
    """Return `numeric` numeric columns and 5 of strings; `moved` shifts three of them by 0.3 deviations."""
    random = np.random.default_rng(seed)
    columns: dict[str, object] = {}
    for at in range(numeric):
        values = numbers(at, rows, random)
        columns[f"number{at:02}"] = values + 0.3 if moved and at in {0, 4, 8} else values
    for size in SIZES:
        columns[f"word{size:03}"] = words(size, rows, random)
    return pa.table(columns)


def pair(folder: Path, rows: int) -> dict[str, str]:
    """Write a reference and a current side as Arrow files, read into memory before anything is timed."""
    result = {}
    for seed, side in enumerate(("reference", "current")):
        result[side] = str(folder / f"{side}-{rows}.arrow")
        feather.write_feather(mixed(rows, seed, moved=seed == 1), result[side], compression="uncompressed")
    return result


def parquet(path: Path, rows: int, seed: int = 0, *, numeric: int = 15, moved: bool = False) -> str:
    """Write a Parquet file as pyarrow does by default, in row groups of a million rows."""
    writer = None
    for group, start in enumerate(range(0, rows, GROUP)):
        table = mixed(min(GROUP, rows - start), seed * 10_000 + group, numeric=numeric, moved=moved)
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table, row_group_size=GROUP)
    if writer is not None:
        writer.close()
    return str(path)
