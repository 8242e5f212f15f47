"""The end of the demo on paper: the timeline, the before/after table, the addresses."""

from __future__ import annotations

from datetime import datetime

from rich.console import Console
from rich.table import Table

from trimtab.demo.comparison import Comparison
from trimtab.demo.outcome import Outcome
from trimtab.demo.timeline import Event
from trimtab.demo.traffic import Progress


def print_timeline(console: Console, events: list[Event], started: datetime) -> None:
    """Print what Slack was told, but for the all-clears: wall time since the start, simulated date, text."""
    table = Table(title="What happened, by itself", title_justify="left", show_lines=False)
    table.add_column("wall", justify="right")
    table.add_column("simulated")
    table.add_column("told by")
    table.add_column("event", overflow="fold")
    for event in sorted(event for event in events if not event.text.startswith("[RESOLVED]")):
        seconds = int((event.wall - started).total_seconds())
        lines = event.text.splitlines()
        table.add_row(
            f"{seconds // 60}:{seconds % 60:02}",
            f"{event.simulated:%d %b}",
            event.source,
            lines[0] if lines else "",
        )
    console.print(table)


def print_comparison(console: Console, comparisons: list[Comparison]) -> None:
    """Print each promoted version beside the first champion."""
    for found in comparisons:
        table = Table(
            title=f"Version {found.version} beside the first champion: {found.rows:,} labelled flights that "
            f"{found.version} answered live, {found.first:%d %b} – {found.last:%d %b}",
            title_justify="left",
        )
        for column, justify in [
            ("", "left"),
            ("first champion", "right"),
            (f"version {found.version}", "right"),
        ]:
            table.add_column(column, justify="left" if justify == "left" else "right")
        table.add_column("change")
        for metric, paired in found.metrics.items():
            change = f"{paired.difference:+.3f}  [{paired.low:+.3f}, {paired.high:+.3f}] 95 %, by day blocks"
            table.add_row(str(metric), f"{paired.before:.3f}", f"{paired.after:.3f}", change)
        before, after = found.before, found.after
        table.add_row(
            "size",
            f"{before.size / 1e6:.1f} MB",
            f"{after.size / 1e6:.2f} MB",
            f"{before.size / after.size:.0f}× smaller",
        )
        table.add_row(
            "one row",
            f"{before.row_seconds * 1e6:.0f} µs",
            f"{after.row_seconds * 1e6:.0f} µs",
            f"{before.row_seconds / after.row_seconds:.1f}× faster",
        )
        console.print(table)


def print_all(console: Console, outcome: Outcome, sent: Progress, started: datetime) -> None:
    """Print the timeline, the comparisons and one closing sentence."""
    print_timeline(console, outcome.events, started)
    print_comparison(console, outcome.comparisons)
    failed = f"{outcome.failed} failed" + (f" (first: {outcome.first_failure})" if outcome.failed else "")
    minutes, seconds = divmod(int(outcome.took.total_seconds()), 60)
    console.print(
        f"{outcome.answered:,} requests, {failed}; {sent.labelled:,} labels; "
        f"{len(outcome.promoted)} loops closed by themselves; {minutes} min {seconds} s"
    )
