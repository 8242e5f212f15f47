"""Evidence from a real Prometheus that scrapes a small target."""

import http.server
import json
import math
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from rollout.evidence import collect
from rollout.observations import Evidence, Share
from rollout.prometheus import LOOKBACK, Prometheus, selector
from rollout.steps import Step
from spec import SHADOW, ModelSpec, Settings, Unavailable, loads

pytestmark = pytest.mark.service
HEAD = """
model: flights
task: binary
data: {{inference_log: log, labels: labels, id: id, time: t, target: {{name: late}}}}
features: {{x: numeric}}
rollout: {{gates: {{{gates}}}}}
"""
SPEC: ModelSpec = loads(HEAD.format(gates="latency_p99: 50ms"))
SERVED = 'trimtab_predictions_total{{model="flights",version="{v}",slot="{s}",shadow="{c}",outcome="{o}"}}'
LABELS = '{{model="flights",version="{v}",slot="{s}",shadow="{c}",'
TIMED = "trimtab_prediction_duration_seconds_bucket" + LABELS + 'le="{le}"}}'
PASSED = 'envoy_cluster_upstream_rq_xx{{envoy_cluster_name="flights-{s}",envoy_response_code_class="{k}"}}'


@dataclass
class Target:
    """Counters, served as Prometheus text; `scrapes` counts how often they were read."""

    values: dict[str, float] = field(default_factory=dict)
    scrapes: int = 0
    changed: threading.Condition = field(default_factory=threading.Condition)

    def now(self, values: Mapping[str, float], *, fresh: bool = False) -> None:
        """Change counters (or begin anew, as a restart does) and return once they were scraped."""
        with self.changed:
            self.values = dict(values) if fresh else self.values | values
            seen = self.scrapes
            assert self.changed.wait_for(lambda: self.scrapes >= seen + 2, timeout=20)

    def text(self) -> bytes:
        """Return the exposition and count the scrape."""
        with self.changed:
            self.scrapes += 1
            self.changed.notify_all()
            return "".join(f"{name} {value}\n" for name, value in self.values.items()).encode()


def slots(challenger: str = "2", champion: str = "1") -> dict[str, float]:
    """Champion in blue, challenger in green."""
    info = 'trimtab_slot_info{{model="flights",version="{}",slot="{}"}}'
    return {info.format(champion, "blue"): 1, info.format(challenger, "green"): 1}


def served(version: str, copies: str, ok: int, error: int) -> dict[str, float]:
    """Requests of a version, as its model server counts them."""
    slot = {"1": "blue", "2": "green"}[version]
    names = {outcome: SERVED.format(v=version, s=slot, c=copies, o=outcome) for outcome in ("ok", "error")}
    return {names["ok"]: ok, names["error"]: error}


def timed(version: str, copies: str, fast: int, every: int) -> dict[str, float]:
    """Durations of a version; `fast` within 50 ms."""
    slot = {"1": "blue", "2": "green"}[version]
    counts = {"0.025": fast // 2, "0.05": fast, "+Inf": every}
    return {TIMED.format(v=version, s=slot, c=copies, le=le): count for le, count in counts.items()}


def passed(cluster: str, ok: int, failed: int) -> dict[str, float]:
    """Requests to a cluster, as Envoy counts them."""
    return {PASSED.format(s=cluster, k="2"): ok, PASSED.format(s=cluster, k="5"): failed}


@dataclass
class Scraped:
    """A running Prometheus and its target."""

    target: Target
    settings: Settings

    def collect(self, since: datetime, step: Step = SHADOW) -> Evidence:
        """Collect what was scraped since a wall time."""
        return collect(SPEC, self.settings, "2", "1", since, datetime.now(UTC), step)


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scraped]:
    """Prometheus that scrapes one target five times a second."""
    home, target = tmp_path_factory.mktemp("prometheus"), Target()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            text = target.text()
            self.send_response(200)
            self.send_header("content-type", "text/plain; version=0.0.4")
            self.send_header("content-length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as http.server calls it
            pass

    with ExitStack() as stack:
        server = stack.enter_context(http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler))
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        stack.callback(thread.join)
        stack.callback(server.shutdown)
        url = stack.enter_context(_running(home, server.server_port))
        env = {"TRIMTAB_HOME": str(home), "TRIMTAB_PROMETHEUS_URL": url}
        yield Scraped(target, Settings.from_env(env))


class _running:  # noqa: N801 - a context manager
    def __init__(self, home: Path, target: int) -> None:
        jobs = [{"job_name": "t", "static_configs": [{"targets": [f"127.0.0.1:{target}"]}]}]
        config = {"global": {"scrape_interval": "200ms", "scrape_timeout": "200ms"}, "scrape_configs": jobs}
        (home / "prometheus.yml").write_text(json.dumps(config))
        self._home = home
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._address = f"127.0.0.1:{free.getsockname()[1]}"

    def __enter__(self) -> str:
        flags = {
            "config.file": self._home / "prometheus.yml",
            "storage.tsdb.path": self._home / "data",
            "web.listen-address": self._address,
            "log.level": "error",
        }
        self._process = subprocess.Popen(
            ["prometheus", *(f"--{key}={value}" for key, value in flags.items())]
        )
        deadline = time.monotonic() + 30
        while not self._ready():
            assert self._process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        return f"http://{self._address}"

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(20)

    def _ready(self) -> bool:
        try:
            return httpx.get(f"http://{self._address}/-/ready", timeout=1, trust_env=False).is_success
        except httpx.TransportError:
            return False


@pytest.fixture
def target(prometheus: Scraped) -> Target:
    """The target, with two versions that have served already before the test's step."""
    before = served("1", "false", 1000, 7) | served("1", "true", 0, 0)
    before |= served("2", "true", 300, 3) | served("2", "false", 50, 2)
    for version, copies in (("1", "false"), ("1", "true"), ("2", "false"), ("2", "true")):
        before |= timed(version, copies, 100, 101)
    prometheus.target.now(slots() | before, fresh=True)
    return prometheus.target


def test_counts_of_the_step_only(prometheus: Scraped, target: Target) -> None:
    """In shadow the challenger's mirrored and the champion's live requests of the step are counted."""
    since = datetime.now(UTC)
    target.now(served("1", "false", 1100, 8) | served("2", "true", 390, 13) | served("2", "false", 999, 99))
    target.now(timed("2", "true", 180, 191) | timed("1", "false", 200, 201))
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


def test_restart_of_a_server_loses_no_count(prometheus: Scraped, target: Target) -> None:
    """A counter that starts again from zero goes on counting where it was."""
    since = datetime.now(UTC)
    target.now(served("2", "true", 320, 3))
    target.now(served("2", "true", 5, 0))
    target.now(served("2", "true", 15, 4))
    found = prometheus.collect(since)

    assert found.errors is not None
    assert found.errors.challenger == Share(hits=4, of=39)


def test_first_failure_counts(prometheus: Scraped, target: Target) -> None:
    """A series that appears with its first failures was zero before, which `increase` would not know."""
    ok, error = (SERVED.format(v="3", s="green", c="true", o=outcome) for outcome in ("ok", "error"))
    target.now({ok: 10})
    since = datetime.now(UTC)
    target.now({ok: 20, error: 6})
    found = collect(SPEC, prometheus.settings, "3", "1", since, since, SHADOW)

    assert found.errors is not None
    assert found.errors.challenger == Share(hits=6, of=16)


def test_live_steps_count_live_and_mirrored_apart(prometheus: Scraped, target: Target) -> None:
    """At 5 % live requests are compared, and the mirrored ones are told beside them."""
    since = datetime.now(UTC)
    target.now(served("1", "false", 1950, 7) | served("2", "false", 100, 2) | served("2", "true", 1300, 3))
    found = prometheus.collect(since, 0.05)

    assert found.errors is not None
    assert found.errors.challenger == Share(hits=0, of=50)
    assert found.errors.champion == Share(hits=0, of=950)
    assert found.errors.mirrored == Share(hits=0, of=1000)


def test_testers_count_for_nobody(prometheus: Scraped, target: Target) -> None:
    """Requests that chose their version are neither a version's live ones nor its mirrored ones."""
    since = datetime.now(UTC)
    target.now(served("2", "tester", 0, 500) | timed("2", "tester", 0, 500) | served("1", "tester", 70, 0))
    for step in (SHADOW, 0.05, 1.0):
        found = prometheus.collect(since, step)
        assert found.errors is not None
        assert found.latency is not None
        assert (found.errors.challenger.of, found.errors.champion.of) == (0, 0)
        assert (found.latency.challenger.of, found.latency.champion.of) == (0, 0)


def test_at_all_traffic_the_champion_is_the_mirror(prometheus: Scraped, target: Target) -> None:
    """At 100 % the challenger's live requests are compared with those mirrored to the champion."""
    since = datetime.now(UTC)
    target.now(served("2", "false", 150, 2) | served("1", "true", 100, 0))
    found = prometheus.collect(since, 1.0)

    assert found.errors is not None
    assert (found.errors.challenger, found.errors.champion) == (Share(hits=0, of=100), Share(hits=0, of=100))


def test_gateway_counts_what_servers_cannot(prometheus: Scraped, target: Target) -> None:
    """Where the gateway is scraped its counts are taken: a dead server's failures are there only."""
    target.now(passed("blue", 10, 0) | passed("green", 10, 0))
    since = datetime.now(UTC)
    target.now(passed("blue", 105, 0) | passed("green", 10, 5))
    found = prometheus.collect(since, 0.05)

    assert found.errors is not None
    assert (found.errors.challenger, found.errors.champion) == (Share(hits=5, of=5), Share(hits=0, of=95))


@pytest.mark.usefixtures("target")
def test_unknown_version_is_unknown(prometheus: Scraped) -> None:
    """A version that nobody scraped has no counts, which is neither zero nor an error."""
    found = collect(SPEC, prometheus.settings, "9", "1", datetime.now(UTC), datetime.now(UTC), SHADOW)

    assert (found.errors, found.latency) == (None, None)
    assert any("no fresh count of the requests of version 9" in reason for reason in found.missing)


def test_stale_counters_are_unknown(
    prometheus: Scraped, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counters that were not scraped lately say nothing about now, however good they were."""
    since = datetime.now(UTC)
    target.now(served("2", "true", 310, 3) | served("1", "false", 1010, 7))
    monkeypatch.setattr("rollout.counts.FRESH_S", -1.0)

    assert prometheus.collect(since).errors is None


def test_not_a_number_is_unknown(prometheus: Scraped, target: Target) -> None:
    """A counter that is not a number makes the count unknown."""
    since = datetime.now(UTC)
    target.now(served("2", "true", 310, 3) | {name: float("nan") for name in served("2", "true", 0, 0)})
    found = prometheus.collect(since)

    assert found.errors is None
    assert any("not a number" in reason for reason in found.missing)


@pytest.mark.usefixtures("target")
def test_long_spans_come_in_points(prometheus: Scraped) -> None:
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


def test_query_that_prometheus_refuses(prometheus: Scraped) -> None:
    """A query that is none makes the evidence unknown, with Prometheus's reason."""
    now = datetime.now(UTC)

    with pytest.raises(Unavailable, match="parse error"):
        Prometheus(prometheus.settings.prometheus_url).samples("rate(", now - timedelta(seconds=9), now)


def test_a_prometheus_that_knows_nothing_yet(prometheus: Scraped) -> None:
    """It answers, so the first scrapes are waited for: the judge is blind after a minute without any."""
    settings, now = prometheus.settings, datetime.now(UTC)
    since = [now - timedelta(seconds=seconds) for seconds in (5, 61)]
    looks = [collect(SPEC, settings, "unheard", "of", began, now, 0.05) for began in since]

    assert [look.errors for look in looks] == [None, None]
    assert [look.blind for look in looks] == [False, True]


def test_prometheus_that_is_gone(tmp_path: Path) -> None:
    """Without Prometheus nothing is known; with live traffic the judge is blind, even of a young step."""
    env = {"TRIMTAB_HOME": str(tmp_path), "TRIMTAB_PROMETHEUS_URL": "http://127.0.0.1:9"}
    settings, now = Settings.from_env(env), datetime.now(UTC)
    lately, long_ago = now - timedelta(seconds=5), now - timedelta(seconds=61)
    looks = [
        collect(SPEC, settings, "2", "1", since, now, step)
        for since, step in ((lately, 0.05), (long_ago, 0.05), (long_ago, SHADOW))
    ]

    assert [look.blind for look in looks] == [True, True, False]
    assert all("did not answer" in look.missing[0] for look in looks)
    with pytest.raises(Unavailable, match="did not answer"):
        Prometheus("http://127.0.0.1:9").samples("up", lately, now)


def test_hidden_retries_count(prometheus: Scraped, target: Target) -> None:
    """Attempts that failed and were tried again count as failures, though no caller saw one."""
    target.now(passed("blue", 10, 0) | passed("green", 10, 0))
    since = datetime.now(UTC)
    hidden = {'envoy_cluster_upstream_rq_retry{envoy_cluster_name="flights-green"}': 12.0}
    target.now(passed("blue", 105, 0) | passed("green", 40, 0) | hidden)
    errors = prometheus.collect(since, 0.05).errors

    assert (errors and errors.challenger) == Share(hits=12, of=42)


def asking(gates: str) -> ModelSpec:
    """The model, with more gates."""
    return SPEC.model_copy(update={"rollout": loads(HEAD.format(gates=gates)).rollout})


RATIO = (
    "metrics: [{name: booked, kind: ratio, promql: 'booked{slot=\"{slot}\"}', of: 'seen{slot=\"{slot}\"}', "
)
BOUNDED = "metrics: [{name: basket, kind: bounded, promql: 'basket{version=\"{version}\"}', between: [0, 9], "


def test_ratio_of_each_arm(prometheus: Scraped, target: Target) -> None:
    """A ratio's counters are read for each slot; what is better higher is counted by its misses."""
    spec = asking(RATIO + "better: higher, margin: 1%}]")
    names = [f'{name}{{slot="{slot}"}}' for name in ("booked", "seen") for slot in ("green", "blue")]
    target.now(dict.fromkeys(names, 0))
    since = datetime.now(UTC)
    target.now(dict(zip(names, (10, 50, 100, 200), strict=True)))
    (found,) = collect(spec, prometheus.settings, "2", "1", since, since, 0.5).metrics

    assert found.arms is not None
    assert (found.arms.challenger, found.arms.champion) == (Share(hits=90, of=100), Share(hits=150, of=200))


@pytest.mark.usefixtures("target")
def test_a_query_without_an_answer_is_unknown(prometheus: Scraped) -> None:
    """A query that no series answers is not known, whatever its kind, and says which one it was."""
    since = datetime.now(UTC)
    for gates in (RATIO.replace("booked{", "typo{"), BOUNDED.replace("basket{", "typo{")):
        spec = asking(gates + "better: lower, margin: 1%}]")
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
    prometheus: Scraped, target: Target, ours: float, more: dict[str, float], reason: str
) -> None:
    """A bounded metric is compared at equal times; no number, out of bounds or several is not known."""
    spec = asking(BOUNDED + "better: lower, margin: 1, every: 200ms}]")
    target.now({'basket{version="2"}': ours, 'basket{version="1"}': 3.0} | more)
    since = datetime.now(UTC)
    target.now({})
    found = collect(spec, prometheus.settings, "2", "1", since, since, 0.5)

    assert [value.worse[-1] for value in found.metrics] == ([1.0] if not reason else [])
    assert reason in "".join(found.missing[-1:])


def test_memory_of_the_challengers_server(prometheus: Scraped, target: Target) -> None:
    """Resident memory is read by scrape for the challenger's slot alone."""
    name = 'process_resident_memory_bytes{{model="flights",slot="{}"}}'
    target.now({name.format("green"): 5e6, name.format("blue"): 9e9})
    since = datetime.now(UTC)
    target.now({})
    found = collect(asking("memory: 1GB"), prometheus.settings, "2", "1", since, since, 0.5)

    assert found.usage is not None
    assert set(found.usage.memory) == {5e6}
