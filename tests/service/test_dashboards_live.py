"""The dashboards against a real Prometheus that holds two hours of every metric."""

import itertools
import json
import re
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import spec
from dashboards import build, catalogue, queries
from dashboards.catalogue import Metric
from dashboards.queries import panels, substitute

pytestmark = pytest.mark.service

STEP_S, SPAN_S = 15, 7200
VALUES = {
    "model": ("flights", "prices"),
    "version": ("1", "2"),
    "stage": ("champion", "challenger"),
    "revision": ("abc",),
    "feature": ("carrier", "distance"),
    "method": ("wasserstein", "jensenshannon", "correlation"),
    "metric": ("roc_auc", "rmse"),
    "bound": ("lower", "value", "upper"),
    "check": ("null_rate", "volume"),
    "quantile": ("0.5", "0.95", "0.99"),
    "slo": ("availability",),
    "monitor": ("drift", "performance"),
    "outcome": ("ok", "error", "client_error"),
    "slot": ("blue", "green"),
    "shadow": ("true", "false"),
    "process": ("exporter", "monitor"),
    "gpu": ("0", "1"),
    "alertname": ("TrimtabDataDrift",),
    "alertstate": ("firing",),
    "severity": ("critical",),
    "action": ("retrain",),
    "cause": ("performance",),
    "why": ("Labels show harm.",),
    "reason": ("inputs", "relation"),
    "label": ("True",),
    "figure": ("latency_p99", "throughput"),
    "kind": ("jump", "creep"),
    "slice": ("carrier=AA", "carrier=UA"),
    "direction": ("in", "out"),
    "provider": ("cpu",),
    "wanted": ("cpu",),
    "half": ("request", "response"),
    "component": ("cpu", "memory"),
    "currency": ("EUR",),
}
RELATED = {  # only these combinations exist: version 1 is champion in blue, 2 challenger in green
    ("version", "stage"): {("1", "champion"), ("2", "challenger")},
    ("version", "slot"): {("1", "blue"), ("2", "green")},
    ("model", "metric"): {("flights", "roc_auc"), ("prices", "rmse")},
}
TARGETS = {
    "": {"job": "trimtab-exporter", "instance": "e:8000"},
    "blue": {"job": "trimtab-serving", "instance": "b:8080", "model": "flights", "slot": "blue"},
    "green": {"job": "trimtab-serving", "instance": "g:8080", "model": "flights", "slot": "green"},
}
CHOSEN = {"model": "flights", "metric": "roc_auc"}
FLIGHTS = spec.load(Path(__file__).parents[2] / "models" / "flights.yaml")
PAGES = build.generic() | build.of_models([FLIGHTS])


class Prometheus:
    """A Prometheus that only answers: it scrapes nothing."""

    def __init__(self, url: str, start: float, end: float) -> None:
        self.url, self.start, self.end = url, start, end

    def series(self, query: str, *, instant: bool) -> list[dict[str, Any]]:
        """Labels of the series that a query returns, over the whole span or at its end."""
        asked: dict[str, Any] = {"query": query} | (
            {"time": self.end} if instant else {"start": self.start, "end": self.end, "step": 60}
        )
        kind = "query" if instant else "query_range"
        url = f"{self.url}/api/v1/{kind}?{urllib.parse.urlencode(asked)}"
        try:
            with urllib.request.urlopen(url, timeout=30) as answer:
                result = json.load(answer)["data"]["result"]
        except urllib.error.HTTPError as error:
            pytest.fail(f"{query}\n{error.read().decode()}")
        return [one["metric"] for one in result if _has_number(one)]


def _has_number(series: dict[str, Any]) -> bool:
    points = series.get("values") or [series["value"]]
    return any(value != "NaN" for _, value in points)


def _label_sets(metric: Metric) -> Iterator[dict[str, str]]:
    for values in itertools.product(*(VALUES[label] for label in metric.labels)):
        labels = dict(zip(metric.labels, values, strict=True))
        if all(
            pair in allowed
            for (one, other), allowed in RELATED.items()
            if one in labels and other in labels
            for pair in [(labels[one], labels[other])]
        ):
            yield labels


def _value(name: str, kind: str, labels: dict[str, str], at: float, age: float) -> float:
    if name.endswith("timestamp_seconds"):
        return at - 30
    if kind == "counter":
        return age * (1 + len(labels.get("version", "")) + (labels.get("outcome") == "ok"))
    if name.endswith("_performance") and "bound" in labels:
        return 0.8 + 0.01 * VALUES["bound"].index(labels["bound"])
    return 1.0 if name in {"up", "ALERTS"} or name.endswith("_info") else 0.75


def _samples(name: str, metric: Metric, start: float) -> Iterator[str]:
    kind = metric.kind
    yield f"# TYPE {name.removesuffix('_total')} {kind}"
    for labels in _label_sets(metric):
        if name.startswith("process_") or name == "up":
            targets = list(TARGETS.values())
        else:
            targets = [TARGETS[labels.get("slot", "") if "version" in labels else ""]]
        for target in targets:
            text = ",".join(f'{label}="{value}"' for label, value in (target | labels).items())
            for age in range(0, SPAN_S, STEP_S):
                at = start + age
                if kind == "histogram":
                    edges = (("0.01", age), ("0.05", age * 2), ("+Inf", age * 2))
                    yield from (f'{name}_bucket{{{text},le="{le}"}} {count} {at}' for le, count in edges)
                    yield f"{name}_count{{{text}}} {age * 2} {at}"
                    yield f"{name}_sum{{{text}}} {age * 0.02} {at}"
                else:
                    yield f"{name}{{{text}}} {_value(name, kind, labels, at, age)} {at}"


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """A Prometheus with the last two hours of the whole catalogue."""
    folder = tmp_path_factory.mktemp("prometheus")
    start = float(int(time.time()) - SPAN_S)
    lines = [line for name, metric in catalogue.CATALOGUE.items() for line in _samples(name, metric, start)]
    (folder / "samples").write_text("\n".join([*lines, "# EOF\n"]), "utf-8")
    (folder / "config.yml").write_text("global: {}\n", "utf-8")
    backfill = ["promtool", "tsdb", "create-blocks-from", "openmetrics"]
    subprocess.run(
        [*backfill, str(folder / "samples"), str(folder / "data")], check=True, capture_output=True
    )
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    argv = [
        "prometheus",
        f"--config.file={folder / 'config.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with (folder / "log").open("w") as log, subprocess.Popen(argv, stdout=log, stderr=log) as process:
        try:
            _await_ready(f"http://127.0.0.1:{port}/-/ready", process, folder / "log")
            yield Prometheus(f"http://127.0.0.1:{port}", start + 300, start + SPAN_S - STEP_S)
        finally:
            process.terminate()


def _await_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=1):
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.05)
    pytest.fail(log.read_text("utf-8"))


@pytest.mark.parametrize("name", sorted(PAGES))
def test_every_query_returns_data(prometheus: Prometheus, name: str) -> None:
    """With every metric there, no query of a dashboard fails or comes back empty."""
    asked = queries(PAGES[name], CHOSEN)
    empty = [query for query in asked if not prometheus.series(query, instant=False)]

    assert [] == empty


@pytest.mark.parametrize("name", sorted(PAGES))
def test_every_legend_has_its_labels(prometheus: Prometheus, name: str) -> None:
    """Each label that a legend names is on the series, so no line is called after an empty string."""
    known = {"__rate_interval": "1m", "__range": "1h", **CHOSEN}
    wrong = []
    for panel in panels(PAGES[name]):
        for target in panel["targets"]:
            query = substitute(target["expr"], known)
            wanted = set(re.findall(r"{{(\w+)}}", target.get("legendFormat", "")))
            found = prometheus.series(query, instant=target.get("instant", False))
            wrong += [(panel["title"], labels) for labels in found if not wanted <= set(labels)]

    assert [] == wrong


def _named(legend: str, labels: dict[str, str]) -> str:
    return re.sub(r"{{(\w+)}}", lambda match: labels.get(match[1], ""), legend)


@pytest.mark.parametrize("name", sorted(PAGES))
def test_every_line_has_a_name_of_its_own(prometheus: Prometheus, name: str) -> None:
    """No two series of a panel carry the same name: a reader could not tell them apart."""
    known = {"__rate_interval": "1m", "__range": "1h", **CHOSEN}
    for panel in panels(PAGES[name]):
        if panel["type"] in {"table", "heatmap"}:
            continue
        names = [
            _named(target["legendFormat"], labels)
            for target in panel["targets"]
            for labels in prometheus.series(
                substitute(target["expr"], known), instant=target.get("instant", False)
            )
        ]

        assert sorted(set(names)) == sorted(names), panel["title"]


def test_overview_has_one_row_a_model(prometheus: Prometheus) -> None:
    """The overview's table joins its columns on the model: every column knows every model."""
    table = next(panel for panel in panels(PAGES["trimtab-all-models.json"]) if panel["type"] == "table")
    for target in table["targets"]:
        query = substitute(target["expr"], {"__rate_interval": "1m", "__range": "1h", "model": ".+"})
        found = [labels["model"] for labels in prometheus.series(query, instant=True)]

        assert ["flights", "prices"] == sorted(found), query
