"""What the chart makes: valid, restricted, and wired to each other."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import helm_python as helm
import kubernetes_validate
import pytest
import yaml

from spec import SLOTS, Settings, loads

CHART = Path(__file__).parents[2] / "helm" / "trimtab"
VALUES: dict[str, dict[str, Any]] = {
    "defaults": {},
    "everything": yaml.safe_load((CHART / "ci" / "flights-values.yaml").read_text("utf-8")),
    "gateway_api": yaml.safe_load((CHART / "ci" / "gateway-api-values.yaml").read_text("utf-8")),
}
KUBERNETES = ["1.28", "1.31", "1.33", "1.35", "1.37"]  # the chart's oldest to the newest, with gaps for speed
CUSTOM = {"ServiceMonitor", "PrometheusRule", "HTTPRoute"}
LONG = "price_of_used_cars_by_region_and_season_v2"
Made = list[dict[str, Any]]


def _render(values: dict[str, Any], name: str = "demo") -> Made:
    with helm.Chart.load(CHART) as chart:
        rendered = chart.render(values, name=name, namespace="mon")
    text = [text for path, text in rendered.items() if not path.endswith("NOTES.txt")]
    return [item for one in text for item in yaml.safe_load_all(one) if item]


MADE = {name: _render(values) for name, values in VALUES.items()}
FULL = MADE["everything"]


@pytest.fixture(params=sorted(MADE))
def made(request: pytest.FixtureRequest) -> Made:
    """All objects of an install, with the defaults and with everything on."""
    return MADE[request.param]


def of_kind(made: Made, *kinds: str) -> Made:
    """The objects of these kinds."""
    return [item for item in made if item["kind"] in kinds]


def named(made: Made, kind: str, name: str) -> dict[str, Any]:
    """The one object of a kind and a name."""
    (found,) = [item for item in of_kind(made, kind) if item["metadata"]["name"] == name]
    return found


def slots(made: Made) -> Made:
    """The sets of model servers."""
    return [item for item in of_kind(made, "StatefulSet") if "trimtab/slot" in item["metadata"]["labels"]]


def pods(made: Made) -> Iterator[tuple[str, dict[str, str], dict[str, Any]]]:
    """(owner's name, labels, spec) of every pod."""
    for item in of_kind(made, "Deployment", "StatefulSet"):
        template = item["spec"]["template"]
        yield item["metadata"]["name"], template["metadata"]["labels"], template["spec"]
    for item in of_kind(made, "Pod"):
        yield item["metadata"]["name"], item["metadata"]["labels"], item["spec"]


def selects(selector: dict[str, str], labels: dict[str, str]) -> bool:
    """Whether matchLabels find an object with these labels."""
    return selector.items() <= labels.items()


@pytest.mark.parametrize("version", KUBERNETES)
def test_kubernetes_knows_every_object(made: Made, version: str) -> None:
    """Every built-in object is valid in every supported version, with no unknown field."""
    for item in made:
        if item["kind"] not in CUSTOM:
            kubernetes_validate.validate(item, version, strict=True)


def test_names_are_unique_and_short(made: Made) -> None:
    """No two objects of a kind share a name, and names fit where Kubernetes puts them."""
    names = [(item["kind"], item["metadata"]["name"]) for item in made]

    assert len(set(names)) == len(names)
    for kind, name in names:
        assert len(name) <= (52 if kind == "StatefulSet" else 63), name


def test_long_release_names_fit() -> None:
    """A release with the longest name that Helm allows still makes valid names."""
    for item in _render(VALUES["everything"], name="r" * 53):
        assert len(item["metadata"]["name"]) <= (52 if item["kind"] == "StatefulSet" else 63)
        if item["kind"] not in CUSTOM:
            kubernetes_validate.validate(item, "1.32", strict=True)


def test_pods_are_restricted(made: Made) -> None:
    """Every pod passes the PodSecurity level `restricted`, on a root file system that it cannot write."""
    for name, _, pod in pods(made):
        assert pod["securityContext"]["runAsNonRoot"] is True, name
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert not {"hostNetwork", "hostPID", "hostIPC", "initContainers"} & set(pod), name
        allowed = {"configMap", "emptyDir", "persistentVolumeClaim", "projected"}
        assert all(set(volume) <= allowed | {"name"} for volume in pod.get("volumes", [])), name
        for container in pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }, name


def test_only_a_guard_that_routes_talks_to_the_api_server(made: Made) -> None:
    """Every pod has an account of its own that exists; none but a guard of HTTPRoutes mounts its token."""
    guards = {"demo-trimtab-guard"} if of_kind(made, "Role") else set()
    accounts = {item["metadata"]["name"]: item for item in of_kind(made, "ServiceAccount")}
    used = set()
    for name, _, pod in pods(made):
        assert pod["automountServiceAccountToken"] is (name in guards), name
        assert pod["enableServiceLinks"] is False, name
        used.add(pod["serviceAccountName"])

    assert all(account["automountServiceAccountToken"] is False for account in accounts.values())
    assert used == set(accounts) or used | {"demo-trimtab-serving"} == set(accounts)
    assert guards or not of_kind(made, "RoleBinding")
    assert not of_kind(made, "ClusterRole", "ClusterRoleBinding")


def test_containers_state_what_they_need(made: Made) -> None:
    """Every container asks for CPU and memory and has a limit on memory."""
    for name, _, pod in pods(made):
        for container in pod["containers"]:
            assert {"cpu", "memory"} <= set(container["resources"]["requests"]), name
            assert "memory" in container["resources"]["limits"], name


def test_mounts_have_volumes(made: Made) -> None:
    """Every mount names a volume of its pod or a claim of its set, and the home is always there."""
    claims = {
        item["metadata"]["name"]: {
            claim["metadata"]["name"] for claim in item["spec"]["volumeClaimTemplates"]
        }
        for item in of_kind(made, "StatefulSet")
    }
    for name, _, pod in pods(made):
        volumes = {volume["name"] for volume in pod.get("volumes", [])} | claims.get(name, set())
        mounts = {m["name"] for container in pod["containers"] for m in container.get("volumeMounts", [])}
        assert mounts == volumes, name


def test_references_exist(made: Made) -> None:
    """Every ConfigMap and claim that a pod names is made by the chart."""
    maps = {item["metadata"]["name"] for item in of_kind(made, "ConfigMap")}
    claims = {item["metadata"]["name"] for item in of_kind(made, "PersistentVolumeClaim")}
    for name, _, pod in pods(made):
        for volume in pod.get("volumes", []):
            assert volume.get("configMap", {"name": next(iter(maps))})["name"] in maps, name
            assert "persistentVolumeClaim" not in volume or (
                volume["persistentVolumeClaim"]["claimName"] in claims
            ), name
        sources = [source for container in pod["containers"] for source in container.get("envFrom", [])]
        assert all(source["configMapRef"]["name"] in maps for source in sources if "configMapRef" in source)


def test_every_service_has_its_pods(made: Made) -> None:
    """Every Service selects the pods of exactly one workload, on a port that they name."""
    for service in of_kind(made, "Service"):
        selector = service["spec"]["selector"]
        found = [pod for _, labels, pod in pods(made) if selects(selector, labels)]
        ports = {port["name"] for pod in found for port in pod["containers"][0]["ports"]}

        assert len(found) == 1, service["metadata"]["name"]
        assert all(port["targetPort"] in ports for port in service["spec"]["ports"])


def test_every_selector_finds_its_own_pods(made: Made) -> None:
    """Workloads select their own pods and no others; budgets and policies select some pod each."""
    for item in of_kind(made, "Deployment", "StatefulSet"):
        selector = item["spec"]["selector"]["matchLabels"]
        found = [name for name, labels, _ in pods(made) if selects(selector, labels)]
        assert found == [item["metadata"]["name"]]
    some = [
        (item["metadata"]["name"], item["spec"]["selector"]) for item in of_kind(made, "PodDisruptionBudget")
    ]
    some += [
        (item["metadata"]["name"], item["spec"]["podSelector"]) for item in of_kind(made, "NetworkPolicy")
    ]
    for name, selector in some:
        matched = [labels for _, labels, _ in pods(made) if selects(selector["matchLabels"], labels)]
        assert matched or name == "demo-trimtab-serving", name


def test_probes_ask_ports_that_exist(made: Made) -> None:
    """Every probe asks a port of its container, and whoever listens has all three probes."""
    for name, _, pod in pods(made):
        container = pod["containers"][0]
        probes = [
            container[kind]
            for kind in ("startupProbe", "livenessProbe", "readinessProbe")
            if kind in container
        ]
        assert len(probes) == (3 if "ports" in container else 0), name
        for probe in probes:
            asked = probe.get("httpGet") or probe["tcpSocket"]
            assert asked["port"] in {port["name"] for port in container["ports"]}, name


def test_each_model_has_two_slots() -> None:
    """Every model gets one server a slot, told its model and slot, with storage of its own."""
    sets = slots(FULL)
    args = [item["spec"]["template"]["spec"]["containers"][0]["args"] for item in sets]

    assert [(model, slot) for model in ("flights", LONG) for slot in SLOTS] == [(a[1], a[3]) for a in args]
    assert all(item["spec"]["replicas"] == 1 for item in sets)
    assert all(a[0] == "serve" and a[-4:] == ["--host", "0.0.0.0", "--port", "8080"] for a in args)  # noqa: S104


def test_upgrades_leave_the_slots_alone() -> None:
    """A slot's pod is replaced only when somebody deletes it, and an empty slot can still be reached."""
    for item in slots(FULL):
        assert item["spec"]["updateStrategy"] == {"type": "OnDelete"}
        assert named(FULL, "Service", item["metadata"]["name"])["spec"]["publishNotReadyAddresses"] is True


def test_environment_is_what_the_processes_read() -> None:
    """The ConfigMap of the environment is a valid `Settings`, whose slot URLs are the chart's Services."""
    environment = named(FULL, "ConfigMap", "demo-trimtab-environment")["data"]
    settings = Settings.from_env(environment)
    services = {f"http://{item['metadata']['name']}.mon.svc:8080" for item in slots(FULL)}

    assert services == {url for urls in settings.slots.values() for url in urls.values()}
    assert ("http://envoy.edge.svc:9901",) == settings.envoy_admin_urls
    assert Path("/etc/trimtab/models") == settings.models


def test_models_reach_the_pods_unchanged() -> None:
    """Each model's YAML stands in the ConfigMap as it was given, and loads."""
    files = named(FULL, "ConfigMap", "demo-trimtab-models")["data"]

    assert {"flights.yaml", f"{LONG}.yaml"} == set(files)
    assert ["flights", LONG] == sorted(loads(text).model for text in files.values())


def slot_of(model: str) -> str:
    """Name of the blue slot of a model, whatever has become of it to fit."""
    return pod_of({"trimtab/model": model, "trimtab/slot": "blue"})


def pod_of(wanted: dict[str, str]) -> str:
    """Name of what owns the one pod with these labels."""
    (name,) = [name for name, labels, _ in pods(FULL) if selects(wanted, labels)]
    return name


@pytest.mark.parametrize(
    ("owner", "files", "results"),
    [
        ("demo-trimtab-flights-blue", {"serving-token"}, False),
        (slot_of(LONG), {"serving-token", "private-key"}, False),
        (pod_of({"app.kubernetes.io/component": "payloads"}), {"payload-token", "private-key"}, False),
        ("demo-trimtab-exporter", set(), True),
        ("demo-trimtab-monitor", set(), True),
        ("demo-trimtab-receiver", {"airflow-password", "receiver-token"}, False),
        ("demo-trimtab-guard", set(), True),
    ],
)
def test_secrets_go_only_where_they_are_needed(owner: str, files: set[str], results: bool) -> None:
    """Each pod gets the secrets that it uses: as files it is told of, and the store's URL by reference."""
    (pod,) = [pod for name, _, pod in pods(FULL) if name == owner]
    env = {item["name"]: item for item in pod["containers"][0]["env"]}
    projected = [volume["projected"] for volume in pod["volumes"] if "projected" in volume]
    mounted = {
        item["path"] for p in projected for source in p["sources"] for item in source["secret"]["items"]
    }
    told = {item["value"].rpartition("/")[2] for name, item in env.items() if name.endswith("_FILE")}

    assert (files, files, results) == (mounted, told, "TRIMTAB_RESULTS_URL" in env)
    assert all(name.replace("TRIMTAB_", "").removesuffix("_FILE").lower().replace("_", "-") in files
               for name in env if name.endswith("_FILE"))  # fmt: skip


def test_network_is_closed_by_default(made: Made) -> None:
    """One policy closes all pods but for DNS; every listening pod opens its one port, and no more."""
    everyone = named(made, "NetworkPolicy", "demo-trimtab-default")["spec"]

    assert ["Ingress", "Egress"] == everyone["policyTypes"]
    assert "ingress" not in everyone
    assert {53} == {port["port"] for rule in everyone["egress"] for port in rule["ports"]}
    assert all(selects(everyone["podSelector"]["matchLabels"], labels) for _, labels, _ in pods(made))
    for _, labels, pod in pods(made):
        opened = {
            port["port"]
            for policy in of_kind(made, "NetworkPolicy")
            if selects(policy["spec"]["podSelector"]["matchLabels"], labels)
            for rule in policy["spec"].get("ingress", [])
            for port in rule["ports"]
        }
        listening = {port["containerPort"] for port in pod["containers"][0].get("ports", [])}
        assert opened == listening


def test_network_peers_are_the_ones_given() -> None:
    """Peers from the values stand in the rules of exactly the components that talk to them."""
    monitoring = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]
    exporter = named(FULL, "NetworkPolicy", "demo-trimtab-exporter")["spec"]

    assert monitoring in [rule.get("from") for rule in exporter["ingress"]]
    assert [[{"ipBlock": {"cidr": "10.0.0.0/8"}}]] == [rule["to"] for rule in exporter["egress"]]


def test_budgets_span_both_slots() -> None:
    """A model's two slots share one budget, so that a drain never takes both at once."""
    budget = named(FULL, "PodDisruptionBudget", "demo-trimtab-flights-slots")["spec"]
    selector = budget["selector"]["matchLabels"]
    found = [name for name, labels, _ in pods(FULL) if selects(selector, labels)]

    assert 1 == budget["maxUnavailable"]
    assert ["demo-trimtab-flights-blue", "demo-trimtab-flights-green"] == found
