"""What a router on Kubernetes says and leaves behind when the API server, its answers or its objects fail."""

import socket
import ssl
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from rollout import leases
from rollout.routers import Router, connect, declared
from rollout.split import Split
from rollout.steps import at_step
from spec import DataError, ModelSpec, Refused, Settings, SettingsError, Unavailable, loads

SPECS: dict[str, ModelSpec] = {
    "flights": loads("""
model: flights
task: binary
data: {inference_log: log, labels: labels, id: id, time: t, target: {name: late}}
features: {x: numeric}
""")
}
PLACES = {
    "gateway_api": "/apis/gateway.networking.k8s.io/v1/namespaces/mon/httproutes/flights",
    "kserve": "/apis/serving.kserve.io/v1beta1/namespaces/mon/inferenceservices/flights",
}
Cluster = Any


@pytest.fixture(params=sorted(PLACES))
def kind(request: pytest.FixtureRequest) -> str:
    """Name of the router."""
    return str(request.param)


@pytest.fixture
def there(kind: str, request: pytest.FixtureRequest) -> Cluster:
    """A cluster with what the router drives."""
    return request.getfixturevalue("gateway" if kind == "gateway_api" else "kserve")


@pytest.fixture
def router(kind: str, there: Cluster) -> Router:
    """A router of one model."""
    return connect(there.settings(kind), SPECS)


def canary(share: float = 0.25) -> Split:
    """A step's split without a mirror."""
    return at_step("blue", share, datetime.now(UTC) + timedelta(minutes=1), mirrors=False)


def routes(there: Cluster, kind: str) -> Any:
    """What the object says of traffic."""
    spec = there.objects[PLACES[kind]]["spec"]
    return spec["rules"] if kind == "gateway_api" else spec["predictor"].get("canaryTrafficPercent")


def test_server_that_is_away_is_unavailable(kind: str, there: Cluster) -> None:
    """Reading and writing tell where nobody answered."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
    router = connect(there.settings(kind, TRIMTAB_KUBERNETES_URL=url), SPECS)
    for call in (lambda: router.read("flights"), lambda: router.apply("flights", canary())):
        with pytest.raises(Unavailable, match=f"API server at {url} did not answer"):
            call()


def test_expired_token_is_unavailable_until_it_is_renewed(there: Cluster, router: Router) -> None:
    """A token that the server takes no more is told by its file; the one that replaces it is read at once."""
    there.token = "token-2"
    with pytest.raises(Unavailable, match=r"account/token \(401\): Unauthorized"):
        router.apply("flights", canary())
    (there.account / "token").write_text("token-2\n")
    router.apply("flights", canary())

    assert 25 == router.read("flights").weights["green"]


def test_anything_else_that_answers_is_unavailable(there: Cluster, router: Router, kind: str) -> None:
    """A proxy's page, or an object of another kind, is not taken for ours."""
    with there.lock:
        there.controller = None
        there.objects[PLACES[kind]] = {"kind": "Pod", "metadata": {"resourceVersion": "1"}}
    with pytest.raises(Unavailable, match="is no API server"):
        router.read("flights")


@pytest.mark.parametrize("verb", ["get", "patch"])
def test_missing_right_is_named(there: Cluster, router: Router, kind: str, verb: str) -> None:
    """403 tells the verb, the resource, its group and the namespace that the Role lacks."""
    there.forbidden = {verb}
    group, _, _, _, plural, _ = PLACES[kind].removeprefix("/apis/").split("/")
    with pytest.raises(Refused, match=f"Role lacks {verb} on {plural} of {group} in namespace mon"):
        router.apply("flights", canary())


def test_missing_object_is_refused(there: Cluster, router: Router, kind: str) -> None:
    """A route that somebody deleted is told by its full name, to readers and writers."""
    del there.objects[PLACES[kind]]
    for call in (lambda: router.read("flights"), lambda: leases.release(router, "flights")):
        with pytest.raises(Refused, match=r"There is no \w+ mon/flights"):
            call()


def test_object_deleted_before_it_is_confirmed_is_refused(there: Cluster, router: Router, kind: str) -> None:
    """A route that is deleted while a writer waits ends the wait with words, and no other model's."""
    there.controller = None
    place = PLACES[kind]
    gone = threading.Thread(target=_delete_once_written, args=(there, place))
    gone.start()
    with pytest.raises(Refused, match=r"There is no \w+ mon/flights"):
        router.apply("flights", canary())
    gone.join()


def _delete_once_written(there: Cluster, place: str) -> None:
    while declared.UNCONFIRMED not in there.objects[place]["metadata"].get("annotations", {}):
        threading.Event().wait(0.01)
    with there.lock:
        del there.objects[place]


def test_conflicts_are_tried_again(there: Cluster, router: Router, kind: str) -> None:
    """A write that meets three others in a row is made on top of the last of them."""
    place, left = PLACES[kind], [3]

    def meddle() -> None:
        if left[0]:
            left[0] -= 1
            there.edit(place, {"metadata": {"annotations": {"someone": str(left[0])}}})

    there.before_patch = meddle
    router.apply("flights", canary())

    notes = there.objects[place]["metadata"]["annotations"]
    assert ("0", 25) == (notes["someone"], router.read("flights").weights["green"])


def test_storm_of_conflicts_is_unavailable(
    there: Cluster, router: Router, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A writer that is never first gives up in its time, with nothing changed."""
    monkeypatch.setattr(declared, "CONFLICTS_S", 0.4)
    place, count, before = PLACES[kind], [0], routes(there, kind)

    def meddle() -> None:
        count[0] += 1
        there.edit(place, {"metadata": {"annotations": {"someone": str(count[0])}}})

    there.before_patch = meddle
    with pytest.raises(Unavailable, match=r"Others kept writing it for 0.4 s; nothing was changed"):
        router.apply("flights", canary())

    assert (before, Split()) == (routes(there, kind), router.read("flights"))
    assert count[0] > 1


def test_later_writer_waits_for_itself(there: Cluster, router: Router, kind: str) -> None:
    """Who is overtaken is done at once, and does not undo the split of who came after."""
    controller, there.controller = there.controller, None
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(router.apply, "flights", canary(0.05))
        while declared.UNCONFIRMED not in there.objects[PLACES[kind]]["metadata"].get("annotations", {}):
            threading.Event().wait(0.01)
        second = pool.submit(leases.release, connect(there.settings(kind), SPECS), "flights")
        first.result(timeout=declared.CONFIRM_S / 2)
        there.controller = controller
        there.changed.set()
        second.result()

    assert Split() == router.read("flights")


@pytest.mark.parametrize("note", [declared.SPLIT, declared.UNCONFIRMED])
def test_spoiled_annotation_is_named(there: Cluster, router: Router, kind: str, note: str) -> None:
    """An annotation that is no split of ours is told by object, name and what to do."""
    there.edit(PLACES[kind], {"metadata": {"annotations": {note: "token {"}}})
    with pytest.raises(DataError, match=f"mon/flights: {note}.*Remove the annotation"):
        router.read("flights")


def test_account_that_cannot_be_read_is_named(there: Cluster, router: Router) -> None:
    """A missing token is told by its path."""
    (there.account / "token").unlink()
    with pytest.raises(SettingsError, match="account/token: must be a readable secret file"):
        router.read("flights")


def test_object_may_have_another_name(there: Cluster, kind: str) -> None:
    """TRIMTAB_ROUTES names the object of a model, and the words of an error do."""
    router = connect(there.settings(kind, TRIMTAB_ROUTES='{"flights": "demo-route"}'), SPECS)
    with pytest.raises(Refused, match="mon/demo-route"):
        router.read("flights")


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("TRIMTAB_SHADOW_PORT", "70000"),
        ("TRIMTAB_ROUTER", "istio"),
        ("TRIMTAB_ROUTES", "{"),
        ("TRIMTAB_ROUTES", '{"a": 1}'),
    ],
)
def test_bad_settings_are_named(tmp_path: Path, variable: str, value: str) -> None:
    """A router that does not exist and names that are none are told by their variable."""
    with pytest.raises(SettingsError, match=variable):
        Settings.from_env({"TRIMTAB_HOME": str(tmp_path), variable: value})


def test_server_is_trusted_by_the_accounts_certificate(
    there: Cluster, kind: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """By https only the account's authority counts: without its file, or with another's, nothing is sent."""
    files = [_certificate(tmp_path_factory.mktemp("pki")) for _ in range(2)]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files[0])
    there.speak_tls(context)
    router = connect(there.settings(kind), SPECS)
    with pytest.raises(SettingsError, match=r"ca\.crt: must hold the API server's certificates"):
        router.read("flights")
    (there.account / "ca.crt").write_bytes(files[1].read_bytes())
    with pytest.raises(Unavailable, match="CERTIFICATE_VERIFY_FAILED"):
        router.read("flights")
    (there.account / "ca.crt").write_bytes(files[0].read_bytes())

    assert Split() == router.read("flights")


def _certificate(folder: Path) -> Path:
    """A key and a certificate of 127.0.0.1 that vouches for itself, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kubernetes")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    file = folder / "server.pem"
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)
    file.write_bytes(private + certificate.public_bytes(pem))
    return file
