"""`trimtab status`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
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
    r"""Show processes, models and last results on one screen; exit 1 if a process is not running.

    \b
    Example:
      trimtab status
      trimtab status flights --json
    """
    from rich.console import Console

    from trimtab import overview
    from trimtab.stack import Stack

    stack = Stack.open(home)
    specs, settings = surroundings(home)
    chosen = [pick(specs, model)] if model else list(specs.values())
    rows = stack.status()
    views = overview.look(chosen, settings)
    if as_json:
        told = {"processes": [asdict(row) for row in rows], "models": [asdict(view) for view in views]}
        click.echo(json.dumps(told, indent=1, default=str))
    else:
        console = Console()
        if model is None:
            _print_processes(console, rows)
        _print_models(console, views)
    if not rows or any(not row.fine for row in rows):
        raise click.exceptions.Exit(1)


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
        console.print(f"\n[bold]{view.model}[/]  {view.last_event}", highlight=False)
        slots = Table("slot", "role", "version", "traffic", "mirror", box=None)
        for slot in view.slots:
            mirror = "yes" if slot.mirrored else ""
            slots.add_row(slot.slot, slot.role, slot.version or "none", f"{slot.weight} %", mirror)
        console.print(slots)
        if not view.monitors:
            continue
        results = Table("monitor", "version", "status", "window", "rows", box=None)
        for found in view.monitors:
            span = f"{found.window_start:%Y-%m-%d %H:%M} – {found.window_end:%Y-%m-%d %H:%M}"
            results.add_row(found.monitor, found.version, found.status, span, f"{found.rows:,}")
        console.print(results)
