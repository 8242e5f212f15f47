"""`trimtab payload-receiver`."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import click

from spec import pick
from trimtab.daemon import write_log
from trimtab.surroundings import home_option, models_option, server_options, surroundings


@click.command()
@click.argument("model")
@click.option("--version", help="The version of answers that name none; without it they are turned away.")
@click.option(
    "--patience",
    type=click.IntRange(min=1),
    default=600,
    show_default=True,
    help="Seconds that a request or a response waits for its other half.",
)
@server_options(21097, least=0)
@home_option
@models_option
def payload_receiver(
    model: str, version: str | None, patience: int, host: str, port: int, home: Path, models: Path | None
) -> None:
    r"""Take KServe's payload log of a model at POST / into the inference log, until SIGTERM.

    The payload logger of an InferenceService sends each request and each response as a CloudEvent; both
    together are rows of the log, as if a slot of Trimtab had answered. Port 0 takes a free one.

    \b
    Example:
      trimtab payload-receiver flights --port 21097 --version 7
    """
    from serving import payloads

    write_log()
    specs, settings = surroundings(home, models)
    payloads.run(pick(specs, model), settings, host, port, version, timedelta(seconds=patience))
