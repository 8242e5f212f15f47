"""An API server of Kubernetes on loopback: objects, versions, merge patches, roles and controllers."""

import copy
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import jsonschema
import pytest

from spec import Settings

SCHEMA = json.loads((Path(__file__).parents[1] / "data" / "httproute_v1.json").read_text("utf-8"))
ROUTES = "/apis/gateway.networking.k8s.io/v1/namespaces/mon/httproutes"
SERVICES = "/apis/serving.kserve.io/v1beta1/namespaces/mon/inferenceservices"
NEXT = {"canaryTrafficPercent": 0, "model": {"storageUri": "s3://models/2"}}
MERGE = "application/merge-patch+json"
Item = dict[str, Any]


def _closed(schema: Any) -> Any:
    """The schema as strict field validation reads it: what it does not name is refused."""
    if isinstance(schema, list):
        return [_closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: _closed(value) for key, value in schema.items()}
    return closed | ({"additionalProperties": False} if isinstance(schema.get("properties"), dict) else {})


ROUTE = jsonschema.Draft7Validator(_closed(SCHEMA))


def _fill(schema: Any, value: Any) -> None:
    """Fill in the schema's defaults, as the API server does."""
    for key, inner in schema.get("properties", {}).items():
        if isinstance(value, dict):
            if key not in value and "default" in inner:
                value[key] = copy.deepcopy(inner["default"])
            if key in value:
                _fill(inner, value[key])
    if isinstance(value, list):
        for one in value:
            _fill(schema.get("items", {}), one)


def merged(target: Any, patch: Any) -> Any:
    """The result of a JSON merge patch (RFC 7396)."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


@dataclass
class Cluster:
    """Objects by path, who may do what, and the controller that writes their status."""

    folder: Path
    token: str = "token-1"
    forbidden: set[str] = field(default_factory=set)
    objects: dict[str, Item] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    managers: set[str] = field(default_factory=set)
    before_patch: Callable[[], None] | None = None
    controller: Callable[[Item], Item | None] | None = None
    url: str = ""
    server: ThreadingHTTPServer | None = None
    lock: threading.RLock = field(default_factory=threading.RLock)
    changed: threading.Event = field(default_factory=threading.Event)
    _version: int = 0

    def settings(self, router: str, **more: str) -> Settings:
        """Settings of a process in a pod of namespace `mon`."""
        slots = {
            model: {slot: f"http://{model}-{slot}.mon.svc:8080" for slot in ("blue", "green")}
            for model in ("flights", "hotels")
        }
        env = {
            "TRIMTAB_HOME": str(self.folder),
            "TRIMTAB_ROUTER": router,
            "TRIMTAB_KUBERNETES_URL": self.url,
            "TRIMTAB_KUBERNETES_ACCOUNT": str(self.account),
            "TRIMTAB_SLOTS": json.dumps(slots),
        }
        return Settings.from_env(env | more)

    def speak_tls(self, context: ssl.SSLContext) -> None:
        """Answer by https from now on, as every API server does."""
        assert self.server is not None
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.url = self.url.replace("http:", "https:")

    @property
    def account(self) -> Path:
        """The folder that Kubernetes mounts in a pod."""
        folder = self.folder / "account"
        if not folder.exists():
            folder.mkdir()
            (folder / "token").write_text(self.token)
            (folder / "namespace").write_text("mon")
        return folder

    def put(self, path: str, item: Item) -> Item:
        """Create or replace an object, as a person would with kubectl."""
        with self.lock:
            old = self.objects.get(path)
            new = copy.deepcopy(item)
            if new["kind"] == "HTTPRoute":
                _fill(SCHEMA, new)
            if (
                old is not None
                and all(old.get(key) == new.get(key) for key in ("spec", "status"))
                and (_plain(old["metadata"]) == _plain(new["metadata"]))
            ):
                return old
            self._version += 1
            generation = old["metadata"]["generation"] if old else 0
            if old is None or old["spec"] != new["spec"]:
                generation += 1
            own = {"resourceVersion": str(self._version), "generation": generation, "namespace": "mon"}
            new["metadata"] = new["metadata"] | own
            self.objects[path] = new
            self.changed.set()
            return new

    def edit(self, path: str, patch: Item) -> Item:
        """Merge a patch into an object without asking what version it is."""
        with self.lock:
            return self.put(path, merged(self.objects[path], patch))

    def reconcile(self) -> None:
        """Let the controller look at every object once."""
        with self.lock:
            for path, item in list(self.objects.items()):
                status = self.controller(copy.deepcopy(item)) if self.controller else None
                if status is not None:
                    self.put(path, item | {"status": status})


def _plain(metadata: Item) -> Item:
    return {key: value for key, value in metadata.items() if key not in ("resourceVersion", "generation")}


class _Door(BaseHTTPRequestHandler):
    cluster: ClassVar[Cluster]
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self._serve("get", None)

    def do_PATCH(self) -> None:
        self._serve("patch", json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _serve(self, verb: str, body: Item | None) -> None:
        path, _, query = self.path.partition("?")
        cluster = self.cluster
        cluster.asked.append((verb, path))
        if self.headers["Authorization"] != f"Bearer {cluster.token}":
            return self._refuse(401, "Unauthorized")
        if verb in cluster.forbidden:
            who = "system:serviceaccount:mon:trimtab-guard"
            return self._refuse(403, f'"{path.rpartition("/")[2]}" is forbidden: User "{who}" cannot {verb}')
        if body is not None and cluster.before_patch is not None and path in cluster.objects:
            cluster.before_patch()
        with cluster.lock:
            item = cluster.objects.get(path)
            if item is None:
                return self._refuse(404, f'"{path.rpartition("/")[2]}" not found')
            if body is None:
                return self._answer(200, item)
            return self._patch(path, query, item, body)

    def _patch(self, path: str, query: str, item: Item, body: Item) -> None:
        if self.headers["Content-Type"] != MERGE:
            return self._refuse(415, "the body of the request was in an unknown format")
        if (
            body["metadata"].get("resourceVersion", item["metadata"]["resourceVersion"])
            != (item["metadata"]["resourceVersion"])
        ):
            return self._refuse(409, "the object has been modified; please apply your changes to the latest")
        new = merged(item, body)
        wrong = [error.message for error in ROUTE.iter_errors(new)] if item["kind"] == "HTTPRoute" else []
        notes = new["metadata"].get("annotations", {})
        wrong += [f"annotation {key} is no string" for key, value in notes.items() if type(value) is not str]
        if wrong:
            return self._refuse(422, "; ".join(wrong))
        self.cluster.managers.add(query)
        return self._answer(200, self.cluster.put(path, new))

    def _refuse(self, code: int, message: str) -> None:
        self._answer(code, {"kind": "Status", "status": "Failure", "message": message, "code": code})

    def _answer(self, code: int, content: Item) -> None:
        body = json.dumps(content).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """A running API server with nothing in it, whose controller carries out nothing until it is set."""
    made = Cluster(tmp_path)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Door", (_Door,), {"cluster": made}))
    server.daemon_threads = True
    made.server, made.url = server, f"http://127.0.0.1:{server.server_port}"
    stop = threading.Event()

    def control() -> None:
        while not stop.is_set():
            if made.changed.wait(0.05):
                made.changed.clear()
                made.reconcile()

    threads = [threading.Thread(target=server.serve_forever, args=(0.02,)), threading.Thread(target=control)]
    for thread in threads:
        thread.start()
    yield made
    stop.set()
    server.shutdown()
    server.server_close()
    for thread in threads:
        thread.join()


def conditions(item: Item, reason: str = "", message: str = "") -> Item:
    """The status that a Gateway's controller writes: all good, or not accepted for a reason."""
    accepted = {"type": "Accepted", "status": "False" if reason else "True", "reason": reason or "Accepted"}
    resolved = {"type": "ResolvedRefs", "status": "True", "reason": "ResolvedRefs"}
    more = {
        "message": message,
        "observedGeneration": item["metadata"]["generation"],
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    name = "example.com/controller"
    return {
        "parents": [
            {"parentRef": ref, "controllerName": name, "conditions": [accepted | more, resolved | more]}
            for ref in item["spec"].get("parentRefs", [])
        ]
    }


def revisions(item: Item) -> Item:
    """The status that KServe writes of a serverless InferenceService, by the rules of its reconciler."""
    predictor = item["spec"]["predictor"]
    latest = f"{item['metadata']['name']}-predictor-{predictor['model']['storageUri'].rpartition('/')[2]}"
    was = item.get("status", {}).get("components", {}).get("predictor", {})
    had_all, before = was.get("latestRolledoutRevision", ""), was.get("previousRolledoutRevision", "")
    percent = predictor.get("canaryTrafficPercent")
    rest = before if had_all == latest and percent is not None and percent < 100 else had_all
    share = percent if percent is not None and rest else 100
    traffic: list[Item] = [{"revisionName": latest, "latestRevision": True, "percent": share}]
    if share < 100:
        traffic.append({"revisionName": rest, "latestRevision": False, "percent": 100 - share, "tag": "prev"})
    elif had_all != latest:
        had_all, before = latest, had_all
    state = {
        "latestCreatedRevision": latest,
        "latestReadyRevision": latest,
        "latestRolledoutRevision": had_all,
        "previousRolledoutRevision": before,
        "traffic": traffic,
    }
    return {"components": {"predictor": state}, "conditions": [], "deploymentMode": "Serverless"}


@pytest.fixture
def accepts() -> Callable[..., Item]:
    """Make the status of a route: accepted, or not for a reason with a message."""
    return conditions


@pytest.fixture
def gateway(cluster: Cluster) -> Cluster:
    """A cluster with an HTTPRoute a model, as the chart makes them, and a Gateway that accepts all."""
    cluster.controller = conditions
    for model in ("flights", "hotels"):
        cluster.put(f"{ROUTES}/{model}", _route(model))
    return cluster


@pytest.fixture
def kserve(cluster: Cluster) -> Cluster:
    """A cluster with an InferenceService a model: version 1 took all traffic, version 2 waits with none."""
    cluster.controller = revisions
    for model in ("flights", "hotels"):
        path = f"{SERVICES}/{model}"
        cluster.put(path, _service(model))
        cluster.reconcile()
        cluster.edit(path, {"spec": {"predictor": NEXT}})
    cluster.reconcile()
    return cluster


def _route(model: str) -> Item:
    backends = [{"name": f"{model}-blue", "port": 8080, "weight": 100}]
    rule = {
        "matches": [{"path": {"type": "PathPrefix", "value": f"/v2/models/{model}"}}],
        "timeouts": {"request": "10s"},
        "backendRefs": backends,
    }
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": model, "labels": {"trimtab/model": model}},
        "spec": {"parentRefs": [{"name": "public", "namespace": "gateways"}], "rules": [rule]},
    }


def _service(model: str) -> Item:
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": model, "labels": {"trimtab/model": model}},
        "spec": {"predictor": {"model": {"storageUri": "s3://models/1"}}},
    }
