import socket
from collections.abc import Iterator

import pytest

from trimtab.stack import ports


@pytest.fixture
def held() -> Iterator[int]:
    """Give a loopback port that we listen on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_every_server_has_a_usual_port_of_its_own() -> None:
    """No two servers want the same port, whatever the number of models."""
    wanted = ports.wanted(["a", "b", "c", "d", "e", "f", "g"])
    assert len(set(wanted.values())) == len(wanted)
    assert (wanted["gateway"], wanted["a-blue"], wanted["a-green"]) == (21080, 21082, 21083)


def test_a_model_that_joins_takes_nobodys_port() -> None:
    """Models keep their ports when one is added that sorts before them."""
    before = ports.wanted(["flights"])
    after = ports.wanted(["apples", "flights"], before)
    assert {name: after[name] for name in before} == before
    assert len(set(after.values())) == len(after)


def test_receivers_of_payloads_move_no_slot() -> None:
    """A model that has its payload log taken in gets one more port, behind all slots."""
    before = ports.wanted(["a", "b"])
    after = ports.wanted(["a", "b"], payloads=["a"])
    assert after == before | {"a-payloads": max(before["b-blue"], before["b-green"]) + 1}
    assert ports.wanted(["a", "b"], after) == before


def test_a_taken_port_is_replaced_and_its_holder_named(held: int) -> None:
    """Whoever holds a port is told by name and pid, and another port is used."""
    told: list[str] = []
    chosen = ports.choose({"mlflow": held}, announce=told.append)
    assert chosen["mlflow"] != held
    assert ports.is_free(chosen["mlflow"])
    assert f"port {held} (mlflow) is held by" in told[0]
    assert "(pid " in told[0]
    assert str(chosen["mlflow"]) in told[0]


def test_ports_of_a_running_stack_are_kept(held: int) -> None:
    """A port that our own server listens on is not taken from it."""
    told: list[str] = []
    assert ports.choose({"mlflow": held}, keep=["mlflow"], announce=told.append) == {"mlflow": held}
    assert told == []


def test_replacements_never_collide(held: int) -> None:
    """Two servers that want the same taken port get two different ones."""
    chosen = ports.choose({"a": held, "b": held}, announce=lambda _: None)
    assert chosen["a"] != chosen["b"]
