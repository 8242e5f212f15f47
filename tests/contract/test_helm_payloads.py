"""The chart's receivers of KServe's payloads: which models get one, what it keeps, who reaches it."""

from pathlib import Path
from typing import Any

import helm_python as helm
import pytest
import yaml

from spec import Settings, loads

CHART = Path(__file__).parents[2] / "helm" / "trimtab"
VALUES = yaml.safe_load((CHART / "ci" / "flights-values.yaml").read_text("utf-8"))
ROUTED = yaml.safe_load((CHART / "ci" / "gateway-api-values.yaml").read_text("utf-8"))
ASKS = "price_of_used_cars_by_region_and_season_v2"
Objects = dict[str, dict[str, Any]]


def render(values: dict[str, Any]) -> dict[str, str]:
    """Text of every rendered template, by path."""
    with helm.Chart.load(CHART) as chart:
        return chart.render(values, name="demo", namespace="mon")


def payloads(values: dict[str, Any]) -> Objects:
    """Objects of the component, by kind; one of each."""
    text = [text for path, text in render(values).items() if not path.endswith("NOTES.txt")]
    items = [item for one in text for item in yaml.safe_load_all(one) if item]
    component = "app.kubernetes.io/component"
    found = [item for item in items if item["metadata"].get("labels", {}).get(component) == "payloads"]
    assert len({item["kind"] for item in found}) == len(found)
    return {item["kind"]: item for item in found}


MADE = payloads(VALUES)


def container() -> dict[str, Any]:
    """The receiver's container."""
    (found,) = MADE["StatefulSet"]["spec"]["template"]["spec"]["containers"]
    return dict(found)


def test_only_a_model_that_asks_gets_one() -> None:
    """Of two models the one with `data.payloads` has a receiver, told its model."""
    assert set(MADE) == {"StatefulSet", "Service", "ServiceAccount", "NetworkPolicy", "ServiceMonitor"}
    assert MADE["StatefulSet"]["metadata"]["labels"]["trimtab/model"] == ASKS
    assert container()["args"] == ["payload-receiver", ASKS, "--host", "0.0.0.0", "--port", "8000"]  # noqa: S104


@pytest.mark.parametrize("text", ["", "payloads: null", "payloads: {}"])
def test_nothing_is_made_unless_both_ask(text: str) -> None:
    """Switched off, no key of a model makes a receiver; without the key the switch is an error."""
    spec = f"model: tides\ndata:\n  inference_log: s3://t/log\n  labels: s3://t/labels\n  {text}\n"
    models: dict[str, Any] = {"models": {"tides": {"spec": spec}}}

    assert payloads(models) == {}
    if text == "payloads: {}":
        assert "StatefulSet" in payloads(models | {"payloadReceiver": {"enabled": True}})
    else:
        with pytest.raises(helm.HelmError, match=r"payloadReceiver.enabled: must be false"):
            render(models | {"payloadReceiver": {"enabled": True}})


def test_what_was_taken_outlives_the_pod() -> None:
    """The home is a claim of its own, of the size and class asked for; the shared state is not mounted."""
    (claim,) = MADE["StatefulSet"]["spec"]["volumeClaimTemplates"]
    pod = MADE["StatefulSet"]["spec"]["template"]["spec"]
    mounts = {mount["name"]: mount["mountPath"] for mount in container()["volumeMounts"]}

    assert (claim["metadata"]["name"], mounts["home"]) == ("home", "/var/lib/trimtab")
    assert claim["spec"]["storageClassName"] == "fast"
    assert claim["spec"]["resources"]["requests"]["storage"] == "5Gi"
    assert {volume["name"] for volume in pod["volumes"]} == {"tmp", "models", "secrets"}


def test_one_process_is_given_time_to_commit() -> None:
    """A file has one writer, and its end is longer than the 20 s that Delta is given."""
    assert MADE["StatefulSet"]["spec"]["replicas"] == 1
    assert MADE["StatefulSet"]["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] > 20


def test_it_finds_its_secret_and_its_service() -> None:
    """The token's file is where the settings look, and the YAML names the InferenceService."""
    files = {item["name"]: item["value"] for item in container()["env"] if item["name"].endswith("_FILE")}
    settings = Settings.from_env({"TRIMTAB_HOME": "/var/lib/trimtab"} | files)
    model = loads(VALUES["models"][ASKS]["spec"])

    assert settings.payload_token_file == Path("/run/secrets/trimtab/payload-token")
    assert model.data.payloads is not None
    assert (model.data.payloads.service, model.data.payloads.version) == ("used-cars", "7")


def test_only_predictors_and_prometheus_reach_it() -> None:
    """It is reached by the pods that log, by Prometheus and by the release's test; it reaches the store."""
    policy = MADE["NetworkPolicy"]["spec"]
    peers = [rule.get("from") for rule in policy["ingress"]]
    named = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "models"}}}]

    assert [[8000]] * 3 == [[port["port"] for port in rule["ports"]] for rule in policy["ingress"]]
    assert named in peers
    assert [[443]] == [[port["port"] for port in rule["ports"]] for rule in policy["egress"]]


def test_prometheus_knows_whose_it_is() -> None:
    """The job is the one that rules know; the model is the Service's, the log's slot the series'."""
    (endpoint,) = MADE["ServiceMonitor"]["spec"]["endpoints"]
    targets = {item["targetLabel"]: item.get("replacement") for item in endpoint["relabelings"]}

    assert endpoint["honorLabels"] is True
    assert targets == {"job": "trimtab-payloads", "model": None}
    assert MADE["Service"]["metadata"]["labels"]["trimtab/model"] == ASKS


def test_the_notes_tell_the_loggers_address() -> None:
    """What stands in the InferenceService is told with the name of the Service, and no secret."""
    name = MADE["Service"]["metadata"]["name"]
    notes = render(VALUES)["trimtab/templates/NOTES.txt"]

    assert f"{ASKS}: http://kserve:TOKEN@{name}.mon.svc:8000/" in notes
    assert "kserve:TOKEN" not in render(ROUTED)["trimtab/templates/NOTES.txt"]
