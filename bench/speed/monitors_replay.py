"""What the monitoring daemon costs in a replay: CPU seconds a simulated day, with the flights spec.

    python bench/speed/monitors_replay.py [days]

230 rows and labels a day and 17 features, written to Delta in two commits a day, then one look a day.
"""

from __future__ import annotations

import sys
import tempfile
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from monitors import frames, references
from monitors.daemon.model_job import ModelJob
from monitors.held import Held
from monitors.reports import report
from monitors.results.store import Store
from monitors.tables import delta, labels
from spec import FeatureType, ModelSpec, Settings, load, set_clock
from spec.tables import FEATURE_PREFIX, log_columns

ROWS = 230
START = datetime(2013, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def features(spec: ModelSpec, rows: int, random: np.random.Generator) -> dict[str, np.ndarray]:
    """Draw rows of every feature."""
    names = np.array([f"c{at}" for at in range(30)])
    return {
        name: random.normal(size=rows) if feature.type is FeatureType.NUMERIC else random.choice(names, rows)
        for name, feature in spec.features.items()
    }


def write_day(spec: ModelSpec, settings: Settings, day: int, random: np.random.Generator) -> None:
    """Append a day's log in two commits, and its labels."""
    ids = [f"{day}-{row}" for row in range(ROWS)]
    times = [START + (day + row / ROWS) * DAY for row in range(ROWS)]
    scores = random.random(ROWS)
    columns = {
        "row_id": ids,
        "prediction_id": ids,
        "event_time": times,
        "event_date": [f"{time:%Y-%m-%d}" for time in times],
        "logged_at": times,
        "version": ["1"] * ROWS,
        "slot": ["blue"] * ROWS,
        "shadow": [False] * ROWS,
        "latency_ms": random.gamma(2, 1, ROWS),
        "scores": [[score] for score in scores],
    }
    columns |= {FEATURE_PREFIX + name: values for name, values in features(spec, ROWS, random).items()}
    schema = delta.schema_of(log_columns(spec))
    rows = pa.table({name: pa.array(columns[name], schema.field(name).type) for name in schema.names}, schema)
    location = settings.location(spec.data.inference_log)
    for part in (rows.slice(0, ROWS // 2), rows.slice(ROWS // 2)):
        delta.append(location, part, partition_by=["event_date"])
    truth = pd.DataFrame({spec.data.id: ids, spec.data.target.name: random.random(ROWS) < scores})
    labels.append(spec, settings, truth)


def held_out(spec: ModelSpec, random: np.random.Generator) -> Held:
    """Draw two weeks of labelled rows that the model has not seen, for the monitors that learn from them."""
    rows = 14 * ROWS
    scores = random.random(rows)
    times = (START.timestamp() - 14 * 86_400 + np.arange(rows) * 86_400 / ROWS) * 1e6
    frame = frames.typed(spec, pd.DataFrame(features(spec, rows, random)))
    return Held(frame, scores[:, None], (random.random(rows) < scores).astype(float), times.astype(np.int64))


def main(days: int) -> None:
    """Replay and print the cost of each fifth of the days."""
    spec = load(Path(__file__).parents[2] / "models" / "flights.yaml")
    random = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        clock = Path(folder) / "clock"
        set_clock(clock, START)
        settings = Settings.from_env({"TRIMTAB_HOME": folder, "TRIMTAB_CLOCK": str(clock)})
        rows = pd.DataFrame({**features(spec, 5000, random), "prediction": random.random(5000)})
        band = {"value": 0.83, "low": 0.82, "high": 0.84}
        references.publish(
            spec,
            settings,
            "1",
            rows,
            importances={},
            performance={"roc_auc": band},
            window=(START, START + DAY),
            held=held_out(spec, random),
        )
        with Store(settings.results_url) as store:
            job = ModelJob(spec, settings, store, report.Reporter(), settle_s=0)
            cost = []
            for day in range(days):
                write_day(spec, settings, day, random)
                set_clock(clock, START + (day + 1) * DAY)
                threading.Event().wait(0.03)  # the clock rereads its file every 20 ms
                started = time.process_time()
                for _ in range(2):
                    job.tick(time.monotonic(), threading.Event())
                cost.append(time.process_time() - started)
            results = store.history("flights")
        for monitor in sorted({result.monitor for result in results}):
            took = [result.duration_s for result in results if result.monitor == monitor]
            print(
                f"{monitor:12} {1000 * np.median(took):6.1f} ms wall a result (median), {len(took)} results"
            )
        for part in np.array_split(np.array(cost), 5):
            print(f"{np.median(part):.3f} s CPU a day (median), {part.max():.3f} s at most")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100)
