"""Runbook links, made from the alerts' names so that no rule has to repeat one."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

DOCS = "docs/runbooks"


def link(alert: str, base: str = DOCS) -> str:
    """Return where the runbook of an alert is: ``<base>/<alert>.md``.

    Parameters
    ----------
    alert
        Name of the alert.
    base
        Folder or URL that holds the runbooks; the default is the repository's own, relative.
    """
    return f"{base.rstrip('/')}/{alert}.md"


def stamp(rules: dict[str, Any], base: str = DOCS) -> dict[str, Any]:
    """Return a copy of a rule file in which every alert carries its `runbook_url`."""
    stamped = deepcopy(rules)
    for group in stamped["groups"]:
        for rule in group["rules"]:
            if "alert" in rule:
                rule["annotations"]["runbook_url"] = link(rule["alert"], base)
    return stamped
