"""`trimtab guard`."""

from __future__ import annotations

from pathlib import Path

import click

from trimtab.daemon import stop_on_signal, write_log
from trimtab.surroundings import home_option, models_option, surroundings


@click.command()
@home_option
@models_option
def guard(home: Path, models: Path | None) -> None:
    r"""Return all traffic to the champion when a canary's lease runs out, until SIGTERM.

    \b
    Example:
      trimtab guard
    """
    from rollout import guard as room
    from rollout.routers import connect

    write_log()
    specs, settings = surroundings(home, models)
    room.run(specs, settings, connect(settings, specs), stop=stop_on_signal())
