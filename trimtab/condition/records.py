"""What is known of a model at one moment, as it is printed and as JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from monitors.results.records import Measurement, Status
from monitors.triage import Triage
from trimtab.overview import SlotView


@dataclass(frozen=True, slots=True)
class Champion:
    """The version that answers; `since` is None, and `source` empty, where no event tells."""

    version: str
    since: datetime | None = None
    source: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """The decision of the present episode.

    Parameters
    ----------
    triage
        As it was when the episode began.
    since
        When that was; processing time.
    why, evidence
        Of the newest window: the same decision, with newer figures.
    """

    triage: Triage
    since: datetime
    why: str
    evidence: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Finding:
    """What one monitor said of the champion in its newest windows, ``[start, end)`` of event time.

    Parameters
    ----------
    lines
        Words for a person, the gravest first.
    numbers
        The measurements that the words are made of.
    """

    name: str
    status: Status
    start: datetime | None
    end: datetime | None
    lines: tuple[str, ...]
    numbers: tuple[Measurement, ...] = ()


@dataclass(frozen=True, slots=True)
class Condition:
    """One model, now.

    Parameters
    ----------
    now
        Processing time of the look.
    judged_until
        End of the newest window that a monitor has judged; None before the first.
    under_way
        Its experiment, rollout and retrain, a line each.
    last_event
        The last retrain or rollout step, with its time (processing time), or empty.
    next_action
        What happens next, or who must do what.
    warnings
        What is wrong around the model: processes that do not run, a silent slot, monitors that lag.
    """

    model: str
    task: str
    now: datetime
    judged_until: datetime | None
    champion: Champion | None
    slots: tuple[SlotView, ...]
    under_way: tuple[str, ...]
    decision: Decision | None
    last_event: str
    next_action: str
    findings: tuple[Finding, ...]
    warnings: tuple[str, ...]
    needs_somebody: bool

    def as_plain(self) -> dict[str, Any]:
        """Return everything as values that JSON knows but for times; what a number lacks is left out."""
        plain = asdict(self)
        for finding in plain["findings"]:
            finding["numbers"] = [
                {name: value for name, value in number.items() if value is not None}
                for number in finding["numbers"]
            ]
        return plain
