"""Short batches, row groups and files: a plan from enough rows, in time that grows with the rows."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from monitors.engines import local
from monitors.engines.sources import open_source
from monitors.profiles import tally

ROWS = 20_000
TABLE = pa.table({"a": np.arange(ROWS)})


def arrow(path: Path, length: int, *, stream: bool) -> Path:
    """An Arrow file of batches of this length."""
    make = pa.ipc.new_stream if stream else pa.ipc.new_file
    with pa.OSFile(str(path), "wb") as sink, make(sink, TABLE.schema) as writer:
        for batch in TABLE.to_batches(length):
            writer.write_batch(batch)
    return path


def test_short_batches_give_a_whole_sample(tmp_path: Path) -> None:
    """An Arrow file of many short batches gives as many rows for a plan as one of a few long ones."""
    path = arrow(tmp_path / "a.arrow", 20, stream=False)

    assert 4_000 <= open_source(path).sample(4_000, None).num_rows <= ROWS


def test_short_files_give_a_whole_sample(tmp_path: Path) -> None:
    """So does a folder of many short files, such as a stream writes."""
    for number in range(1_000):
        pq.write_table(TABLE.slice(20 * number, 20), tmp_path / f"{number}.parquet")

    assert 4_000 <= open_source(tmp_path).sample(4_000, None).num_rows <= ROWS


def test_short_row_groups_give_a_whole_sample(tmp_path: Path) -> None:
    """So does a Parquet file of many short row groups, from the first to the last."""
    table = pa.table({"a": np.arange(600_000)})
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=300)
    drawn = open_source(tmp_path / "a.parquet").sample(32_768, None)["a"].to_numpy()

    assert 32_768 == len(set(drawn))
    assert drawn.min() < 10_000
    assert drawn.max() > 590_000


@pytest.mark.parametrize("form", ["reader", "stream"])
def test_a_batch_a_row_is_counted_as_few_long_ones(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stream of a batch a row is put together before it is counted: the work grows with the rows alone."""
    data = arrow(tmp_path / "a.arrows", 1, stream=True)
    if form == "reader":
        data = pa.ipc.open_stream(data.read_bytes())
    added: list[int] = []
    add = tally.Tally.add
    monkeypatch.setattr(
        tally.Tally, "add", lambda self, batch: (added.append(batch.num_rows), add(self, batch))[1]
    )

    assert ROWS == local.profile(data).rows
    assert ROWS == sum(added)
    assert 10 > len(added)


def test_an_error_in_one_thread_stops_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """What goes wrong after a second is not said after an hour, when the others have counted the rest."""
    table = pa.table({"a": np.zeros(100 * 2**16)})
    plan = local.profile(table[:10]).plan
    counted: list[int] = []
    others = threading.Event()

    def add(_: tally.Tally, *__: pa.RecordBatch) -> None:
        counted.append(threading.get_ident())
        if counted[-1] != counted[0]:
            others.set()
            raise RuntimeError
        others.wait(10)
        time.sleep(0.01)

    monkeypatch.setattr(tally.Tally, "add", add)
    with pytest.raises(RuntimeError):
        local.profile(table, plan=plan, threads=2)
    assert len(counted) < 20
