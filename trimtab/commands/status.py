"""`trimtab status`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from spec import pick
from trimtab.surroundings import home_option, json_option, surroundings

if TYPE_CHECKING:
    from rich.console import Console

    from trimtab.overview import ModelView
    from trimtab.stack import Row

_MIB = 1 << 20


@click.command()
@click.argument("model", required=False)
@home_option
@json_option
def status(model: str | None, home: Path, *, as_json: bool) -> None:
    r"""Show all processes and models, or the state of one model on one screen.

    Of one model: what is decided about it and why, what happens next, and the figures behind it. Of all: what
    is under way with each, and what of it cannot be reached. Exit 1 if anything cannot be reached, a process
    is not running, somebody must act or nothing is known yet.

    \b
    Example:
      trimtab status
      trimtab status flights --json
    """
    if model is None:
        _all(home, as_json=as_json)
    else:
        _one(model, home, as_json=as_json)


def _all(home: Path, *, as_json: bool) -> None:
    from rich.console import Console

    from trimtab import overview
    from trimtab.stack import Stack

    specs, settings = surroundings(home)
    # Elsewhere, as on Kubernetes, the servers are told by the environment and no process of ours runs here.
    stack = Stack.open_if_there(home) if settings.slots else Stack.open(home)
    rows = () if stack is None else stack.status()
    views = overview.look(specs.values(), settings)
    if as_json:
        told = {"processes": [asdict(row) for row in rows], "models": [asdict(view) for view in views]}
        click.echo(json.dumps(told, indent=1, default=str))
    else:
        console = Console()
        if stack is not None:
            _print_processes(console, rows)
        _print_models(console, views)
    stopped = stack is not None and (not rows or any(not row.fine for row in rows))
    if stopped or any(view.troubles for view in views):
        raise click.exceptions.Exit(1)


def _one(model: str, home: Path, *, as_json: bool) -> None:
    from rich.console import Console

    from trimtab import condition
    from trimtab.stack import Stack

    specs, settings = surroundings(home)
    spec = pick(specs, model)
    stack = Stack.open_if_there(home) if home.exists() else Stack.open(home)  # says that there is none
    found = condition.look(spec, settings, () if stack is None else _troubles(stack.status()))
    if as_json:
        click.echo(json.dumps(found.as_plain(), indent=1, default=_plain))
    else:
        condition.draw(Console(highlight=False), spec, found)
    if found.needs_somebody:
        raise click.exceptions.Exit(1)


def _troubles(rows: Sequence[Row]) -> list[str]:
    """Say in a line each what does not run."""
    if not rows:
        return ["nothing is running: start it with `trimtab up`; what follows is what was known last"]
    return [f"{row.name} is {row.state}: {row.trouble}" for row in rows if not row.fine]


def _plain(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _print_processes(console: Console, rows: Sequence[Row]) -> None:
    from rich.table import Table

    if not rows:
        console.print("not running; start it with `trimtab up`")
        return
    table = Table("process", "state", "pid", "up", "CPU", "memory", "log", box=None)
    for row in rows:
        up = f"{row.uptime_s / 60:.0f} min" if row.pid else ""
        cost = (f"{row.cpu:.0%}", f"{row.memory_bytes / _MIB:,.0f} MiB") if row.pid else ("", "")
        colour = "green" if row.fine else "red"
        table.add_row(row.name, f"[{colour}]{row.state}", str(row.pid or ""), up, *cost, row.log.name)
    console.print(table)
    for row in rows:
        if not row.fine:
            told = f"{row.name}: {row.state}: {row.trouble}"
            console.print(told, style="red", soft_wrap=True, highlight=False, markup=False)
    console.print(f"logs in {rows[0].log.parent}", soft_wrap=True, highlight=False)


def _print_models(console: Console, views: Sequence[ModelView]) -> None:
    from rich.table import Table

    for view in views:
        console.print(f"\n[bold]{view.model}[/]", highlight=False)
        for trouble in view.troubles:
            _line(console, f"! {trouble}", "bold red")
        for doing in view.under_way:
            _line(console, f"now: {doing}", "bold cyan")
        if view.last_event:
            _line(console, f"last: {view.last_event}", "dim")
        slots = Table("slot", "role", "version", "traffic", "mirror", box=None)
        for slot in view.slots:
            version = slot.version or ("[red]no answer" if slot.trouble else "none")
            share = "[red]not known" if slot.weight is None else f"{slot.weight} %"
            slots.add_row(slot.slot, slot.role, version, share, "yes" if slot.mirrored else "")
        console.print(slots)
        if not view.monitors:
            continue
        results = Table("monitor", "version", "status", "window", "rows", box=None)
        for found in view.monitors:
            span = f"{found.window_start:%Y-%m-%d %H:%M} – {found.window_end:%Y-%m-%d %H:%M}"
            results.add_row(found.monitor, found.version, found.status, span, f"{found.rows:,}")
        console.print(results)


def _line(console: Console, text: str, style: str) -> None:
    console.print(text, style=style, soft_wrap=True, highlight=False, markup=False)
