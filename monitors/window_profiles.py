"""What was counted in each window of each version: made once from its rows, stored, and added up."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pyarrow as pa

from monitors.ledger import HORIZON
from monitors.profiles import profile_format
from monitors.profiles.plan import Plan
from monitors.profiles.profile import Profile, merged
from monitors.profiles.tally import count
from monitors.results.records import WindowProfile
from monitors.results.store import Store
from monitors.windows import Window
from spec import ModelSpec


@dataclass(frozen=True, slots=True)
class Past:
    """The profiles of one version's windows by their start; windows without rows have none."""

    length: timedelta
    profiles: Mapping[datetime, Profile]

    def starts(self, span: Window) -> tuple[datetime, ...]:
        """Return the starts of the windows with rows in a span, oldest first."""
        starts = (span.start + at * self.length for at in range(span.length // self.length))
        return tuple(start for start in starts if start in self.profiles)

    def within(self, span: Window) -> tuple[Profile, ...]:
        """Return the profiles of the windows in a span, oldest first."""
        return tuple(self.profiles[start] for start in self.starts(span))

    def pooled(self, span: Window) -> Profile | None:
        """Return the profile of all rows in a span; None if there are none."""
        found = self.within(span)
        return merged(found) if found else None


def needed(spec: ModelSpec, window: Window) -> Window:
    """Return the span that a verdict on a window looks at, its rolling reference included."""
    drift = spec.monitor.data_drift
    pooled = window.pooled(drift.depth)
    return Window(pooled.start - (drift.reference.rolling or timedelta(0)), window.end)


@dataclass(slots=True)
class WindowProfiles:
    """The stored profiles of one model, and which of its windows must be counted (again)."""

    spec: ModelSpec
    store: Store
    _with_rows: set[datetime] = field(default_factory=set)
    _late: set[datetime] = field(default_factory=set)

    def touched(self, starts: Collection[datetime], *, is_late: bool) -> None:
        """Note that windows have rows; late ones came after the window may have been counted."""
        self._with_rows.update(starts)
        if is_late:
            self._late.update(starts)

    def uncounted(self, windows: Sequence[Window]) -> tuple[Window, ...]:
        """Return the windows with rows that some verdicts look at and whose profile is missing or old."""
        if not windows:
            return ()
        spans = [needed(self.spec, window) for window in windows]
        first, end = min(span.start for span in spans), max(span.end for span in spans)
        stored = self.store.profiled(self.spec.model, first, end)
        length = self.spec.monitor.window
        starts = sorted(start for start in self._with_rows if first <= start < end)
        known = (Window(start, start + length) for start in starts)
        return tuple(
            window
            for window in known
            if window.start in self._late or (window.start, window.end) not in stored
        )

    def count(self, window: Window, version: str, plan: Plan, rows: pa.Table) -> None:
        """Count the rows of a version in a window and store the profile."""
        profile = count(plan, rows.schema, rows.to_batches())
        stored = WindowProfile(
            self.spec.model,
            version,
            plan.fingerprint,
            window.start,
            window.end,
            profile.rows,
            profile_format.to_bytes(profile, with_plan=False),
        )
        keep_from = needed(self.spec, window.shifted(-HORIZON)).start
        self.store.save_profile(stored, keep_from)

    def counted(self, window: Window) -> None:
        """Note that the profiles of all versions in a window are those of its rows."""
        self._late.discard(window.start)

    def past(self, window: Window, version: str, plan: Plan) -> Past:
        """Return the profiles of a version that a verdict on a window looks at."""
        span = needed(self.spec, window)
        stored = self.store.profiles(self.spec.model, version, plan.fingerprint, span.start, span.end)
        length = self.spec.monitor.window
        return Past(
            length,
            {
                found.start: profile_format.from_bytes(found.content, plan=plan)
                for found in stored
                if found.end - found.start == length and found.rows
            },
        )
