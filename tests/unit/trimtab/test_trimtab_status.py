from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner, Result

from spec import Settings
from trimtab import overview
from trimtab.cli import cli
from trimtab.commands.status import status
from trimtab.stack import Stack
from trimtab.stack.status import rows
from trimtab.stack.supervisor import State


def state(log: Path, name: str = "server", found: str = "RUNNING", exit_status: int = 0) -> State:
    """What supervisord says of a process that writes to `log`."""
    return State(name, found, 0, 0.0, exit_status, "", log)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A log whose last line says what went wrong."""
    log = tmp_path / "airflow-db.log"
    log.write_text("migrating\nno space [left] on device\n\n")
    return log


@pytest.mark.parametrize(
    ("found", "exit_status", "fine"),
    [
        ("RUNNING", 0, True),
        ("RUNNING", 1, True),  # of its last life
        ("STARTING", 0, True),
        ("EXITED", 0, True),
        ("EXITED", 1, False),
        ("BACKOFF", 0, False),
        ("FATAL", 0, False),
        ("STOPPED", 0, False),
    ],
)
def test_a_process_is_fine_that_runs_or_ended_well(
    log: Path,
    found: str,
    exit_status: int,
    fine: bool,
) -> None:
    """An end with another status than 0 is a failure; what failed says why."""
    (row,) = rows([state(log, found=found, exit_status=exit_status)])

    assert (row.fine, "no space" in row.trouble) == (fine, not fine)


def test_a_failed_one_shot_shows_with_its_reason(
    log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`trimtab status` tells the exit status and the last line of the log, and exits 1."""
    told = rows([state(log, "airflow-db", "EXITED", 2), state(log, "envoy")])
    settings = Settings.from_env({"TRIMTAB_HOME": str(tmp_path)})
    monkeypatch.setattr(Stack, "open", lambda _: SimpleNamespace(status=lambda: told))
    monkeypatch.setattr(sys.modules[status.callback.__module__], "surroundings", lambda _: ({}, settings))
    monkeypatch.setattr(overview, "look", lambda *_: [])

    result: Result = CliRunner().invoke(cli, ["status", "--home", str(tmp_path)])

    assert result.exit_code == 1, result.output
    assert "airflow-db: exited: exit status 2; no space [left] on device\n" in result.output
    assert "envoy: " not in result.output
