"""What is read of Delta tables that others write."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from monitors.tables import delta

ROWS = pa.table({"größe": ["a/b c", "x%y", None, "n"], "level": [1, 2, None, 1], "v": [1, 2, 3, 4]})


@pytest.mark.parametrize("root", ["", "file://"], ids=["folder", "URL"])
def test_partitions_of_any_value_are_read(root: str, tmp_path: Path) -> None:
    """Nulls, blanks, slashes, percents and letters beyond ASCII in the names of folders are no obstacle."""
    location = f"{root}{tmp_path}"
    write_deltalake(location, ROWS, partition_by=["größe", "level"])
    table = delta.open_table(location)
    files = delta.files_of(table)
    each = list(delta.scan_each(table, location, ROWS.schema, columns=["v"], files=files))

    assert ROWS.to_pylist() == delta.scan(table, location, ROWS.schema).sort_by("v").to_pylist()
    assert dict.fromkeys(files, 1) == {path: batch.num_rows for path, batch in each}
    assert [4] == delta.scan(table, location, ROWS.schema, prune="größe = 'n'")["v"].to_pylist()
