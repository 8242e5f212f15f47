"""What the speed bench times of ours, each task in a process of its own."""

from __future__ import annotations

import os
import sys
import time
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from protocol import Request, frame, serve, timed
from pyarrow import feather

from monitors.comparing.compare import compare
from monitors.engines import profile
from monitors.profiles.profile import Profile


def speed(request: Request) -> dict[str, object]:
    """Compare two tables in memory, data frames or Arrow tables, with nothing or the reference profiled."""
    read: Any = (
        frame if request["form"] == "pandas" else lambda path: feather.read_table(path, memory_map=False)
    )
    reference, current = read(request["reference"]), read(request["current"])
    seconds, result = timed(lambda: compare(reference, current), request["runs"])
    known = profile(reference)
    profiled, _ = timed(lambda: compare(known, profile(current, plan=known.plan)), request["runs"])
    both = known, profile(current, plan=known.plan)
    comparing, _ = timed(lambda: compare(*both), request["runs"])
    return {
        "seconds": seconds,
        "profiled_seconds": profiled,
        "comparing_seconds": comparing,
        "drifted": len(result.drifted),
    }


def parquet(request: Request) -> dict[str, object]:
    """Profile a Parquet file, its plan included."""
    seconds, result = timed(lambda: profile(request["path"]), request["runs"])
    return {"seconds": seconds, "rows": result.rows}


def read(request: Request) -> dict[str, object]:
    """Read a Parquet file and do nothing with it: as a stream of batches, or whole."""

    def stream() -> int:
        return sum(batch.num_rows for batch in ds.dataset(request["path"]).to_batches())

    def whole() -> int:
        return pq.read_table(request["path"]).num_rows

    seconds, rows = timed(stream if request["form"] == "stream" else whole, request["runs"])
    return {"seconds": seconds, "rows": rows}


def wide(request: Request) -> dict[str, object]:
    """Profile tables of one height and of more and more columns, and batches of one row of them."""
    found = []
    for columns in request["columns"]:
        random = np.random.default_rng(columns)
        table = pa.table({f"x{at}": random.normal(size=request["rows"]) for at in range(columns)})
        known = profile(table)
        counted, _ = timed(lambda table=table, known=known: profile(table, plan=known.plan), request["runs"])
        planned, _ = timed(lambda table=table: profile(table), request["runs"])
        row = table.slice(0, 1)
        tiny, _ = timed(lambda row=row, known=known: profile(row, plan=known.plan), 20)
        comparing, _ = timed(lambda known=known: compare(known, known), 3)
        found.append(
            {"columns": columns, "counted": counted, "planned": planned, "tiny": tiny, "compare": comparing}
        )
    return {"tables": found}


def spark(request: Request) -> dict[str, object]:
    """Profile a Parquet file on Spark and here by one plan, and say whether the profiles are equal."""
    from pyspark.sql import SparkSession  # noqa: PLC0415 - only this task needs it

    os.environ |= {"PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": "127.0.0.1"}
    started = time.perf_counter()
    builder = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
    session = builder.config("spark.driver.memory", "4g").getOrCreate()
    start = time.perf_counter() - started
    plan = profile(pq.ParquetFile(request["path"]).read_row_group(0)).plan
    table = session.read.parquet(request["path"])
    on_spark, theirs = timed(lambda: profile(table, plan=plan), request["runs"])
    session.stop()
    here, ours = timed(lambda: profile(request["path"], plan=plan), request["runs"])
    return {
        "start_seconds": start,
        "spark_seconds": on_spark,
        "local_seconds": here,
        "same": same(ours, theirs),
        "cpus": len(os.sched_getaffinity(0)),
    }


def same(one: Profile, other: Profile) -> bool:
    """Say whether two profiles hold the same counts."""
    return one.rows == other.rows and dict(one.columns) == dict(other.columns)


if __name__ == "__main__":
    serve({"speed": speed, "parquet": parquet, "read": read, "wide": wide, "spark": spark}, "trimtab")
