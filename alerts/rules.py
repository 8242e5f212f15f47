"""The alert rules: static files that serve every model, because their thresholds are metrics.

Only two things are done to them on the way to Prometheus: runbook links are stamped in, and a
replay may shorten how long a condition must hold.
"""

from __future__ import annotations

import math
import re
from copy import deepcopy
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from alerts.runbooks import DOCS, stamp
from spec import InputError, Problem

_MS = {
    "ms": 1,
    "s": 1_000,
    "m": 60_000,
    "h": 3_600_000,
    "d": 86_400_000,
    "w": 604_800_000,
    "y": 31_536_000_000,
}
_HOLDS = ("for", "keep_firing_for")
_CLOCKED = "monitor"


def load() -> dict[str, dict[str, Any]]:
    """Return the rule files of this room as parsed YAML, by file name, in order of name."""
    found = (entry for entry in files("alerts").joinpath("rules").iterdir() if entry.name.endswith(".yaml"))
    return {
        entry.name: yaml.safe_load(entry.read_text("utf-8")) for entry in sorted(found, key=lambda e: e.name)
    }


def accelerate(rules: dict[str, Any], speed: float) -> dict[str, Any]:
    """Return a copy of a rule file in which alerts on closed windows hold `speed` times shorter.

    Those alerts carry the label `monitor`, and what they judge moves with the clock. All else is
    wall time in a replay too: whether a server answers, how long it takes, the windows of `rate`.

    Parameters
    ----------
    rules
        A parsed rule file.
    speed
        Simulated seconds a wall second, above 0; 1 changes nothing. Spans are rounded to the
        millisecond, the finest that Prometheus knows; what is shorter becomes ``0s``.

    Raises
    ------
    InputError
        If `speed` is not a positive, finite number.
    """
    if not (math.isfinite(speed) and speed > 0):
        raise InputError([Problem("speed", "must be a positive, finite number", repr(speed))])
    shorter = deepcopy(rules)
    for group in shorter["groups"]:
        for rule in group["rules"]:
            if _CLOCKED in rule.get("labels", {}):
                rule.update({key: _shorten(rule[key], speed) for key in _HOLDS if key in rule})
    return shorter


def rule_files(target: Path, speed: float = 1.0, runbooks: str = DOCS) -> tuple[Path, ...]:
    """Write the whole set for a Prometheus to read; return the paths, in order of name.

    Parameters
    ----------
    target
        Folder, made if missing; files of the same name are replaced.
    speed
        See `accelerate`.
    runbooks
        Base of the runbook links; see `runbooks.link`.
    """
    target.mkdir(parents=True, exist_ok=True)
    written = []
    for name, rules in load().items():
        path = target / name
        text = yaml.safe_dump(stamp(accelerate(rules, speed), runbooks), sort_keys=False, width=1000)
        path.write_text(text, "utf-8")
        written.append(path)
    return tuple(written)


def _shorten(span: str, speed: float) -> str:
    if speed == 1:
        return span
    milliseconds = round(_milliseconds(span) / speed)
    return f"{milliseconds}ms" if milliseconds else "0s"


def _milliseconds(span: str) -> int:
    """Read a span as Prometheus writes it, ``90s`` or ``1h30m``."""
    parts = re.findall(r"(\d+)(ms|[smhdwy])", span)
    return sum(int(number) * _MS[unit] for number, unit in parts)
