from __future__ import annotations

from datetime import UTC, datetime, timedelta

from monitors.ledger import FAILED, FIRST, HORIZON, LATE_LABELS, LATE_ROWS, Ledger, Task, judges
from monitors.results.records import LABELLED, MONITORS
from monitors.windows import Window
from spec import ModelSpec, loads

TEXT = """
model: shop
task: binary
data: {inference_log: log, labels: labels, id: id, time: t, target: {name: y, delay: 2d}}
features: {amount: numeric}
monitor: {data_drift: {over: 2}, performance: {over: 3}}
"""
SPEC: ModelSpec = loads(TEXT)
START = datetime(2024, 5, 1, tzinfo=UTC)  # 19,844 days after the epoch: day 0, 3, 6 end a span of three
AT_ONCE = ("drift", "quality", "latency", "estimate")
DAY = timedelta(days=1)


def window(day: int) -> Window:
    """A day's window."""
    return Window(START + day * DAY, START + (day + 1) * DAY)


def ledger(*, settle_s: float = 0.0, days: int = 0) -> Ledger:
    """A ledger that begins at day 0, with some days computed as soon as they could be."""
    book = Ledger(SPEC, settle_s)
    book.begin(START + timedelta(hours=7))
    for day in range(days):
        for monitor in (monitor for monitor in MONITORS if judges(SPEC, monitor, window(day))):
            book.computed(
                window(day), monitor, window(day).end + (2 * DAY if monitor in LABELLED else 0 * DAY)
            )
    return book


def names(tasks: tuple[Task, ...]) -> set[tuple[int, str, str]]:
    """Tasks as day, monitor and reason."""
    return {((task.window.start - START).days, task.monitor, task.reason) for task in tasks}


def test_nothing_is_due_before_there_are_rows() -> None:
    """A model that never answered has no windows."""
    assert Ledger(SPEC, 0.0).due(START + 100 * DAY, 0.0) == ()


def test_a_window_is_due_at_its_end_and_what_needs_the_truth_a_delay_later() -> None:
    """At the boundary the window is due, a microsecond before it is not."""
    tick = timedelta(microseconds=1)

    assert names(ledger().due(START + DAY - tick, 0.0)) == set()
    assert names(ledger().due(START + DAY, 0.0)) == {(0, m, FIRST) for m in AT_ONCE}
    for monitor in LABELLED:
        assert (0, monitor, FIRST) not in names(ledger().due(START + 3 * DAY - tick, 0.0))
        assert (0, monitor, FIRST) in names(ledger().due(START + 3 * DAY, 0.0))


def test_slices_are_searched_once_a_span_of_pooled_windows() -> None:
    """With verdicts over three days, every third day, counted from the epoch, is the end of a span."""
    due = names(ledger().due(START + 12 * DAY, 0.0))

    assert {day for day, monitor, _ in due if monitor == "slices"} == {0, 3, 6, 9}


def test_a_model_that_wants_no_estimate_gets_none() -> None:
    """`estimate: null` is never due."""
    book = Ledger(loads(TEXT.replace("over: 3", "over: 3, estimate: null")), 0.0)
    book.begin(START)

    assert {monitor for _, monitor, _ in names(book.due(START + DAY, 0.0))} == set(AT_ONCE) - {"estimate"}


def test_a_closed_window_settles_first() -> None:
    """Rows that were accepted before the close have the settling time to be committed."""
    book = ledger(settle_s=2.0)

    assert book.due(START + DAY, 10.0) == ()
    assert book.due(START + DAY, 11.9) == ()
    assert len(book.due(START + DAY, 12.0)) == len(AT_ONCE)


def test_tasks_come_oldest_window_first() -> None:
    """After a long stop the daemon catches up in the order of time."""
    days = [task.window for task in ledger().due(START + 9 * DAY, 0.0)]

    assert days == sorted(days)
    assert len(days) == 9 * len(AT_ONCE) + 7 * 2 + 3


def test_late_rows_reach_the_windows_that_pool_them() -> None:
    """Rows of day 1 change quality of day 1, drift of days 1-2, the estimate and performance of days 1-3."""
    book = ledger(days=5)
    book.touched([START + DAY], LATE_ROWS)

    assert names(book.due(START + 5 * DAY, 0.0)) == {
        (1, "quality", LATE_ROWS),
        (1, "latency", LATE_ROWS),
        (1, "drift", LATE_ROWS),
        (2, "drift", LATE_ROWS),
        *((day, "estimate", LATE_ROWS) for day in (1, 2, 3)),
        *((1, monitor, LATE_ROWS) for monitor in ("performance", "concept")),
        # the performance of days 2 and 3 was computed less than a day ago, as were the slices of day 3
    }


def test_late_labels_reach_what_needs_the_truth_only() -> None:
    """A label changes no input."""
    book = ledger(days=5)
    book.touched([START + DAY], LATE_LABELS)

    assert names(book.due(START + 9 * DAY, 0.0)) - names(ledger(days=5).due(START + 9 * DAY, 0.0)) == {
        *((day, "performance", LATE_LABELS) for day in (1, 2, 3)),
        (1, "concept", LATE_LABELS),
        (3, "slices", LATE_LABELS),
    }


def test_a_trickle_of_labels_is_computed_once_a_window_length() -> None:
    """Labels that come every hour change a window once a day."""
    book = ledger(days=1)
    computed = 0
    for hour in range(72):
        now = START + 3 * DAY + timedelta(hours=hour)
        book.touched([START], LATE_LABELS)
        for task in book.due(now, 0.0):
            book.computed(task.window, task.monitor, now)
            computed += task.window == window(0) and task.monitor == "performance"

    assert computed == 2


def test_windows_not_yet_computed_are_not_computed_again() -> None:
    """Rows of an open window are no late rows."""
    book = ledger()
    book.touched([START], LATE_ROWS)

    assert {reason for _, _, reason in names(book.due(START + DAY, 0.0))} == {FIRST}


def test_late_data_older_than_the_horizon_change_nothing() -> None:
    """The 61st window back is history."""
    book = ledger(days=HORIZON + 10)
    newest = HORIZON + 9
    book.due(window(newest).end, 0.0)
    book.touched([window(newest - HORIZON - 3).start, window(newest - HORIZON).start], LATE_LABELS)

    days = {day for day, _, reason in names(book.due(window(newest).end, 0.0)) if reason == LATE_LABELS}

    assert min(days) == newest - HORIZON


def test_each_monitor_has_its_own_horizon() -> None:
    """Performance that lags further behind than the horizon still has its failures and its late labels."""
    book = ledger(days=3)
    book.failed(window(3), "performance", 0.0)
    far = HORIZON + 40
    book.computed(window(far), "drift", window(far).end)
    book.due(window(5).end, 0.0)
    book.touched([window(2).start], LATE_LABELS)

    again = names(book.due(window(far).end, 3600.0))

    assert {(2, "performance", LATE_LABELS), (3, "performance", FAILED)} <= again


def test_a_failure_is_tried_again_ever_more_rarely() -> None:
    """After 5 s, then 10 s more, then 20 s more; the next window is not held up."""
    book = ledger()
    book.failed(window(0), "drift", 100.0)

    assert (0, "drift", FAILED) not in names(book.due(START + DAY, 104.9))
    assert (0, "drift", FAILED) in names(book.due(START + DAY, 105.0))
    assert (1, "drift", FIRST) in names(book.due(START + 2 * DAY, 100.0))

    book.failed(window(0), "drift", 105.0)
    assert (0, "drift", FAILED) not in names(book.due(START + DAY, 114.9))
    assert (0, "drift", FAILED) in names(book.due(START + DAY, 115.0))

    book.computed(window(0), "drift", START + DAY)
    assert FAILED not in {reason for _, _, reason in names(book.due(START + DAY, 1000.0))}
