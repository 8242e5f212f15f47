from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

from trimtab.demo.timeline import Clocks, slack_messages, slack_text

SPRING = datetime(2013, 3, 1, tzinfo=UTC)


def test_the_simulated_time_of_a_wall_time_is_interpolated() -> None:
    """Half way between two marks of the wall clock is half way between those of the replay."""
    clocks = Clocks()
    before = datetime.now(UTC)
    clocks.mark(SPRING)
    clocks.mark(SPRING + timedelta(days=1))
    after = datetime.now(UTC)

    assert SPRING <= clocks.simulated(before + (after - before) / 2) <= SPRING + timedelta(days=1)
    assert SPRING == clocks.simulated(before - timedelta(hours=1))
    assert SPRING + timedelta(days=1) == clocks.simulated(after + timedelta(hours=1))


def test_messages_of_alertmanager_and_airflow_are_both_read() -> None:
    """An alert is told by title and summary, Airflow's message by its text."""
    alert = {"attachments": [{"title": "[CRITICAL] Below: m", "text": "*AUC fell*\nfrom .7 to .6"}]}

    assert "[CRITICAL] Below: m: AUC fell" == slack_text(alert)
    assert "*m* version 2 is champion" == slack_text({"text": "*m* version 2 is champion"})


def test_what_slack_was_told_comes_in_order(tmp_path: Path) -> None:
    """Each line of the stand-in's file is an event with both times; no file is no event."""
    clocks = Clocks()
    clocks.mark(SPRING)
    file = tmp_path / "messages.jsonl"
    lines = [{"at": datetime.now(UTC).isoformat(), "message": {"text": text}} for text in ("one", "two")]
    file.write_text("\n".join(json.dumps(line) for line in lines))

    assert ["one", "two"] == [event.text for event in slack_messages(file, clocks)]
    assert [] == slack_messages(tmp_path / "none", clocks)
