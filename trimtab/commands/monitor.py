"""`trimtab monitor`."""

from __future__ import annotations

from pathlib import Path

import click

from trimtab.daemon import stop_on_signal, write_log
from trimtab.surroundings import home_option, models_option, surroundings


@click.command()
@click.option("--follow/--once", default=True, show_default=True, help="Keep watching, or only catch up.")
@home_option
@models_option
def monitor(home: Path, models: Path | None, *, follow: bool) -> None:
    r"""Close the windows that are over and compute their monitors.

    \b
    Example:
      trimtab monitor --once
    """
    from monitors.daemon import job

    write_log()
    specs, settings = surroundings(home, models)
    job.run(specs, settings, follow=follow, stop=stop_on_signal())
