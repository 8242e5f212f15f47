import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.service

Start = Callable[..., Any]

PATH = "/v2/models/tides/infer"
STATED = """\
features:
  depth: {type: numeric, min: 0, max: 30}
  spring: boolean
  port: {type: categorical, values: [Brest]}"""


def guard(home: Path, door: str) -> None:
    """State constraints in the model's file, and what the door does."""
    file = home / "tides.yaml"
    plain = file.read_text("utf-8").splitlines()
    kept = [line for line in plain if not line.startswith("features:")]
    file.write_text("\n".join([*kept, STATED, f"monitor: {{quality: {{door: {door}}}}}", ""]), "utf-8")


def asked(depth: float, port: str) -> dict[str, Any]:
    """One row."""
    return {
        "id": f"{depth} {port}",
        "inputs": [
            {"name": "depth", "shape": [1], "datatype": "FP64", "data": [depth]},
            {"name": "spring", "shape": [1], "datatype": "BOOL", "data": [True]},
            {"name": "port", "shape": [1], "datatype": "BYTES", "data": [port]},
        ],
    }


def answered(server: Any, body: dict[str, Any], **headers: str) -> tuple[int, str | None]:
    """Status and flag of an answer."""
    connection = server.connection()
    connection.request("POST", PATH, json.dumps(body), headers)
    response = connection.getresponse()
    response.read()
    return response.status, response.getheader("x-trimtab-quality")


def counted(server: Any, feature: str, check: str) -> float:
    """Rows that broke a constraint, as Prometheus sees them."""
    labels = f'check="{check}",feature="{feature}",model="tides",version="1"'
    value: float = server.metric(f"trimtab_door_violations_total{{{labels}}}")
    return value


def test_a_row_that_cannot_be_right_is_refused_with_every_reason(start: Start, home: Path) -> None:
    """`reject` answers 422 with both problems, logs nothing, counts each, and goes on answering good rows."""
    guard(home, "reject")
    server = start()

    status, body = server.call("POST", PATH, asked(-1.5, "Atlantis"))

    assert status == 422
    assert body["error"] == (
        "inputs: depth.data[0]: must be at least 0; found -1.5; "
        "inputs: port.data[0]: must be one of Brest; found 'Atlantis'"
    )
    assert (1, 1) == (counted(server, "depth", "min"), counted(server, "port", "values"))
    assert (200, None) == answered(server, asked(2.5, "Brest"))
    assert server.stop() == 0
    assert ["2.5 Brest"] == [row["prediction_id"] for row in server.rows()]


def test_a_row_that_cannot_be_right_is_answered_with_a_flag(start: Start, home: Path) -> None:
    """`flag` answers, logs, names what is broken in a header, and counts it; but not the mirror's copy."""
    guard(home, "flag")
    server = start()

    assert (200, "depth;max=1, port;values=1") == answered(server, asked(31.0, "Atlantis"))
    assert (200, None) == answered(server, asked(30.0, "Brest"))
    assert (200, "depth;max=1") == answered(server, asked(99.0, "Brest"), host="tides-shadow")
    assert (1, 1) == (counted(server, "depth", "max"), counted(server, "port", "values"))
    assert server.stop() == 0
    assert 3 == len(server.rows())


def test_without_a_door_everything_is_answered(start: Start, home: Path) -> None:
    """`off` is the default: what the file states is the monitors' to check."""
    guard(home, "off")
    server = start()

    assert (200, None) == answered(server, asked(-1.5, "Atlantis"))
