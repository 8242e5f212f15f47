"""Requests that chose their version, at a real model server: answered as any, counted and read as none."""

from collections.abc import Callable
from typing import Any

import pytest

from monitors.tables import inference_log
from spec import ModelSpec, Settings, load

pytestmark = pytest.mark.service
Start = Callable[..., Any]
MARK = {"x-trimtab-tester": "challenger"}


def test_testers_are_logged_and_are_no_traffic(start: Start) -> None:
    """Each answer is in the log with its version; no reader of live or of mirrored rows gets it."""
    server = start()
    answers = [server.infer("live"), server.infer("tester", **MARK)]
    server.infer("copy", host="tides-shadow")
    server.infer("copy of one who calls himself a tester", host="tides-shadow", **MARK)
    count = 'trimtab_predictions_total{model="tides",outcome="ok",shadow="%s",slot="blue",version="1"}'
    counts = [server.metric(count % shadow) for shadow in ("false", "tester", "true")]

    assert [status for status, _ in answers] == [200, 200]
    assert answers[0][1]["outputs"] == answers[1][1]["outputs"]
    assert counts == [1, 1, 2]
    assert server.stop() == 0
    (row,) = (row for row in server.rows() if row["prediction_id"] == "tester")
    assert (row["version"], row["slot"], row["shadow"]) == ("1", "blue", None)
    spec: ModelSpec = load(server.home / "tides.yaml")
    settings = Settings.from_env({"TRIMTAB_HOME": str(server.home)})
    read = {
        shadow: set(inference_log.read(spec, settings, shadow=shadow)["prediction_id"].to_pylist())
        for shadow in (False, True, None)
    }
    assert read[False] == {"live"}
    assert "tester" not in read[True]
    assert len(read[None]) == 4


def test_failures_of_testers_are_theirs(start: Start) -> None:
    """A request that cannot be answered counts for testers, too, and not against the live traffic."""
    server = start()
    assert server.call("POST", "/v2/models/tides/infer", b"{", MARK)[0] == 400
    count = (
        'trimtab_predictions_total{model="tides",outcome="client_error",shadow="%s",slot="blue",version="1"}'
    )

    assert [server.metric(count % shadow) for shadow in ("false", "tester")] == [0, 1]
