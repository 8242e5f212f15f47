from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

from alerts.rules import accelerate, load, rule_files
from spec import InputError


def rules(labels: dict[str, str] | None = None, **spans: str) -> dict[str, Any]:
    """Make a rule file with one alert, on closed windows unless other labels are given."""
    alert = {"alert": "A", "expr": "rate(x[5m]) > 0", "labels": labels or {"monitor": "drift"}, **spans}
    return {"groups": [{"name": "g", "rules": [{"record": "a:b:c", "expr": "1"}, alert]}]}


def spans(of: dict[str, Any]) -> dict[str, str]:
    """Return the spans of the one alert."""
    return {key: value for key, value in of["groups"][0]["rules"][1].items() if key.endswith("for")}


@pytest.mark.parametrize(
    ("span", "speed", "expected"),
    [
        ("5m", 1, "5m"),
        ("5m", 300, "1000ms"),
        ("1h30m", 3600, "1500ms"),
        ("1d", 72_000, "1200ms"),
        ("5m", 72_000, "4ms"),
        ("2w", 0.5, "2419200000ms"),
        ("1s", 2000, "0s"),
        ("0s", 10, "0s"),
    ],
)
def test_spans_shrink_to_the_millisecond(span: str, speed: float, expected: str) -> None:
    """A span is divided by the speed and written in a unit that loses nothing above a millisecond."""
    faster = accelerate(rules(**{"for": span, "keep_firing_for": span}), speed)

    assert spans(faster) == {"for": expected, "keep_firing_for": expected}


def test_rate_windows_stay() -> None:
    """Scrapes come at wall time in a replay too, so the windows of a rate keep their length."""
    faster = accelerate(rules(**{"for": "5m"}), 1000)

    assert faster["groups"][0]["rules"][1]["expr"] == "rate(x[5m]) > 0"


def test_what_watches_servers_keeps_its_patience() -> None:
    """A server that misses one scrape of a replay is not down: only alerts on closed windows hurry."""
    given = rules({"severity": "critical"}, **{"for": "5m"})

    assert accelerate(given, 1000) == given
    clocked = {
        rule["alert"]
        for file in load().values()
        for group in accelerate(file, 1e6)["groups"]
        for rule in group["rules"]
        if rule.get("for", "").endswith("ms") or rule.get("for") == "0s"
    }
    assert clocked == {
        "TrimtabCollectLabels",
        "TrimtabCorrelationDrift",
        "TrimtabDataDrift",
        "TrimtabDataQuality",
        "TrimtabErrorAboveBand",
        "TrimtabFixData",
        "TrimtabFixInfra",
        "TrimtabPerformanceBelowBand",
        "TrimtabPredictionDrift",
        "TrimtabRetrainNeeded",
        "TrimtabUnequalGroups",
        "TrimtabWorseSlice",
    }


def test_the_given_rules_are_not_changed() -> None:
    """Accelerating is a copy."""
    given = rules(**{"for": "5m"})
    before = deepcopy(given)
    accelerate(given, 10)

    assert given == before


@pytest.mark.parametrize("speed", [0, -1, float("nan"), float("inf")])
def test_a_speed_that_is_none_is_refused(speed: float) -> None:
    """Only a positive, finite speed makes sense."""
    with pytest.raises(InputError, match="speed: must be a positive"):
        accelerate(rules(), speed)


def test_the_whole_set_is_written(tmp_path: Path) -> None:
    """Every rule file is there, with runbooks stamped in and spans as asked for."""
    paths = rule_files(tmp_path / "new" / "rules", 300, "https://docs.example/runbooks/")

    assert [path.name for path in paths] == list(load())
    data = yaml.safe_load((tmp_path / "new" / "rules" / "data.yaml").read_text("utf-8"))
    drift = next(rule for rule in data["groups"][0]["rules"] if "alert" in rule)
    assert drift["for"] == "1000ms"
    assert drift["annotations"]["runbook_url"] == "https://docs.example/runbooks/TrimtabDataDrift.md"
