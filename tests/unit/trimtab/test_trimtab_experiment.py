from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from dags import experiment
from rollout.experiment.report import Report
from spec import NotFound, Settings, SpecError
from spec.experiment import Experiment
from trimtab import runs
from trimtab.cli import cli

MODELS = Path(__file__).parents[3] / "models"


def asked(home: Path, *argv: str) -> Result:
    """Run the command on the shipped models."""
    return CliRunner().invoke(cli, ["experiment", *argv, "--home", str(home), "--models", str(MODELS)])


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    """What Airflow was asked for."""
    seen: list[tuple[str, dict[str, Any]]] = []

    def start(_: Settings, dag_id: str, conf: dict[str, Any]) -> runs.Started:
        seen.append((dag_id, conf))
        return runs.Started(dag_id, "cli-1", "http://airflow/run")

    monkeypatch.setattr(runs, "start", start)
    return seen


def test_only_what_was_asked_for_is_sent(tmp_path: Path, started: list[tuple[str, dict[str, Any]]]) -> None:
    """What is left out is as the model's YAML says when the run begins."""
    asked(tmp_path, "flights", "7", "--for", "3d", "--as", "ada")
    asked(tmp_path, "flights", "--share", "20%", "--early", "--as", "ada")

    assert [
        ("experiment_flights", {"asked_by": "ada", "version": "7", "for": "3d"}),
        ("experiment_flights", {"asked_by": "ada", "share": "20%", "early": True}),
    ] == started


def test_impossible_terms_start_nothing(tmp_path: Path, started: list[tuple[str, dict[str, Any]]]) -> None:
    """A split that cannot be is told here, and not in the log of a task."""
    result = asked(tmp_path, "flights", "--share", "100%", "--for", "1y")

    assert isinstance(result.exception, SpecError)
    assert "experiment.share: must be a whole percent" in str(result.exception)
    assert "experiment.for: must be a duration" in str(result.exception)
    assert [] == started


def test_the_newest_report_is_printed(tmp_path: Path) -> None:
    """As Markdown, or as the JSON that it was kept as; without one the way to start one is told."""
    nothing = asked(tmp_path, "flights", "--report")
    assert isinstance(nothing.exception, NotFound)
    assert "trimtab experiment flights" in str(nothing.exception)

    began = datetime(2013, 4, 1, tzinfo=UTC)
    terms = Experiment().but(share="20%")
    told = Report(
        model="flights", challenger="7", champion="6", terms=terms, began=began, at=began, alpha=0.05,
        requests_per_user=1, comparisons=(), limits=(),
    )  # fmt: skip
    settings = Settings.from_env({"TRIMTAB_HOME": str(tmp_path)})
    experiment.keep(settings, {"began": began.isoformat()}, told)

    assert "# Experiment: flights 7 against 6" in asked(tmp_path, "flights", "--report").output
    plain = json.loads(asked(tmp_path, "flights", "--report", "--json").output)
    assert {"share": 0.2, "for": "2w", "early": False} == plain["terms"]
