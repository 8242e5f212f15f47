"""`trimtab exporter`."""

from __future__ import annotations

from pathlib import Path

import click

from trimtab.daemon import write_log
from trimtab.surroundings import home_option, models_option, server_options, surroundings


@click.command()
@server_options(21095)
@home_option
@models_option
def exporter(host: str, port: int, home: Path, models: Path | None) -> None:
    r"""Expose the monitors' results at /metrics, until SIGTERM.

    \b
    Example:
      trimtab exporter --port 21095
    """
    from monitors import exporter as room

    write_log()
    specs, settings = surroundings(home, models)
    room.run(specs, settings, host, port)
