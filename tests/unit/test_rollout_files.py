"""What a writer that is killed half-way leaves behind."""

import json
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rollout.routers.envoy import bootstrap, routed_models
from rollout.routers.envoy_config import clusters, routes
from rollout.routers.files import RouteFiles, replace
from rollout.split import Split
from rollout.steps import at_step
from spec import SHADOW, DataError, ModelSpec, NotFound, Settings, SettingsError, loads

SPEC_TEXT = """
model: flights
task: binary
data: {inference_log: log, labels: labels, id: id, time: t, target: {name: late}}
features: {x: numeric}
"""
SPECS: dict[str, ModelSpec] = {"flights": loads(SPEC_TEXT)}
KILLED = """
import os, sys
from datetime import UTC, datetime, timedelta
from rollout.routers.envoy import EnvoyRouter
from rollout.routers.files import RouteFiles
from rollout.split import parse
from spec import Settings, loads
RouteFiles.publish = lambda *_: os._exit(9)
router = EnvoyRouter(Settings.from_env(), {"flights": loads(sys.argv[1])})
router.apply("flights", parse(sys.argv[2], "split"))
"""
LEASE = datetime(2100, 1, 1, tzinfo=UTC)
CANARY = at_step("blue", 0.05, LEASE)


def env_of(home: Path) -> dict[str, str]:
    """Surroundings with two slots and no Envoy."""
    slots = {"flights": {"blue": "http://127.0.0.1:9", "green": "http://localhost:9"}}
    return {
        "TRIMTAB_HOME": str(home),
        "TRIMTAB_ENVOY_ADMIN_URL": "http://127.0.0.1:9",
        "TRIMTAB_SLOTS": json.dumps(slots),
    }


@pytest.mark.parametrize("after", [CANARY, Split(), Split(champion="green")])
def test_killed_writer_never_leaves_an_unknown_canary(tmp_path: Path, after: Split) -> None:
    """Whoever is killed while routes change leaves a state with a lease that the guard ends."""
    bootstrap(Settings.from_env(env_of(tmp_path)), SPECS, 1, 2)
    files = RouteFiles(tmp_path)
    if after.settled:
        files.write("flights", CANARY)
    arguments = [sys.executable, "-c", KILLED, SPEC_TEXT, after.model_dump_json()]
    done = subprocess.run(arguments, env=env_of(tmp_path), check=False)

    assert done.returncode == 9
    assert files.read("flights") == CANARY


def test_bootstrap_writes_three_files(tmp_path: Path) -> None:
    """The bootstrap names the watched files, binds loopback only and starts with all traffic at blue."""
    config = bootstrap(Settings.from_env(env_of(tmp_path)), SPECS, 21080, 21081)
    files = RouteFiles(tmp_path)
    rds = files.load("rds.json")

    assert files.load("bootstrap.json") == config
    assert '"0.0.0.0"' not in json.dumps(config)
    assert routed_models(files) == ["flights"]
    assert rds is not None
    assert rds["resources"][0]["validate_clusters"] is True
    assert files.read("flights") == Split()


def test_bootstrap_without_slots_is_refused(tmp_path: Path) -> None:
    """A model without model servers, and a URL that is none, are named."""
    with pytest.raises(NotFound, match="no slot flights/blue"):
        bootstrap(Settings.from_env({"TRIMTAB_HOME": str(tmp_path)}), SPECS, 1, 2)
    with pytest.raises(SettingsError) as caught:
        clusters({"m": {"blue": "https://x:1", "green": "http://x:port"}})

    assert [problem.where for problem in caught.value.problems] == [
        "TRIMTAB_SLOTS: m.blue",
        "TRIMTAB_SLOTS: m.green",
    ]


def test_hosts_by_name_are_resolved() -> None:
    """A cluster of an address is static, one of a name is resolved."""
    found = clusters({"m": {"blue": "http://127.0.0.1:1", "green": "http://green.svc:1"}})["resources"]

    assert [cluster["type"] for cluster in found] == ["STATIC"] * 3 + ["STRICT_DNS"] * 3
    assert [cluster["name"] for cluster in found] == [
        *("m-blue", "m-blue-shadow", "m-blue-tester"),
        *("m-green", "m-green-shadow", "m-green-tester"),
    ]


def test_routes_are_ordered_and_complete() -> None:
    """Every model has its routes, and what no model takes ends in a 404."""
    rds = routes({"b": Split(), "a": at_step("green", 0.05, LEASE)}, "v")
    found = rds["resources"][0]["virtual_hosts"][0]["routes"]
    prefixes = [next(iter(route["match"].values())) for route in found]

    assert prefixes == ["/v2/health/", "/v2/models/a/", "/v2/models/a", "/v2/models/b/", "/v2/models/b", "/"]
    assert found[1]["route"]["request_mirror_policies"] == [{"cluster": "a-blue-shadow"}]
    assert "request_mirror_policies" not in found[3]["route"]


def test_replace_leaves_no_draft(tmp_path: Path) -> None:
    """A replaced file holds the new content and nothing lies beside it."""
    replace(tmp_path / "folder" / "a.json", b"1")
    replace(tmp_path / "folder" / "a.json", b"2")

    assert {file.name: file.read_bytes() for file in (tmp_path / "folder").iterdir()} == {"a.json": b"2"}


def test_broken_state_names_its_file(tmp_path: Path) -> None:
    """A state that is no split is an error with its file, never a guess."""
    files = RouteFiles(tmp_path)
    replace(files.states / "flights.json", b"{")

    with pytest.raises(DataError, match=r"routes/flights\.json"):
        files.read("flights")


def test_lapsed_lease_is_not_resumed(tmp_path: Path) -> None:
    """A stack that starts after a lease ran out starts with all traffic at the champion."""
    files = RouteFiles(tmp_path)
    files.write("flights", at_step("green", 0.5, datetime.now(UTC) - timedelta(seconds=1)))
    bootstrap(Settings.from_env(env_of(tmp_path)), SPECS, 1, 2)

    assert files.read("flights") == Split(champion="green")


@pytest.mark.parametrize(
    ("split", "helps"),
    [
        (Split(champion="green"), False),
        (at_step("green", SHADOW, LEASE), False),
        (at_step("green", 0.05, LEASE), True),
        (at_step("green", 1.0, LEASE), True),
    ],
)
def test_slots_answer_for_each_other_while_callers_meet_both(split: Split, *, helps: bool) -> None:
    """A second attempt goes to the other slot at a share; in shadow and without a rollout to nobody else."""
    (found,) = routes({"m": split}, "1")["resources"]
    drawn = found["virtual_hosts"][0]["routes"][1]["route"]["retry_policy"]

    assert ("retry_priority" in drawn) is helps


HANGS = """
import os, signal, sys
from pathlib import Path
from rollout.routers.files import RouteFiles
from rollout.split import Split
files = RouteFiles(Path(sys.argv[1]))
with files.locked():
    print("held", flush=True)
    os.kill(os.getpid(), signal.SIGSTOP)
    files.write("flights", Split(champion="green"))
"""


def test_a_writer_that_hangs_is_not_waited_for_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its lock is taken over after a while, and when it goes on it changes nothing any more."""
    monkeypatch.setattr("rollout.routers.files.PATIENCE_S", 0.2)
    arguments = [sys.executable, "-c", HANGS, str(tmp_path)]
    files = RouteFiles(tmp_path)
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as hung:
        assert hung.stdout is not None
        assert hung.stdout.readline() == "held\n"
        with files.locked():
            files.write("flights", CANARY)
        hung.send_signal(signal.SIGCONT)
        _, said = hung.communicate(timeout=20)

    assert "another has its turn" in said
    assert files.read("flights") == CANARY
