"""One screen for whoever was woken: the decision and its reason first, then the figures behind it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from monitors.results.records import Status
from monitors.triage import Action
from spec import ModelSpec
from trimtab.condition.findings import moment
from trimtab.condition.records import Condition, Decision, Finding
from trimtab.overview import SlotView

_MOST_EVIDENCE = 4
_ACTIONS: dict[Action, tuple[str, str]] = {
    Action.FIX_DATA: ("FIX THE DATA", "white on red"),
    Action.RETRAIN: ("RETRAIN", "black on yellow"),
    Action.FIX_INFRA: ("FIX THE SERVICE", "white on red"),
    Action.COLLECT_LABELS: ("COLLECT LABELS", "black on yellow"),
    Action.WATCH: ("WATCH", "black on cyan"),
    Action.NONE: ("ALL WELL", "black on green"),
}
_MARKS: dict[Status, tuple[str, str]] = {
    "ok": ("✓", "green"),
    "alarm": ("✗", "red"),
    "no_data": ("?", "yellow"),
}


def draw(console: Console, spec: ModelSpec, condition: Condition) -> None:
    """Print a model's state."""
    length = spec.monitor.window
    console.print(_headline(condition))
    for warning in condition.warnings:
        console.print(Text(f"! {warning}", "bold red"))
    console.print(Padding(_body(condition, length), (0, 0, 0, 1)))
    console.print()
    console.print(_slots(condition))
    console.print()
    console.print(_figures(condition.findings, length))


def _headline(condition: Condition) -> Text:
    badge, style = _badge(condition)
    line = Text.assemble(
        (f" {badge} ", f"bold {style}"), "  ", (condition.model, "bold"), f" ({condition.task})"
    )
    if condition.champion is not None:
        line.append(f", version {condition.champion.version}")
    if condition.decision is not None:
        triage = condition.decision.triage
        line.append(f"; {triage.cause}, since {condition.decision.since:%Y-%m-%d %H:%M}")
    return line


def _badge(condition: Condition) -> tuple[str, str]:
    if condition.decision is not None:
        return _ACTIONS[condition.decision.triage.action]
    return ("NOTHING KNOWN", "black on yellow") if condition.judged_until is None else _ACTIONS[Action.NONE]


def _body(condition: Condition, length: timedelta) -> RenderableType:
    rows = Table.grid(padding=(0, 2))
    rows.add_column(style="dim", no_wrap=True, min_width=10)
    rows.add_column(overflow="fold")
    rows.add_row("why", Text(_why(condition), "bold"))
    if condition.decision is not None:
        for label, text in _reasons(condition.decision, length):
            rows.add_row(label, text)
    rows.add_row("next", Text(condition.next_action, "bold"))
    return rows


def _why(condition: Condition) -> str:
    if condition.decision is not None:
        return condition.decision.why
    if condition.judged_until is None:
        return "No window of this model has been judged yet."
    return "No monitor has found anything."


def _reasons(decision: Decision, length: timedelta) -> Iterable[tuple[str, str]]:
    triage = decision.triage
    shown = [text for text in decision.evidence if text not in decision.why]
    for place, text in enumerate(shown[:_MOST_EVIDENCE]):
        yield ("" if place else "evidence"), text
    if triage.training is not None:
        window = triage.training
        start = (
            "all labelled events" if window.start is None else f"events from {moment(window.start, length)}"
        )
        weight = "" if window.old_weight == 1 else f", older rows weigh {window.old_weight:.0%}"
        without = f", without {_windows(len(window.excluded))}" if window.excluded else ""
        yield "train on", f"{start}{weight}{without}. {window.why}"


def _slots(condition: Condition) -> Group:
    champion = condition.champion
    lines: list[RenderableType] = []
    if champion is not None:
        since = "" if champion.since is None else f" since {champion.since:%Y-%m-%d %H:%M}"
        source = f", {champion.source}" if champion.source else ""
        lines.append(Text(f" champion is version {champion.version}{since}{source}"))
    lines += [Text(f" now: {line}", "bold cyan") for line in condition.under_way]
    if condition.last_event:
        lines.append(Text(f" last: {condition.last_event}", "dim"))
    table = Table.grid(padding=(0, 2))
    if not condition.slots:
        table.add_row(" ", "no slots of this model are known here")
    for slot in condition.slots:
        table.add_row(" ", *_slot(slot))
    return Group(*lines, table)


def _slot(slot: SlotView) -> tuple[str, ...]:
    version = f"version {slot.version}" if slot.version else "no answer" if slot.trouble else "empty"
    copies = "gets copies of the traffic" if slot.mirrored else ""
    share = "traffic not known" if slot.weight is None else f"{slot.weight} % of the traffic"
    return slot.slot, slot.role, version, share, copies


def _figures(findings: Iterable[Finding], length: timedelta) -> Table:
    table = Table.grid(padding=(0, 1))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, min_width=9)
    table.add_column(ratio=1, overflow="fold")
    table.add_column(no_wrap=True, style="dim", justify="right")
    for finding in findings:
        mark, style = _MARKS[finding.status]
        first, *others = finding.lines
        span = _window(finding.start, finding.end, length)
        table.add_row(Text(f" {mark}", style), finding.name, Text(first, style if mark == "✗" else ""), span)
        for line in others:
            table.add_row("", "", Text(line, "dim"), "")
    return table


def _window(start: datetime | None, end: datetime | None, length: timedelta) -> str:
    if start is None or end is None:
        return ""
    first, last = moment(start, length), moment(end, length)
    year = f"{end:%Y-}"
    return f"{first} – {last.removeprefix(year) if first.startswith(year) else last}"


def _windows(count: int) -> str:
    return "1 faulty window" if count == 1 else f"{count} faulty windows"
