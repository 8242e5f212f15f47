"""`trimtab receiver`."""

from __future__ import annotations

from pathlib import Path

import click

from trimtab.daemon import write_log
from trimtab.surroundings import home_option, models_option, server_options, surroundings


@click.command()
@server_options(21094)
@home_option
@models_option
def receiver(host: str, port: int, home: Path, models: Path | None) -> None:
    r"""Take alerts from Alertmanager at POST /alerts and start retrains, until SIGTERM.

    \b
    Example:
      trimtab receiver --port 21094
    """
    from alerts import receiver as room

    write_log()
    specs, settings = surroundings(home, models)
    room.run(specs, settings, host, port)
