from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest

from alerts.rules import load
from alerts.runbooks import DOCS, link, stamp

ROOT = Path(__file__).parents[2]
ALERTS = [
    rule for file in load().values() for group in file["groups"] for rule in group["rules"] if "alert" in rule
]
NAMES = sorted({rule["alert"] for rule in ALERTS})


def test_each_alert_has_a_runbook_and_each_runbook_an_alert() -> None:
    """Whoever is woken finds a page, and no page speaks of an alert that is gone."""
    assert NAMES == sorted(path.stem for path in (ROOT / DOCS).glob("*.md"))


@pytest.mark.parametrize("name", NAMES)
def test_a_runbook_says_what_it_means_where_to_look_and_what_to_do(name: str) -> None:
    """Every page has the same three answers under the alert's own name."""
    text = (ROOT / link(name)).read_text("utf-8")
    headings = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)

    assert headings == [name, "What it means", "Where to look", "What to do"]


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_an_alert_says_how_bad_it_is_and_what_happened(rule: dict[str, Any]) -> None:
    """Every alert has a known severity, a constant summary and a description with values."""
    assert rule["labels"]["severity"] in {"critical", "warning", "info"}
    assert "{{" not in rule["annotations"]["summary"]
    assert rule["alert"] == "TrimtabWatchdog" or "{{ $" in rule["annotations"]["description"]
    assert "runbook_url" not in rule["annotations"]


def test_stamping_leaves_recording_rules_alone() -> None:
    """Only alerts get a runbook, made from their name and the base."""
    given = {"groups": [{"rules": [{"record": "a:b:c", "expr": "1"}, {"alert": "A", "annotations": {}}]}]}
    stamped = stamp(given, "https://x/")

    record, alert = stamped["groups"][0]["rules"]
    assert record == {"record": "a:b:c", "expr": "1"}
    assert alert["annotations"] == {"runbook_url": "https://x/A.md"}


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_thresholds_are_metrics(rule: dict[str, Any]) -> None:
    """No alert compares with a number of its own, other than none and all: one rule serves every model."""
    assert set(_literals(promql_parser.parse(rule["expr"]))) <= {0.0, 1.0}


def _literals(node: Any) -> Iterator[float]:
    """Yield the numbers that an expression compares with."""
    compared = getattr(node, "op", None) in {"<", ">", "<=", ">=", "==", "!="}
    for side in ("lhs", "rhs", "expr"):
        part = getattr(node, side, None)
        if compared and isinstance(part, promql_parser.NumberLiteral):
            yield part.val
        elif part is not None:
            yield from _literals(part)
