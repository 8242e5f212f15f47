from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from alerts.rules import load, rule_files

CASES = sorted(Path(__file__).parent.glob("alerts_*.yaml"))


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the rules as Prometheus gets them."""
    folder = tmp_path_factory.mktemp("rules")
    rule_files(folder)
    return folder


def promtool(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run promtool; its findings are in the output."""
    return subprocess.run(
        ["promtool", *map(str, arguments)], capture_output=True, text=True, check=False, timeout=120
    )


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.stem)
def test_alerts_fire_at_their_boundary_and_not_before(case: Path, rules: Path) -> None:
    """Each alert is silent one step before its span ends and fires at the end with its whole message."""
    shutil.copy(case, rules)
    done = promtool("test", "rules", rules / case.name)

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("speed", [1, 72_000, 1e12])
def test_prometheus_reads_the_rules_at_any_speed(speed: float, tmp_path: Path) -> None:
    """What a replay makes of the rules is still a valid rule file, linted."""
    done = promtool("check", "rules", "--lint-fatal", *rule_files(tmp_path, speed))

    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_has_a_case() -> None:
    """No alert ships without a case in which it fires, and no case names an alert that is gone."""
    shipped = {
        rule["alert"]
        for file in load().values()
        for group in file["groups"]
        for rule in group["rules"]
        if "alert" in rule
    }
    fired = {
        check["alertname"]
        for case in CASES
        for test in yaml.safe_load(case.read_text("utf-8"))["tests"]
        for check in test.get("alert_rule_test", ())
        if check.get("exp_alerts")
    }

    assert shipped == fired
