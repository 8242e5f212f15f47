from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from monitors import report
from monitors.report import Reporter
from spec import Settings, loads

pytestmark = pytest.mark.service
SPEC = loads("""
model: shop
task: binary
data: {inference_log: log, labels: labels, id: id, time: t, target: {name: y}}
features: {amount: numeric, gone: numeric, country: categorical, member: boolean}
monitor: {data_drift: {categorical_method: total_variation}}
""")


def frame(rows: int, *, shift: float = 0.0) -> pd.DataFrame:
    """Rows with one column that has no value."""
    random = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "amount": random.normal(shift, 1, rows),
            "gone": np.full(rows, np.nan),
            "country": pd.Series(random.choice(["de", "fr"], rows), dtype="str"),
            "member": pd.Series(random.random(rows) < 0.5, dtype="boolean"),
            "prediction": random.random(rows),
        }
    )


@pytest.fixture
def reporter() -> Reporter:
    """A reporter that is closed after the test."""
    return Reporter()


def test_a_report_is_written_whole_by_a_process_that_gives_way(tmp_path: Path, reporter: Reporter) -> None:
    """The HTML has every column with values, whoever knows its distance; the process is nice and ends."""
    settings = Settings.from_env({"TRIMTAB_HOME": str(tmp_path)})
    file = report.path(settings, SPEC, "3", datetime(2024, 5, 1, tzinfo=UTC))
    try:
        written = reporter.submit(SPEC, frame(3000), frame(300, shift=1.0), file).result(timeout=120)
        assert reporter._pool is not None
        nice = reporter._pool.submit(os.nice, 0).result(timeout=10)
        reporter.close_if_idle(after_s=0)
    finally:
        reporter.close()

    html = written.read_text("utf-8")
    assert written == tmp_path / "reports" / "shop" / "3" / "2024-05-01T0000Z.html"
    assert [path.name for path in written.parent.iterdir()] == [written.name]
    assert all(name in html for name in ("amount", "country", "member", "prediction"))
    assert nice == 10
    assert reporter._pool is None
