"""Truth that stops to come is told by the newest windows, and truth that is only late, or little, is not."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from monitors.labelled import NEWEST_LABELS
from monitors.results.records import Measurement, WindowResult
from monitors.triage.coverage import missing_labels
from monitors.triage.evidence import Evidence
from spec import loads

DAY = timedelta(days=1)
START = datetime(2024, 1, 1, tzinfo=UTC)
SPEC = loads("""
model: shop
task: binary
data: {inference_log: a, labels: b, id: id, time: t, target: {name: y, delay: 1d}}
features: {amount: numeric}
""")


def evidence(shares: Sequence[float], *, rows: int = 300, took: float = 1.0, lag: float = 1.0) -> Evidence:
    """Days of so much truth, which usually took `took` days; the newest ended `lag` days ago."""
    results = []
    for day, share in enumerate(shares):
        start = START + day * DAY
        numbers = (
            Measurement(NEWEST_LABELS, share, n=rows),
            Measurement("label_delay_seconds", took * 86_400, method="p95", n=rows),
        )
        results.append(result("performance", start, numbers))
    results.append(result("quality", START + (len(shares) + lag - 1) * DAY, ()))
    return Evidence.of("1", results)


def result(monitor: str, start: datetime, numbers: tuple[Measurement, ...]) -> WindowResult:
    """A sound window."""
    return WindowResult(
        "shop", "1", monitor, start, start + DAY, 300, "ok", numbers,  # type: ignore[arg-type]
        computed_at=start, duration_s=0.0, reference=None, code_revision="x",
    )  # fmt: skip


def test_two_days_without_truth_are_told() -> None:
    """One day may be an accident; two in a row, that are due, are not, and tell what came of the newest."""
    assert missing_labels(SPEC, evidence([1.0] * 14 + [0.0])) is None
    told = missing_labels(SPEC, evidence([1.0] * 14 + [0.0, 0.03]))
    assert told is not None
    assert told.value == pytest.approx(0.03)


def test_truth_that_comes_again_ends_it() -> None:
    """The newest day with its truth is enough."""
    assert missing_labels(SPEC, evidence([1.0] * 14 + [0.0, 0.0, 0.0, 0.9])) is None


@pytest.mark.parametrize(("lag", "missing"), [(2.9, False), (3.0, True)])
def test_truth_that_is_not_due_is_not_missed(lag: float, missing: bool) -> None:
    """Where truth took three days so far, the newest days may be without it for as long."""
    late = evidence([1.0] * 14 + [0.0, 0.0], took=3.0, lag=lag)

    assert (missing_labels(SPEC, late) is not None) == missing


@pytest.mark.parametrize(
    ("usual", "newest", "rows", "missing"),
    [
        (0.1, 0.02, 100, False),
        (0.1, 0.01, 3000, True),
        (0.9, 0.5, 300, False),
        (0.9, 0.2, 300, True),
        (0.0, 0.0, 300, False),
    ],
)
def test_little_truth_is_held_against_what_is_usual(
    usual: float,
    newest: float,
    rows: int,
    missing: bool,
) -> None:
    """Less than half of what is usual is too little, where there are rows enough to be sure."""
    told = missing_labels(SPEC, evidence([usual] * 14 + [newest] * 2, rows=rows))

    assert (told is not None) == missing


def test_a_young_version_is_not_accused() -> None:
    """With six days nothing is usual yet; with seven it is."""
    assert missing_labels(SPEC, evidence([1.0] * 6 + [0.0, 0.0])) is None
    assert missing_labels(SPEC, evidence([1.0] * 7 + [0.0, 0.0])) is not None
