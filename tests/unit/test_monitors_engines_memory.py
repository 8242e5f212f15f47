"""What is profiled need not fit into memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

PROGRAM = """
import sys
import pyarrow as pa
from monitors.engines import local
local.profile(sys.argv[1], threads=2)
print(pa.default_memory_pool().max_memory())
"""
GROUP = 200_000


def peak(path: Path) -> int:
    """Bytes that Arrow held at most while a process of its own profiled a file."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(path)], check=True, capture_output=True, text=True
    )
    return int(done.stdout)


def write(path: Path, groups: int) -> Path:
    """A file of so many row groups of 200,000 rows: numbers that no encoding makes smaller, and words."""
    rng = np.random.default_rng(0)
    schema = pa.schema([*((f"n{place}", pa.float64()) for place in range(6)), ("word", pa.string())])
    words = pa.array([f"word {number}" for number in range(1_000)])
    numbers = [pa.array(rng.normal(size=GROUP)) for _ in range(6)]
    table = pa.table([*numbers, words.take(pa.array(rng.integers(0, 1_000, GROUP)))], schema=schema)
    with pq.ParquetWriter(path, schema) as writer:
        for _ in range(groups):
            writer.write_table(table, row_group_size=GROUP)
    return path


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    """A file of eight times the rows is profiled in about the same memory, below 60 MB."""
    small, large = (peak(write(tmp_path / f"{groups}.parquet", groups)) for groups in (2, 16))

    assert large < 1.3 * small
    assert large < 60e6


@pytest.mark.parametrize("form", ["file", "stream"])
def test_arrow_files_are_read_a_batch_at_a_time(form: str, tmp_path: Path) -> None:
    """An Arrow file of 80 MB is profiled in a quarter of that."""
    table = pa.table(
        {f"n{place}": np.random.default_rng(place).normal(size=1_000_000) for place in range(10)}
    )
    path = tmp_path / "rows.arrow"
    make = pa.ipc.new_file if form == "file" else pa.ipc.new_stream
    with pa.OSFile(str(path), "wb") as sink, make(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=50_000)

    assert peak(path) < 40e6
