"""`trimtab serve`."""

from __future__ import annotations

from pathlib import Path

import click

from spec import SLOTS, pick
from trimtab.daemon import write_log
from trimtab.surroundings import home_option, models_option, server_options, surroundings


@click.command()
@click.argument("model")
@click.option("--slot", type=click.Choice(SLOTS), required=True, help="Which of the model's two slots.")
@server_options(21082)
@home_option
@models_option
def serve(model: str, slot: str, host: str, port: int, home: Path, models: Path | None) -> None:
    r"""Serve a model in one slot over the Open Inference Protocol, until SIGTERM.

    \b
    Example:
      trimtab serve flights --slot blue --port 21082
    """
    from serving import server

    write_log()
    specs, settings = surroundings(home, models)
    server.run(pick(specs, model), slot, settings, host, port)
