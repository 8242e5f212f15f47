"""What came of a replay, as a record."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import timedelta

from trimtab.demo.comparison import Comparison
from trimtab.demo.timeline import Event


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of the replay: the promoted versions, what Slack was told, how the requests fared."""

    promoted: list[str]
    comparisons: list[Comparison]
    events: list[Event]
    answered: int
    failed: int
    first_failure: str
    took: timedelta

    def to_json(self) -> dict[str, object]:
        """Return everything as JSON types; times as ISO 8601, the duration in seconds."""
        plain: dict[str, object] = json.loads(json.dumps(asdict(self), default=_json))
        return plain


def _json(value: object) -> object:
    return value.total_seconds() if isinstance(value, timedelta) else str(value)
