"""Take up where the last daemon stopped: what is computed already, and what came in meanwhile."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from monitors import labelled
from monitors.ledger import HORIZON, judges
from monitors.results.records import MONITORS, MonitorName
from monitors.results.store import Store
from monitors.tables import inference_log
from monitors.windows import EPOCH, Window
from spec import ModelSpec, Settings

Computed = Mapping[tuple[Window, MonitorName], datetime]
"""When a window was last computed by a monitor (processing time)."""

_TICK = timedelta(microseconds=1)


def computed(spec: ModelSpec, store: Store) -> Computed:
    """Return what the store has of the windows that late data may still change, by each monitor's horizon."""
    known: dict[tuple[Window, MonitorName], datetime] = {}
    for monitor in MONITORS:
        newest = max((result.start for result in store.latest(spec.model, monitor)), default=None)
        if newest is None:
            continue
        for result in store.history(spec.model, monitor, start=newest - HORIZON * spec.monitor.window):
            key = (Window(result.start, result.end), monitor)
            known[key] = max(known.get(key, result.computed_at), result.computed_at)
    return known


def holes(spec: ModelSpec, known: Computed) -> Iterator[tuple[Window, MonitorName]]:
    """Yield the windows between a monitor's first and last result that have none: it failed there."""
    for monitor in MONITORS:
        there = sorted(window for window, name in known if name == monitor)
        if not there:
            continue
        window = there[0]
        while window < there[-1]:
            if (window, monitor) not in known and judges(spec, monitor, window):
                yield window, monitor
            window = window.shifted(1)


def late(
    spec: ModelSpec, settings: Settings, known: Computed
) -> tuple[frozenset[datetime], frozenset[datetime]]:
    """Return the starts of the windows that got rows, and labels, after they were last computed."""
    if not known:
        return frozenset(), frozenset()
    oldest = min(window.start for window, _ in known)
    rows = inference_log.read(spec, settings, oldest, shadow=None, columns=["event_time", "logged_at"])
    arrived = labelled.arrived_since(spec, settings, oldest, settings.clock.now())
    times = inference_log.times_of(spec, settings, arrived["prediction_id"].combine_chunks())
    found = pc.index_in(times["prediction_id"], value_set=arrived["prediction_id"].combine_chunks())
    return (
        _since(rows["event_time"], rows["logged_at"], _by_start(known, "quality"), spec),
        _since(times["event_time"], arrived["arrived_at"].take(found), _by_start(known, "performance"), spec),
    )


def _by_start(known: Computed, monitor: MonitorName) -> dict[datetime, datetime]:
    return {window.start: at for (window, name), at in known.items() if name == monitor}


def _since(
    events: pa.ChunkedArray, came: pa.ChunkedArray, computed_at: Mapping[datetime, datetime], spec: ModelSpec
) -> frozenset[datetime]:
    index = pc.divide(events.cast(pa.int64()), spec.monitor.window // _TICK)
    newest = pa.table({"window": index, "came": came}).group_by("window").aggregate([("came", "max")])
    starts: Collection[datetime] = [EPOCH + at * spec.monitor.window for at in newest["window"].to_pylist()]
    pairs = zip(starts, newest["came_max"].to_pylist(), strict=True)
    return frozenset(start for start, at in pairs if start in computed_at and at > computed_at[start])
