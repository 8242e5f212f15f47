from __future__ import annotations

import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from alerts import alertmanager, prometheus
from alerts.alertmanager import Slack, Timing
from alerts.prometheus import Target, Targets
from alerts.rules import rule_files
from monitors.quality import FAULTS
from spec import InputError, ModelSpec, loads


def model(name: str, channel: str) -> ModelSpec:
    """Make a small spec that tells a channel."""
    return loads(
        f"{{model: {name}, task: binary, features: {{x: numeric}}, notify: {{slack: '{channel}'}}, "
        "data: {inference_log: a, labels: b, id: id, time: t, target: {name: y}}}"
    )


SPECS = {"flights": model("flights", "#ml-flights"), "fares": model("fares", "#ml-fares")}
SLACK = Slack(url="http://127.0.0.1:9/services/x")


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run amtool or promtool; its findings are in the output."""
    return subprocess.run([*map(str, arguments)], capture_output=True, text=True, check=False, timeout=60)


def routed(**changed: Any) -> dict[str, Any]:
    """Make Alertmanager's configuration."""
    options = {"receiver_url": "http://127.0.0.1:9", "receiver_token_file": Path("token"), "slack": SLACK}
    return alertmanager.config(SPECS, **(options | changed))


def written(folder: Path, content: dict[str, Any]) -> Path:
    """Write a configuration as YAML."""
    path = folder / "config.yml"
    path.write_text(yaml.safe_dump(content, sort_keys=False), "utf-8")
    return path


REPLAY = Timing(*(timedelta(milliseconds=ms) for ms in (100, 1500, 60_000, 3000)))


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"slack": None},
        {"slack": Slack(url_file=Path("slack"))},
        {"watchdog_url": "http://127.0.0.1:9/ping"},
        {"timing": REPLAY},
    ],
    ids=["plain", "no-slack", "slack-file", "watchdog", "replay"],
)
def test_alertmanager_reads_its_configuration(changed: dict[str, Any], tmp_path: Path) -> None:
    """Every choice of the configuration is valid for the Alertmanager that is installed."""
    checked = run("amtool", "check-config", written(tmp_path, routed(**changed)))

    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize(
    ("labels", "receivers"),
    [
        (
            ["alertname=TrimtabRetrainNeeded", "model=flights", "action=retrain"],
            "airflow,people-flights",
        ),
        (["alertname=TrimtabRetrainNeeded", "model=gone", "action=retrain"], "airflow,people"),
        (["alertname=TrimtabDataDrift", "model=fares"], "people-fares"),
        (["alertname=TrimtabExporterDown", "severity=critical"], "people"),
        (["alertname=TrimtabWatchdog", "severity=info"], "watchdog"),
    ],
)
def test_an_alert_reaches_who_must_hear_of_it(labels: list[str], receivers: str, tmp_path: Path) -> None:
    """A retrain is asked for and told of; a model's alert goes to its channel; nothing falls through."""
    config = written(tmp_path, routed())
    tested = run(
        "amtool",
        "config",
        "routes",
        "test",
        f"--config.file={config}",
        f"--verify.receivers={receivers}",
        *labels,
    )

    assert tested.returncode == 0, tested.stdout + tested.stderr


def test_each_model_has_its_channel() -> None:
    """The channel is the one that the model's YAML tells."""
    channels = {entry["name"]: entry["slack_configs"][0]["channel"] for entry in routed()["receivers"][:3]}

    assert channels == {"people": "#ml-alerts", "people-flights": "#ml-flights", "people-fares": "#ml-fares"}


@pytest.mark.parametrize("both", [Slack, lambda: Slack("http://x", Path("file"))])
def test_slack_is_told_one_way(both: Any) -> None:
    """A URL and a file, or neither, is a mistake."""
    with pytest.raises(InputError, match="either url or url_file"):
        both()


TARGETS = Targets(
    exporter=Target("http://127.0.0.1:21092"),
    receiver=Target("https://receiver.example"),
    slots={"flights": {"blue": "http://127.0.0.1:1", "green": "http://127.0.0.1:2"}},
    payloads={"fares": "http://127.0.0.1:3"},
    envoy_admins=["http://127.0.0.1:21081", "http://127.0.0.1:21089"],
    alertmanager=Target("http://127.0.0.1:21093", "trimtab", Path("/dev/null")),
    prometheus=Target("http://127.0.0.1:21090"),
)


def test_prometheus_reads_its_configuration(tmp_path: Path) -> None:
    """The configuration is valid for the Prometheus that is installed, rules included."""
    rules = rule_files(tmp_path / "rules", 72_000)
    config = prometheus.config(TARGETS, rules=rules, interval=timedelta(milliseconds=500))
    checked = run("promtool", "check", "config", written(tmp_path, config))

    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_jobs_have_the_names_that_rules_and_dashboards_use() -> None:
    """Each server is a job; Envoy's metrics have a path of their own; Alertmanager gets its login."""
    jobs = {job["job_name"]: job for job in prometheus.config(TARGETS)["scrape_configs"]}

    ours = {"trimtab-exporter", "trimtab-receiver", "trimtab-serving", "trimtab-payloads", "envoy"}
    assert set(jobs) == ours | {"alertmanager", "prometheus"}
    assert jobs["envoy"]["metrics_path"] == "/stats/prometheus"
    assert jobs["envoy"]["static_configs"] == [{"targets": ["127.0.0.1:21081", "127.0.0.1:21089"]}]
    assert jobs["trimtab-receiver"]["scheme"] == "https"
    assert jobs["alertmanager"]["basic_auth"] == {"username": "trimtab", "password_file": "/dev/null"}


def test_a_slots_labels_stand_on_its_target() -> None:
    """A slot that does not answer is known by model and slot, and its own labels are never renamed."""
    jobs = {job["job_name"]: job for job in prometheus.config(TARGETS)["scrape_configs"]}
    serving = jobs["trimtab-serving"]

    assert serving["honor_labels"] is True
    assert serving["static_configs"] == [
        {"targets": ["127.0.0.1:1"], "labels": {"model": "flights", "slot": "blue"}},
        {"targets": ["127.0.0.1:2"], "labels": {"model": "flights", "slot": "green"}},
    ]


def test_a_payload_receiver_is_known_by_its_model() -> None:
    """One that does not answer says whose payloads are lost; the slot of its log's series is kept."""
    jobs = {job["job_name"]: job for job in prometheus.config(TARGETS)["scrape_configs"]}
    payloads = jobs["trimtab-payloads"]

    assert payloads["honor_labels"] is True
    assert payloads["static_configs"] == [{"targets": ["127.0.0.1:3"], "labels": {"model": "fares"}}]


def test_only_what_exists_is_scraped() -> None:
    """Without slots, gateway and Alertmanager there is no job and no alerting for them."""
    few = Targets(Target("http://a:1"), Target("http://b:2"), slots={})
    config = prometheus.config(few)

    assert [job["job_name"] for job in config["scrape_configs"]] == ["trimtab-exporter", "trimtab-receiver"]
    assert "alerting" not in config


@pytest.mark.parametrize("url", ["127.0.0.1:9090", "ftp://x", "http://x/prefix", ""])
def test_a_target_that_is_no_base_url_is_refused(url: str) -> None:
    """A wrong address is told with what must hold, before Prometheus is started."""
    with pytest.raises(InputError, match="must be a base URL"):
        Target(url)


def test_a_user_without_a_password_is_refused() -> None:
    """A login is whole or not there."""
    with pytest.raises(InputError, match="user and password_file"):
        Target("http://x", user="trimtab")


def test_every_fault_of_the_data_holds_a_retrain_back() -> None:
    """The checks that Alertmanager names are those by which the monitors call data wrong."""
    (rule,) = (rule for rule in routed()["inhibit_rules"] if rule["target_matchers"] == ['action="retrain"'])

    assert f'check=~"{"|".join(sorted(FAULTS))}"' in rule["source_matchers"]
