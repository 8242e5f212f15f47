"""What a real Prometheus does not know is unknown, and never a zero."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from rollout.evidence import collect
from rollout.prometheus import Prometheus
from spec import SHADOW, ModelSpec, Settings, Unavailable

pytestmark = pytest.mark.service


@pytest.mark.usefixtures("target")
def test_unknown_version_is_unknown(prometheus: Any) -> None:
    """A version that nobody scraped has no counts, which is neither zero nor an error."""
    now = datetime.now(UTC)
    found = collect(prometheus.spec, prometheus.settings, "9", "1", now, now, SHADOW)

    assert (found.errors, found.latency) == (None, None)
    assert any("no fresh count of the requests of version 9" in reason for reason in found.missing)


def test_stale_counters_are_unknown(prometheus: Any, target: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counters that were not scraped lately say nothing about now, however good they were."""
    since = datetime.now(UTC)
    target.now(target.served("2", "true", 310, 3) | target.served("1", "false", 1010, 7))
    monkeypatch.setattr("rollout.counts.FRESH_S", -1.0)

    assert prometheus.collect(since).errors is None


def test_not_a_number_is_unknown(prometheus: Any, target: Any) -> None:
    """A counter that is not a number makes the count unknown."""
    since = datetime.now(UTC)
    target.now(dict.fromkeys(target.served("2", "true", 0, 0), math.nan))
    found = prometheus.collect(since)

    assert found.errors is None
    assert any("not a number" in reason for reason in found.missing)


def test_query_that_prometheus_refuses(prometheus: Any) -> None:
    """A query that is none makes the evidence unknown, with Prometheus's reason."""
    now = datetime.now(UTC)

    with pytest.raises(Unavailable, match="parse error"):
        Prometheus(prometheus.settings.prometheus_url).samples("rate(", now - timedelta(seconds=9), now)


def test_a_prometheus_that_knows_nothing_yet(prometheus: Any) -> None:
    """It answers, so the first scrapes are waited for: the judge is blind after a minute without any."""
    settings, now = prometheus.settings, datetime.now(UTC)
    since = [now - timedelta(seconds=seconds) for seconds in (5, 61)]
    looks = [collect(prometheus.spec, settings, "unheard", "of", began, now, 0.05) for began in since]

    assert [look.errors for look in looks] == [None, None]
    assert [look.blind for look in looks] == [False, True]


def test_prometheus_that_is_gone(tmp_path: Path, spec: ModelSpec) -> None:
    """Without Prometheus nothing is known; with live traffic the judge is blind, even of a young step."""
    env = {"TRIMTAB_HOME": str(tmp_path), "TRIMTAB_PROMETHEUS_URL": "http://127.0.0.1:9"}
    settings, now = Settings.from_env(env), datetime.now(UTC)
    lately, long_ago = now - timedelta(seconds=5), now - timedelta(seconds=61)
    looks = [
        collect(spec, settings, "2", "1", since, now, step)
        for since, step in ((lately, 0.05), (long_ago, 0.05), (long_ago, SHADOW))
    ]

    assert [look.blind for look in looks] == [True, True, False]
    assert all("did not answer" in look.missing[0] for look in looks)
    with pytest.raises(Unavailable, match="did not answer"):
        Prometheus("http://127.0.0.1:9").samples("up", lately, now)
