"""What the chart takes: its values, their schema, and the errors for what it cannot use."""

import json
from pathlib import Path
from typing import Any

import helm_python as helm
import pytest
import yaml

CHART = Path(__file__).parents[2] / "helm" / "trimtab"
FLIGHTS = """\
model: flights
task: binary
data:
  inference_log: s3://prod/flights/inference
  labels: s3://prod/flights/labels
"""
EVERYTHING = yaml.safe_load((CHART / "ci" / "flights-values.yaml").read_text("utf-8"))
ROUTED = yaml.safe_load((CHART / "ci" / "gateway-api-values.yaml").read_text("utf-8"))
SCHEMA = json.loads((CHART / "values.schema.json").read_text("utf-8"))


def render(values: dict[str, Any]) -> dict[str, str]:
    """Text of every rendered template, by path."""
    with helm.Chart.load(CHART) as chart:
        return chart.render(values, name="demo", namespace="mon")


def objects(values: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    """Every rendered object, by kind and name."""
    text = [text for path, text in render(values).items() if not path.endswith("NOTES.txt")]
    found = [item for one in text for item in yaml.safe_load_all(one) if item]
    return {(item["kind"], item["metadata"]["name"]): item for item in found}


@pytest.mark.parametrize("values", [{}, EVERYTHING, ROUTED], ids=["defaults", "everything", "gateway_api"])
@pytest.mark.parametrize("kubernetes", ["v1.28.0", "v1.32.0", "v1.36.0"])
def test_lints(values: dict[str, Any], kubernetes: str) -> None:
    """Helm's own linter has nothing against the chart, strictly."""
    report = helm.lint(CHART, values, strict=True, kube_version=kubernetes)

    assert [] == [message for message in report["messages"] if message["severity"] >= 2]
    assert [] == report["errors"]


@pytest.mark.parametrize(
    "values",
    [
        {"modles": {}},
        {"serving": {"replica": 2}},
        {"models": {"flights": {"spec": FLIGHTS, "wieghts": {}}}},
        {"networkPolicy": {"egress": {"kafka": {"ports": [9092], "peers": []}}}},
        {"exporter": {"resources": {"request": {}}}},
    ],
    ids=lambda values: next(iter(values)),
)
def test_unknown_values_are_refused(values: dict[str, Any]) -> None:
    """A misspelt value is an error and not a silent default."""
    with pytest.raises(helm.HelmError, match=r"(?i)additional propert"):
        render(values)


@pytest.mark.parametrize(
    ("values", "key"),
    [
        ({"airflow": {"url": "airflow:8080"}}, "airflow/url"),
        ({"router": {"kind": "istio"}}, "router/kind"),
        ({"receiver": {"replicas": 0}}, "receiver/replicas"),
        ({"payloadReceiver": {"tokenSecret": ""}}, "payloadReceiver/tokenSecret"),
        ({"state": {"accessMode": "ReadOnlyMany"}}, "state/accessMode"),
        ({"state": {"size": "ten"}}, "state/size"),
        ({"results": {"existingSecret": ""}}, "results/existingSecret"),
        ({"models": {"Flights": {"spec": FLIGHTS}}}, "Flights"),
        ({"models": {"flights": {"spec": FLIGHTS, "weights": {"blue": 101, "green": 0}}}}, "weights/blue"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_bad_values_are_refused(values: dict[str, Any], key: str) -> None:
    """A value of the wrong shape is an error that names its key."""
    with pytest.raises(helm.HelmError, match=key):
        render(values)


def test_every_object_of_the_schema_is_closed() -> None:
    """Every object whose keys the schema lists allows no others."""

    def walk(part: Any) -> None:
        if isinstance(part, dict):
            assert "properties" not in part or part.get("additionalProperties") is False, part
            for inner in part.values():
                walk(inner)

    walk(SCHEMA)


def test_every_value_is_in_the_defaults() -> None:
    """Every key that the schema knows stands in values.yaml, where people look for it."""
    defaults = yaml.safe_load((CHART / "values.yaml").read_text("utf-8"))

    def missing(schema: dict[str, Any], values: Any, at: str) -> list[str]:
        properties = schema.get("properties", {})
        gone = [f"{at}{key}" for key in properties if key not in values]
        return gone + [
            name
            for key, inner in properties.items()
            if isinstance(values.get(key), dict) and values[key]
            for name in missing(inner, values[key], f"{at}{key}.")
        ]

    assert ["global"] == missing(SCHEMA, defaults, "")


def test_all_problems_of_the_models_come_at_once() -> None:
    """What a schema cannot say is checked in one go: name, places of the data, weights, guard, gateway."""
    values: dict[str, Any] = {
        "models": {
            "flights": {"spec": FLIGHTS.replace("model: flights", "model: planes")},
            "prices": {"spec": "model: prices\ndata: {inference_log: prices/log, labels: s3://p/labels}"},
            "shares": {"spec": "model: [", "weights": {"blue": 50, "green": 40}},
        },
        "guard": {"enabled": True},
        "gateway": {"enabled": True},
        "payloadReceiver": {"enabled": True},
    }
    with pytest.raises(helm.HelmError) as caught:
        render(values)

    for problem in (
        'models.flights.spec: model must be "flights", the key it stands under; found "planes"',
        "models.prices.spec: data.inference_log must be a URL",
        "models.shares.spec: must be the YAML of a model",
        "models.shares.weights: blue and green must add up to 100",
        "guard.envoyAdminUrl: must be given",
        "gateway.parentRefs: must name a Gateway",
        "payloadReceiver.enabled: must be false where no model's spec has data.payloads",
    ):
        assert problem in str(caught.value)


def test_default_install_has_no_optional_part() -> None:
    """Without being asked, the chart makes nothing that needs a custom resource, and no model server."""
    kinds = {kind for kind, _ in objects({})}

    assert kinds == {
        "ConfigMap",
        "Deployment",
        "NetworkPolicy",
        "PersistentVolumeClaim",
        "Pod",
        "PodDisruptionBudget",
        "Service",
        "ServiceAccount",
    }


def test_a_claim_that_is_there_is_used() -> None:
    """With state.existingClaim no claim is made, and the pods mount that one."""
    made = objects({"state": {"existingClaim": "shared"}})
    pod = made["Deployment", "demo-trimtab-monitor"]["spec"]["template"]["spec"]
    claims = [volume["persistentVolumeClaim"] for volume in pod["volumes"] if volume["name"] == "home"]

    assert [{"claimName": "shared"}] == claims
    assert "PersistentVolumeClaim" not in {kind for kind, _ in made}


def test_switches_turn_things_off() -> None:
    """Budgets and network policies go away when they are switched off."""
    made = objects({"podDisruptionBudget": {"enabled": False}, "networkPolicy": {"enabled": False}})

    assert not {"PodDisruptionBudget", "NetworkPolicy"} & {kind for kind, _ in made}


def test_platform_may_assign_users() -> None:
    """User and group ids can be left to the platform, as OpenShift wants; running as root stays forbidden."""
    nothing: dict[str, Any] = {"security": {"runAsUser": None, "runAsGroup": None, "fsGroup": None}}
    pod = objects(nothing)["Deployment", "demo-trimtab-monitor"]["spec"]["template"]["spec"]

    assert {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}} == pod["securityContext"]


def test_notes_say_what_routes_traffic() -> None:
    """The notes name the secrets to make and are honest about who divides the traffic."""
    plain = render({})["trimtab/templates/NOTES.txt"]
    routed = render(EVERYTHING)["trimtab/templates/NOTES.txt"]

    assert "Nothing yet. Each slot has a Service" in plain
    assert "An HTTPRoute a model divides it" in routed
    assert "workers that may: airflow/airflow-worker" in render(ROUTED)["trimtab/templates/NOTES.txt"]
    assert "trimtab-results (url), trimtab-serving (token), trimtab-receiver (token)" in plain


def test_grpc_is_answered_where_it_is_asked_for() -> None:
    """Off by default; on, each slot listens on 8082, behind its Service, and the gateway may reach it."""
    asked = {**EVERYTHING, "serving": {**EVERYTHING.get("serving", {}), "grpc": True}}
    made, usual = objects(asked), objects(EVERYTHING)
    slots = [name for kind, name in made if kind == "StatefulSet" and name.endswith(("-blue", "-green"))]

    assert slots
    for name in slots:
        (container,) = made["StatefulSet", name]["spec"]["template"]["spec"]["containers"]
        (before,) = usual["StatefulSet", name]["spec"]["template"]["spec"]["containers"]
        assert container["args"] == [*before["args"], "--grpc-port", "8082"]
        opened = {port["name"]: port["containerPort"] for port in container["ports"]}
        reached = {port["targetPort"]: port["port"] for port in made["Service", name]["spec"]["ports"]}
        assert opened == reached == {"http": 8080, "grpc": 8082}
    rules = made["NetworkPolicy", "demo-trimtab-serving"]["spec"]["ingress"]
    assert [[8080], [8080, 8082], [8080], [8080]] == [
        [one["port"] for one in rule["ports"]] for rule in rules
    ]
