"""Requests, failures and durations of a step, from a real Prometheus."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rollout.evidence import collect
from rollout.observations import Share
from rollout.prometheus import LOOKBACK, Prometheus, selector
from spec import SHADOW

pytestmark = pytest.mark.service


def test_counts_of_the_step_only(prometheus: Any, target: Any) -> None:
    """In shadow the challenger's mirrored and the champion's live requests of the step are counted."""
    since = datetime.now(UTC)
    target.now(
        target.served("1", "false", 1100, 8)
        | target.served("2", "true", 390, 13)
        | target.served("2", "false", 999, 99)
    )
    target.now(target.timed("2", "true", 180, 191) | target.timed("1", "false", 200, 201))
    found = prometheus.collect(since)

    assert found.errors is not None
    assert found.latency is not None
    assert (found.errors.challenger, found.errors.champion) == (Share(hits=10, of=100), Share(hits=1, of=101))
    assert (found.latency.challenger, found.latency.champion) == (
        Share(hits=10, of=90),
        Share(hits=0, of=100),
    )
    assert (found.errors.mirrored, found.missing, found.blind) == (None, (), False)
    assert found.durations is not None
    assert [slower.edge for slower in found.durations] == [0.025, 0.05]
    assert found.durations[0].arms.challenger == Share(hits=50, of=90)
    assert found.durations[1].arms == found.latency


def test_restart_of_a_server_loses_no_count(prometheus: Any, target: Any) -> None:
    """A counter that starts again from zero goes on counting where it was."""
    since = datetime.now(UTC)
    target.now(target.served("2", "true", 320, 3))
    target.now(target.served("2", "true", 5, 0))
    target.now(target.served("2", "true", 15, 4))
    found = prometheus.collect(since)

    assert found.errors is not None
    assert found.errors.challenger == Share(hits=4, of=39)


def test_first_failure_counts(prometheus: Any, target: Any) -> None:
    """A series that appears with its first failures was zero before, which `increase` would not know."""
    ok, error = target.served("3", "true", 0, 0)
    target.now({ok: 10})
    since = datetime.now(UTC)
    target.now({ok: 20, error: 6})
    found = collect(prometheus.spec, prometheus.settings, "3", "1", since, since, SHADOW)

    assert found.errors is not None
    assert found.errors.challenger == Share(hits=6, of=16)


def test_live_steps_count_live_and_mirrored_apart(prometheus: Any, target: Any) -> None:
    """At 5 % live requests are compared, and the mirrored ones are told beside them."""
    since = datetime.now(UTC)
    target.now(
        target.served("1", "false", 1950, 7)
        | target.served("2", "false", 100, 2)
        | target.served("2", "true", 1300, 3)
    )
    found = prometheus.collect(since, 0.05)

    assert found.errors is not None
    assert found.errors.challenger == Share(hits=0, of=50)
    assert found.errors.champion == Share(hits=0, of=950)
    assert found.errors.mirrored == Share(hits=0, of=1000)


def test_testers_count_for_nobody(prometheus: Any, target: Any) -> None:
    """Requests that chose their version are neither a version's live ones nor its mirrored ones."""
    since = datetime.now(UTC)
    target.now(
        target.served("2", "tester", 0, 500)
        | target.timed("2", "tester", 0, 500)
        | target.served("1", "tester", 70, 0)
    )
    for step in (SHADOW, 0.05, 1.0):
        found = prometheus.collect(since, step)
        assert found.errors is not None
        assert found.latency is not None
        assert (found.errors.challenger.of, found.errors.champion.of) == (0, 0)
        assert (found.latency.challenger.of, found.latency.champion.of) == (0, 0)


def test_at_all_traffic_the_champion_is_the_mirror(prometheus: Any, target: Any) -> None:
    """At 100 % the challenger's live requests are compared with those mirrored to the champion."""
    since = datetime.now(UTC)
    target.now(target.served("2", "false", 150, 2) | target.served("1", "true", 100, 0))
    found = prometheus.collect(since, 1.0)

    assert found.errors is not None
    assert (found.errors.challenger, found.errors.champion) == (Share(hits=0, of=100), Share(hits=0, of=100))


def test_gateway_counts_what_servers_cannot(prometheus: Any, target: Any) -> None:
    """Where the gateway is scraped its counts are taken: a dead server's failures are there only."""
    target.now(target.passed("blue", 10, 0) | target.passed("green", 10, 0))
    since = datetime.now(UTC)
    target.now(target.passed("blue", 105, 0) | target.passed("green", 10, 5))
    found = prometheus.collect(since, 0.05)

    assert found.errors is not None
    assert (found.errors.challenger, found.errors.champion) == (Share(hits=5, of=5), Share(hits=0, of=95))


def test_hidden_retries_count(prometheus: Any, target: Any) -> None:
    """Attempts that failed and were tried again count as failures, though no caller saw one."""
    target.now(target.passed("blue", 10, 0) | target.passed("green", 10, 0))
    since = datetime.now(UTC)
    hidden = {'envoy_cluster_upstream_rq_retry{envoy_cluster_name="flights-green"}': 12.0}
    target.now(target.passed("blue", 105, 0) | target.passed("green", 40, 0) | hidden)
    errors = prometheus.collect(since, 0.05).errors

    assert (errors and errors.challenger) == Share(hits=12, of=42)


@pytest.mark.usefixtures("target")
def test_long_spans_come_in_points(prometheus: Any) -> None:
    """A step of many days is read at coarser points, with the same rise of the counter."""
    end = datetime.now(UTC) + timedelta(seconds=1)
    query = selector("trimtab_predictions_total", version="1", shadow="false", outcome="ok")
    client = Prometheus(prometheus.settings.prometheus_url)
    raw = client.samples(query, end - timedelta(minutes=1), end)
    long_ago = end - timedelta(days=30)
    fine, coarse = (client.samples(query, long_ago, end, coarse=few) for few in (False, True))

    assert raw[0].labels["model"] == "flights"
    assert [one[0].samples[-1][1] for one in (raw, fine, coarse)] == [1000] * 3
    assert raw[0].samples[0][0] >= (end - timedelta(minutes=1) - LOOKBACK).timestamp()
