"""What the terminal shows while the year goes by."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from monitors.results.store import Store
from spec import ModelSpec, Settings
from trimtab.demo.timeline import Clocks, Event, slack_messages
from trimtab.demo.traffic import Progress as Sent
from trimtab.slack import messages_file

EVENTS_SHOWN = 8


class LiveView:
    """A bar over the year, who answers, the last drift and performance, the last events.

    Parameters
    ----------
    sent
        The replay's progress; read, never written.
    clocks
        To tell the simulated date of what happened.
    """

    def __init__(self, spec: ModelSpec, settings: Settings, sent: Sent, clocks: Clocks) -> None:
        self._spec = spec
        self._settings = settings
        self._sent = sent
        self._clocks = clocks
        self._store = Store(settings.results_url)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=60),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeElapsedColumn(),
        )
        self._task = self._bar.add_task("", total=(sent.end - sent.start).total_seconds())

    def render(self) -> RenderableType:
        """Return the whole view as it is now."""
        sent = self._sent
        self._bar.update(
            self._task,
            completed=(sent.now - sent.start).total_seconds(),
            description=f"[bold]{sent.now:%d %B %Y}",
        )
        return Group(
            self._bar, self._figures(), Panel(self._events(), title="last events", title_align="left")
        )

    def events(self) -> list[Event]:
        """Return what Slack has been told so far."""
        return slack_messages(messages_file(self._settings.home), self._clocks)

    def _figures(self) -> Table:
        table = Table.grid(padding=(0, 3))
        sent = self._sent
        table.add_row("answered", f"{sum(sent.answers.values()):,}", "failed", str(sent.failed))
        table.add_row(
            "labels", f"{sent.labelled:,}", "traffic", traffic(self._settings.home, self._spec.model)
        )
        table.add_row(
            "drifted features", self._last_drift(), self._spec.performance_metric, self._last_performance()
        )
        return table

    def _last_drift(self) -> str:
        return self._latest("drift", "drifted_features_ratio", None, "{value:.0%}  (limit {limit:.0%})")

    def _last_performance(self) -> str:
        form = "{value:.3f} [{low:.3f}, {high:.3f}]  (floor {limit:.3f})"
        return self._latest("performance", "performance", self._spec.performance_metric.value, form)

    def _latest(self, monitor: str, name: str, method: str | None, form: str) -> str:
        """The newest measurement of a name and method, each live version on its own."""
        results = [result for result in self._store.latest(self._spec.model) if result.monitor == monitor]
        newest = max((result.end for result in results), default=None)
        shown = []
        for result in results:
            for found in result.measurements:
                if result.end == newest and (found.name, found.method) == (name, method):
                    numbers = {key: getattr(found, key) or 0.0 for key in ("value", "low", "high", "limit")}
                    shown.append(f"v{result.version} " + form.format(**numbers))
                    break
        return "   ".join(shown) or "–"

    def _events(self) -> Table:
        table = Table.grid(padding=(0, 2))
        for event in self.events()[-EVENTS_SHOWN:]:
            table.add_row(f"{event.simulated:%d %b}", event.text.splitlines()[0][:110] if event.text else "")
        return table


def traffic(home: Path, model: str) -> str:
    """Who gets the live traffic now, as the router's state has it."""
    try:
        split = json.loads((home / "routes" / f"{model}.json").read_text("utf-8"))
    except FileNotFoundError:
        return "–"
    shares = "  ".join(f"{slot} {percent} %" for slot, percent in sorted(split["weights"].items()))
    mirror = f"  mirror → {split['mirror']}" if split.get("mirror") else ""
    return shares + mirror


def plain(view: LiveView, write: Callable[[str], None]) -> Callable[[], None]:
    """Return a function that writes each new event as one line, for output that is no terminal."""
    written = 0

    def tell() -> None:
        nonlocal written
        events = view.events()
        for event in events[written:]:
            stamp = datetime.now(UTC).strftime("%H:%M:%S")
            write(f"{stamp}  {event.simulated:%d %b}  {event.text.splitlines()[0] if event.text else ''}")
        written = len(events)

    return tell
