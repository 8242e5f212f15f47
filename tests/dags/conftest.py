"""Airflow reads its home when it is first imported: give it an empty one before that."""

import os
import tempfile
from pathlib import Path
from typing import Any

import pytest

_HOME = tempfile.TemporaryDirectory(prefix="airflow-dags-")
os.environ |= {
    "AIRFLOW_HOME": _HOME.name,
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
}


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The state folder and the shipped models, as the stack sets them for Airflow."""
    monkeypatch.setenv("TRIMTAB_HOME", str(tmp_path))
    monkeypatch.setenv("TRIMTAB_MODELS", str(Path("models").absolute()))


class Task:
    """The task instance as an operator sees it."""

    def __init__(self) -> None:
        self.pushed: dict[str, Any] = {}

    def xcom_push(self, key: str, value: Any) -> None:
        """Keep what the next tasks read."""
        self.pushed[key] = value


@pytest.fixture
def task() -> Task:
    """A task instance that has pushed nothing."""
    return Task()
