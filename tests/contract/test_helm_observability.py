"""How the chart is watched and reached: scraping, rules, dashboards, routes, and its own test."""

import json
import subprocess
from pathlib import Path
from typing import Any

import helm_python as helm
import yaml

from dashboards import lint

CHART = Path(__file__).parents[2] / "helm" / "trimtab"
Made = list[dict[str, Any]]


def _render() -> Made:
    values = yaml.safe_load((CHART / "ci" / "flights-values.yaml").read_text("utf-8"))
    with helm.Chart.load(CHART) as chart:
        rendered = chart.render(values, name="demo", namespace="mon")
    text = [text for path, text in rendered.items() if not path.endswith("NOTES.txt")]
    return [item for one in text for item in yaml.safe_load_all(one) if item]


FULL = _render()


def of_kind(made: Made, kind: str) -> Made:
    """The objects of a kind."""
    return [item for item in made if item["kind"] == kind]


def named(made: Made, kind: str, name: str) -> dict[str, Any]:
    """The one object of a kind and a name."""
    (found,) = [item for item in of_kind(made, kind) if item["metadata"]["name"] == name]
    return found


def selects(selector: dict[str, str], labels: dict[str, str]) -> bool:
    """Whether matchLabels find an object with these labels."""
    return selector.items() <= labels.items()


def test_service_monitors_find_their_services() -> None:
    """Every ServiceMonitor has the operator's shape, finds Services, and scrapes a port that they have."""
    monitors = of_kind(FULL, "ServiceMonitor")
    jobs = set()
    for item in monitors:
        assert item["apiVersion"] == "monitoring.coreos.com/v1"
        assert set(item["spec"]) == {"namespaceSelector", "selector", "endpoints"}
        assert item["metadata"]["labels"]["release"] == "kube-prometheus-stack"
        selector = item["spec"]["selector"]["matchLabels"]
        services = [s for s in of_kind(FULL, "Service") if selects(selector, s["metadata"]["labels"])]
        assert services
        (endpoint,) = item["spec"]["endpoints"]
        assert set(endpoint) <= {"port", "path", "interval", "honorLabels", "relabelings"}
        assert all(endpoint["port"] in {p["name"] for p in s["spec"]["ports"]} for s in services)
        jobs |= {r["replacement"] for r in endpoint["relabelings"] if r["targetLabel"] == "job"}

    assert {"trimtab-serving", "trimtab-exporter", "trimtab-receiver", "trimtab-payloads"} == jobs


def test_slots_carry_the_labels_that_are_scraped() -> None:
    """Model and slot reach Prometheus as target labels, from labels that every slot's Service has."""
    (endpoint,) = named(FULL, "ServiceMonitor", "demo-trimtab-serving")["spec"]["endpoints"]
    sources = {r["targetLabel"]: r["sourceLabels"] for r in endpoint["relabelings"] if "sourceLabels" in r}
    labels = named(FULL, "Service", "demo-trimtab-flights-green")["metadata"]["labels"]

    assert endpoint["honorLabels"] is True
    assert {
        "model": ["__meta_kubernetes_service_label_trimtab_model"],
        "slot": ["__meta_kubernetes_service_label_trimtab_slot"],
    } == sources
    assert ("flights", "green") == (labels["trimtab/model"], labels["trimtab/slot"])


def test_rules_are_the_repositorys(tmp_path: Path) -> None:
    """Rendered rules pass promtool, and are those of the repository with runbooks, less the disabled ones."""
    groups = [group for item in of_kind(FULL, "PrometheusRule") for group in item["spec"]["groups"]]
    source = [
        rule
        for file in sorted((CHART / "rules").glob("*.yaml"))
        for group in yaml.safe_load(file.read_text("utf-8"))["groups"]
        for rule in group["rules"]
    ]
    made = [rule for group in groups for rule in group["rules"]]
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": groups}), "utf-8")

    assert [rule["expr"] for rule in source if rule.get("alert") != "TrimtabGatewayDown"] == [
        r["expr"] for r in made
    ]
    for rule in made:
        if "alert" in rule:
            link = f"https://example.com/runbooks/{rule['alert']}.md"
            assert link == rule["annotations"].pop("runbook_url")
            assert rule in source
    subprocess.run(
        ["promtool", "check", "rules", str(tmp_path / "rules.yaml")], check=True, capture_output=True
    )


def test_dashboards_link_to_the_values_urls() -> None:
    """The packed dashboards are clean, fit a ConfigMap, and link to Airflow and MLflow of the values."""
    item = named(FULL, "ConfigMap", "demo-trimtab-dashboards")

    assert "1" == item["metadata"]["labels"]["grafana_dashboard"]
    assert {"trimtab-all-models.json", "trimtab-any-model.json"} == set(item["data"])
    assert sum(map(len, item["data"].values())) < 1_000_000
    for text in item["data"].values():
        page = json.loads(text)
        urls = {v["name"]: v["query"] for v in page["templating"]["list"] if v["type"] == "constant"}
        assert [] == lint(page)
        assert {"airflow": "https://airflow.example.com", "mlflow": "https://mlflow.example.com"} == urls


def test_routes_weigh_the_two_slots() -> None:
    """Each HTTPRoute sends a model's paths, and nothing else, to its two Services by weight."""
    route = named(FULL, "HTTPRoute", "demo-trimtab-flights-route")
    (rule,) = route["spec"]["rules"]
    services = {item["metadata"]["name"] for item in of_kind(FULL, "Service")}

    assert "gateway.networking.k8s.io/v1" == route["apiVersion"]
    assert {"parentRefs", "hostnames", "rules"} == set(route["spec"])
    assert [{"path": {"type": "PathPrefix", "value": "/v2/models/flights"}}] == rule["matches"]
    assert [75, 25] == [backend["weight"] for backend in rule["backendRefs"]]
    assert all(backend["name"] in services and backend["port"] == 8080 for backend in rule["backendRefs"])


def test_first_champion_has_all_traffic() -> None:
    """Without weights all traffic goes to blue, where the champion starts."""
    (route,) = [item for item in of_kind(FULL, "HTTPRoute") if "price" in item["metadata"]["name"]]

    assert [100, 0] == [backend["weight"] for backend in route["spec"]["rules"][0]["backendRefs"]]


def test_helm_test_asks_every_service() -> None:
    """`helm test` asks each server of the release once, at an address that exists."""
    pod = named(FULL, "Pod", "demo-trimtab-answers")
    hosts = {url.split("/")[2].split(":")[0] for url in pod["spec"]["containers"][0]["args"]}

    assert "test" == pod["metadata"]["annotations"]["helm.sh/hook"]
    assert {item["metadata"]["name"] for item in of_kind(FULL, "Service")} == hosts
