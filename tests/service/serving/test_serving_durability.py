import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.service

Start = Callable[..., Any]
Ask = Callable[..., Any]


def test_a_drained_server_has_logged_every_answer(start: Start, ask: Ask) -> None:
    """After SIGTERM in the middle of traffic the process ends with 0 and the log holds every answer."""
    server = start()
    traffic = ask(server)
    traffic.wait_for(300)
    assert server.stop() == 0

    assert set(traffic.ended()) <= {row["prediction_id"] for row in server.rows()}
    assert list((server.home / "spool/tides-blue").glob("*.spool")) == []


def test_both_slots_write_one_table(start: Start, ask: Ask) -> None:
    """Blue and green, started on an empty home at once, log into one table without losing a row."""
    servers = [start("blue"), start("green")]
    traffic = [ask(server, clients=1) for server in servers]
    for each in traffic:
        each.wait_for(300)
    for server in servers:
        assert server.stop() == 0
    answered = {identity for each in traffic for identity in each.ended()}

    rows = servers[0].rows()
    assert answered <= {row["prediction_id"] for row in rows}
    assert {row["slot"] for row in rows} == {"blue", "green"}


def test_what_cannot_be_logged_is_not_answered(start: Start, home: Path) -> None:
    """When the spool cannot be written the request fails with 503 and is counted as the server's error."""
    server = start()
    assert server.infer("a")[0] == 200
    pause = threading.Event()
    while server.metric("trimtab_log_pending_rows"):
        pause.wait(0.05)
    folder = home / "spool/tides-blue"
    folder.rename(home / "moved")

    status, body = server.infer("b")
    assert (status, "The inference log cannot be written" in body["error"]) == (503, True)
    failed = 'trimtab_predictions_total{model="tides",outcome="error",shadow="false",slot="blue",version="1"}'
    assert server.metric(failed) == 1

    (home / "moved").rename(folder)
    assert server.infer("c")[0] == 200
    assert server.stop() == 0
    assert [row["prediction_id"] for row in sorted(server.rows(), key=lambda row: row["logged_at"])] == [
        "a",
        "c",
    ]


def test_a_table_that_refuses_does_not_stop_the_answers(start: Start, home: Path) -> None:
    """While Delta fails requests are answered and metrics tell; the rows arrive when it is well again."""
    (home / "tides").write_text("a file where the table's folder should be")
    server = start()
    pause = threading.Event()
    for number in range(3):
        assert server.infer(str(number))[0] == 200
    while not server.metric("trimtab_log_commit_failures_total"):
        pause.wait(0.05)
    assert server.metric("trimtab_log_pending_rows") == 3

    (home / "tides").unlink()
    while server.metric("trimtab_log_pending_rows"):
        pause.wait(0.05)
    assert {row["prediction_id"] for row in server.rows()} == {"0", "1", "2"}


def test_a_second_process_of_a_slot_does_not_start(start: Start, home: Path) -> None:
    """One process serves a slot: the second ends with an exit code and says which folder is held."""
    server = start()
    code = "import sys, spec; from serving import server; from pathlib import Path; "
    code += "server.run(spec.load(Path(sys.argv[1])), "
    code += "'blue', spec.Settings.from_env({'TRIMTAB_HOME': sys.argv[2]}), '127.0.0.1', 0)"
    program = [sys.executable, "-c", code, str(home / "tides.yaml"), str(home)]
    second = subprocess.run(program, check=False, capture_output=True, text=True, timeout=60)

    assert second.returncode == 3
    assert "one process serves a slot" in second.stderr
    assert server.infer("a")[0] == 200


def test_an_idle_connection_is_kept(start: Start) -> None:
    """A proxy's pooled connection that was idle for longer than usual defaults still takes a request."""
    server = start()
    assert server.infer("a")[0] == 200
    threading.Event().wait(6)
    assert server.infer("b")[0] == 200


def test_an_idle_server_drains_at_once(start: Start) -> None:
    """A server that answered nothing ends on SIGTERM and on SIGINT with exit code 0."""
    for number in (signal.SIGTERM, signal.SIGINT):
        assert start().stop(number) == 0
