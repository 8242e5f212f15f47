"""What a user's own metrics and a limit of memory read from a real Prometheus."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import pytest

from rollout.evidence import collect
from rollout.observations import Share

pytestmark = pytest.mark.service
RATIO = (
    "metrics: [{name: booked, kind: ratio, promql: 'booked{slot=\"{slot}\"}', of: 'seen{slot=\"{slot}\"}', "
)
BOUNDED = "metrics: [{name: basket, kind: bounded, promql: 'basket{version=\"{version}\"}', between: [0, 9], "


def test_ratio_of_each_arm(prometheus: Any, target: Any) -> None:
    """A ratio's counters are read for each slot; what is better higher is counted by its misses."""
    spec = prometheus.asking(RATIO + "better: higher, margin: 1%}]")
    names = [f'{name}{{slot="{slot}"}}' for name in ("booked", "seen") for slot in ("green", "blue")]
    target.now(dict.fromkeys(names, 0))
    since = datetime.now(UTC)
    target.now(dict(zip(names, (10, 50, 100, 200), strict=True)))
    (found,) = collect(spec, prometheus.settings, "2", "1", since, since, 0.5).metrics

    assert found.arms is not None
    assert (found.arms.challenger, found.arms.champion) == (Share(hits=90, of=100), Share(hits=150, of=200))


@pytest.mark.usefixtures("target")
def test_a_query_without_an_answer_is_unknown(prometheus: Any) -> None:
    """A query that no series answers is not known, whatever its kind, and says which one it was."""
    since = datetime.now(UTC)
    for gates in (RATIO.replace("booked{", "typo{"), BOUNDED.replace("basket{", "typo{")):
        spec = prometheus.asking(gates + "better: lower, margin: 1%}]")
        found = collect(spec, prometheus.settings, "2", "1", since, datetime.now(UTC), 0.5)
        assert found.metrics == ()
        assert any("fresh" in reason for reason in found.missing[-1:])


@pytest.mark.parametrize(
    ("ours", "more", "reason"),
    [
        (4.0, {}, ""),
        (math.nan, {}, "no fresh answer of both"),
        (10.0, {}, "was 10, which is not between 0 and 9"),
        (4.0, {'basket{version="2",shop="a"}': 4.0}, "must answer with one series"),
    ],
)
def test_bounded_values_of_each_arm(
    prometheus: Any, target: Any, ours: float, more: dict[str, float], reason: str
) -> None:
    """A bounded metric is compared at equal times; no number, out of bounds or several is not known."""
    spec = prometheus.asking(BOUNDED + "better: lower, margin: 1, every: 200ms}]")
    target.now({'basket{version="2"}': ours, 'basket{version="1"}': 3.0} | more)
    since = datetime.now(UTC)
    target.now({})
    found = collect(spec, prometheus.settings, "2", "1", since, since, 0.5)

    assert [value.worse[-1] for value in found.metrics] == ([1.0] if not reason else [])
    assert reason in "".join(found.missing[-1:])


def test_memory_of_the_challengers_server(prometheus: Any, target: Any) -> None:
    """Resident memory is read by scrape for the challenger's slot alone."""
    name = 'process_resident_memory_bytes{{model="flights",slot="{}"}}'
    target.now({name.format("green"): 5e6, name.format("blue"): 9e9})
    since = datetime.now(UTC)
    target.now({})
    found = collect(prometheus.asking("memory: 1GB"), prometheus.settings, "2", "1", since, since, 0.5)

    assert found.usage is not None
    assert set(found.usage.memory) == {5e6}
