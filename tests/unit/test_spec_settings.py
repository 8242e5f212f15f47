from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

import spec
from spec.settings import Settings


def test_only_the_home_is_required(tmp_path: Path) -> None:
    """With a home, everything else has a default on loopback."""
    settings = Settings.from_env({"TRIMTAB_HOME": str(tmp_path)})

    assert f"sqlite:///{tmp_path}/results.db" == settings.results_url
    assert str(tmp_path / "x/log") == settings.location("x/log")
    assert "s3://bucket/log" == settings.location("s3://bucket/log")


def test_all_wrong_variables_are_named_at_once(tmp_path: Path) -> None:
    """A missing home, a bad slots table and a missing clock come in one error."""
    with pytest.raises(spec.SettingsError) as caught:
        Settings.from_env({"TRIMTAB_SLOTS": "{", "TRIMTAB_CLOCK": str(tmp_path / "none")})

    assert ["TRIMTAB_HOME", "TRIMTAB_SLOTS", "TRIMTAB_CLOCK"] == [p.where for p in caught.value.problems]


def test_slots_must_be_blue_and_green(tmp_path: Path) -> None:
    """A slots table with other names is refused."""
    with pytest.raises(spec.SettingsError, match="TRIMTAB_SLOTS"):
        Settings.from_env({"TRIMTAB_HOME": str(tmp_path), "TRIMTAB_SLOTS": '{"m": {"red": "http://x"}}'})


def test_a_secret_is_read_from_its_file_and_never_shown(tmp_path: Path) -> None:
    """A secret comes from a file; an empty or missing one is an error that names the file."""
    (tmp_path / "good").write_text("s3cret\n")
    (tmp_path / "empty").write_text("")

    assert "s3cret" == spec.read_secret(tmp_path / "good")
    for name in ("empty", "missing"):
        with pytest.raises(spec.SettingsError, match=name):
            spec.read_secret(tmp_path / name)


def test_a_replay_clock_is_what_its_owner_set(tmp_path: Path) -> None:
    """The clock of a replay returns the time in its file, in UTC."""
    file = tmp_path / "clock"
    spec.set_clock(file, datetime(2013, 3, 1, 12, tzinfo=UTC))

    assert datetime(2013, 3, 1, 12, tzinfo=UTC) == spec.Clock(file).now()
    with pytest.raises(ValueError, match="timezone"):
        spec.set_clock(file, datetime(2013, 3, 1, 12))  # noqa: DTZ001 - the mistake itself


def test_the_wall_clock_is_aware() -> None:
    """Without a file the clock is the wall clock, timezone-aware."""
    assert UTC == spec.Clock().now().tzinfo
