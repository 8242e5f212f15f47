"""What `trimtab up` makes of a model whose payloads KServe logs."""

import base64
import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

import spec
from monitors.tables import inference_log
from trimtab.stack import Stack, prepare

TIDES = """
model: tides
task: binary
data:
  inference_log: tides/log
  labels: tides/labels
  id: id
  time: at
  target: {name: late}
  payloads: {service: high-tides, version: 7}
features: {depth: numeric, spring: boolean, port: categorical}
"""
NAME = "tides-payloads"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A prepared stack of two models, one of which has payloads; nothing of it is left at the end."""
    folder = tmp_path_factory.mktemp("payloads")
    (folder / "models").mkdir()
    (folder / "models" / "tides.yaml").write_text(TIDES)
    plain = TIDES.replace("model: tides", "model: blue").replace("  payloads", "  # payloads")
    (folder / "models" / "blue.yaml").write_text(plain)
    made = prepare(folder / "home", folder / "models", announce=lambda _: None)
    yield made
    made.stop()


def deliver(stack: Stack, kind: str, body: object) -> int:
    """Deliver an event as KServe's logger does: the credential is that of its URL."""
    (door,) = (door for door in stack.doors() if door.name == NAME)
    login = f"{door.user}:{Path(door.password_file).read_text()}".encode()
    about = {
        "Ce-Specversion": "1.0", "Ce-Id": "one", "Ce-Source": "http://localhost:9081/",
        "Ce-Type": f"org.kubeflow.serving.inference.{kind}", "Ce-Inferenceservicename": "high-tides",
        "Content-Type": "application/json", "Authorization": f"Basic {base64.b64encode(login).decode()}",
    }  # fmt: skip
    with urllib.request.urlopen(urllib.request.Request(door.url, json.dumps(body).encode(), about)) as answer:
        return int(answer.status)


def test_only_a_model_that_asks_gets_a_receiver(stack: Stack) -> None:
    """One process, one port, one job of Prometheus, whose targets are known by their model."""
    scraped = yaml.safe_load((stack.home / "prometheus" / "prometheus.yml").read_text())
    jobs = {job["job_name"]: job for job in scraped["scrape_configs"]}
    at = stack.url(NAME).removeprefix("http://")

    assert [name for name in stack.processes if "payload" in name] == [NAME]
    assert [name for name in stack.ports if "payload" in name] == [NAME]
    assert set(stack.settings.slots) == {"tides", "blue"}
    assert jobs["trimtab-payloads"]["static_configs"] == [{"targets": [at], "labels": {"model": "tides"}}]


@pytest.mark.service
def test_what_is_delivered_at_its_door_is_a_row(stack: Stack) -> None:
    """With the password that `up` shows, under the name and with the version of the YAML."""
    stack.start([NAME])
    stack.wait_ready(60, [NAME])
    delivered = [
        deliver(stack, "request", {"instances": [[2.5, True, "Brest"]]}),
        deliver(stack, "response", {"predictions": [[0.75, 0.25]]}),
    ]
    stack.stop()
    rows = inference_log.read(stack.specs["tides"], spec.Settings.from_env(stack.environment())).to_pylist()

    assert delivered == [200, 200]
    assert [(row["prediction_id"], row["version"], *row["scores"]) for row in rows] == [("one", "7", 0.25)]
