"""What the chart makes for rollouts that write HTTPRoutes: routes that fit, and rights that just suffice."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import helm_python as helm
import jsonschema
import pytest
import yaml

from rollout.routers.gateway_api import GatewayApiRouter
from rollout.split import Split
from rollout.steps import at_step
from spec import SHADOW, Settings, loads

CHART = Path(__file__).parents[2] / "helm" / "trimtab"
ROUTED = yaml.safe_load((CHART / "ci" / "gateway-api-values.yaml").read_text("utf-8"))
CRD = json.loads((Path(__file__).parents[1] / "data" / "httproute_v1.json").read_text("utf-8"))
ROUTES = "/apis/gateway.networking.k8s.io/v1/namespaces/mon/httproutes"
Cluster = Any


def objects(values: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Every rendered object, by kind."""
    with helm.Chart.load(CHART) as chart:
        rendered = chart.render(values, name="demo", namespace="mon")
    made: dict[str, list[dict[str, Any]]] = {}
    for path, text in rendered.items():
        for item in yaml.safe_load_all(text) if not path.endswith("NOTES.txt") else ():
            if item:
                made.setdefault(item["kind"], []).append(item)
    return made


MADE = objects(ROUTED)


def test_router_drives_what_the_chart_made(cluster: Cluster, accepts: Any) -> None:
    """With the chart's own environment a router finds the chart's routes, and may write them."""
    cluster.controller = accepts
    for route in MADE["HTTPRoute"]:
        jsonschema.validate(route, CRD)
        cluster.put(f"{ROUTES}/{route['metadata']['name']}", route)
    (config,) = [one for one in MADE["ConfigMap"] if one["metadata"]["name"] == "demo-trimtab-environment"]
    account = {"TRIMTAB_KUBERNETES_URL": cluster.url, "TRIMTAB_KUBERNETES_ACCOUNT": str(cluster.account)}
    settings = Settings.from_env(config["data"] | account)
    router = GatewayApiRouter(settings, {"flights": loads(ROUTED["models"]["flights"]["spec"])})
    router.apply("flights", at_step("blue", SHADOW, datetime.now(UTC) + timedelta(minutes=1)))
    (shadowed,) = cluster.objects[f"{ROUTES}/demo-trimtab-flights-route"]["spec"]["rules"]
    router.apply("flights", Split(champion="green"))

    assert "gateway_api" == settings.router
    (mirror,) = [one["requestMirror"] for one in shadowed["filters"] if one["type"] == "RequestMirror"]
    copies = {"name": "demo-trimtab-flights-green", "port": 8081}
    assert copies.items() <= mirror["backendRef"].items()
    (rule,) = cluster.objects[f"{ROUTES}/demo-trimtab-flights-route"]["spec"]["rules"]
    weights = {one["name"]: one["weight"] for one in rule["backendRefs"]}
    assert {"demo-trimtab-flights-blue": 0, "demo-trimtab-flights-green": 100} == weights


def test_role_names_two_verbs_and_these_routes() -> None:
    """One Role: get and patch of the release's own HTTPRoutes, for the guard and the named workers."""
    (role,) = MADE["Role"]
    (binding,) = MADE["RoleBinding"]

    assert role["rules"] == [
        {
            "apiGroups": ["gateway.networking.k8s.io"],
            "resources": ["httproutes"],
            "resourceNames": [route["metadata"]["name"] for route in MADE["HTTPRoute"]],
            "verbs": ["get", "patch"],
        }
    ]
    assert role["metadata"]["name"] == binding["roleRef"]["name"]
    assert {("mon", "demo-trimtab-guard"), ("airflow", "airflow-worker")} == {
        (one["namespace"], one["name"]) for one in binding["subjects"]
    }


def test_copies_have_a_port_of_their_own() -> None:
    """Every slot takes mirrored copies on 8081, behind its Service, and the Gateway may reach both ports."""
    for item in MADE["StatefulSet"]:
        (container,) = item["spec"]["template"]["spec"]["containers"]
        (service,) = [one for one in MADE["Service"] if one["metadata"]["name"] == item["metadata"]["name"]]
        assert {"http": 8080, "copies": 8081} == {
            one["name"]: one["containerPort"] for one in container["ports"]
        }
        assert {"http": 8080, "copies": 8081} == {
            one["targetPort"]: one["port"] for one in service["spec"]["ports"]
        }
    (policy,) = [one for one in MADE["NetworkPolicy"] if one["metadata"]["name"] == "demo-trimtab-serving"]
    opened = [sorted(port["port"] for port in rule["ports"]) for rule in policy["spec"]["ingress"]]
    assert [[8080], [8080, 8081], [8080], [8080]] == opened


def test_no_model_means_no_right() -> None:
    """A release without models has no Role: one that names no routes would be for all of them."""
    made = objects(ROUTED | {"models": {}})

    assert not {"Role", "RoleBinding", "HTTPRoute"} & set(made)


def test_guard_reaches_the_api_server_and_no_envoy() -> None:
    """The guard's network opens to the store and the API server's ports."""
    (policy,) = [one for one in MADE["NetworkPolicy"] if one["metadata"]["name"] == "demo-trimtab-guard"]

    opened = [{port["port"] for port in rule["ports"]} for rule in policy["spec"]["egress"]]
    assert [{5432}, {443, 6443}] == opened


def test_what_a_routed_release_lacks_comes_at_once() -> None:
    """Routes, a guard, and no weights of one's own: all three are told together."""
    flights = ROUTED["models"]["flights"] | {"weights": {"blue": 50, "green": 50}}
    values = {"models": {"flights": flights}, "router": {"kind": "gateway_api"}}
    with pytest.raises(helm.HelmError) as caught:
        objects(values)

    for problem in (
        "models.flights.weights: must be left out where router.kind is gateway_api",
        "gateway.enabled: must be true where router.kind is gateway_api",
        "guard.enabled: must be true where router.kind is gateway_api",
    ):
        assert problem in str(caught.value)
