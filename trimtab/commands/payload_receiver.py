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
@click.option("--version", help="The version of answers that name none, instead of data.payloads.version.")
@click.option(
    "--patience",
    type=click.IntRange(min=1),
    help="Seconds that a request or a response waits for its other half, instead of data.payloads.patience.",
)
@server_options(21097, least=0)
@home_option
@models_option
def payload_receiver(
    model: str,
    version: str | None,
    patience: int | None,
    host: str,
    port: int,
    home: Path,
    models: Path | None,
) -> None:
    r"""Take KServe's payload log of a model at POST / into the inference log, until SIGTERM.

    The payload logger of an InferenceService sends each request and each response as a CloudEvent; both
    together are rows of the log, as if a slot of Trimtab had answered. Port 0 takes a free one. `trimtab up`
    starts one for each model whose YAML has data.payloads.

    \b
    Example:
      trimtab payload-receiver flights --port 21097 --version 7
    """
    from serving import payloads
    from spec.payloads import Payloads

    write_log()
    specs, settings = surroundings(home, models)
    spec = pick(specs, model)
    given = {"version": version, "patience": None if patience is None else timedelta(seconds=patience)}
    wanted = (spec.data.payloads or Payloads()).model_copy(
        update={name: value for name, value in given.items() if value is not None}
    )
    payloads.run(spec, settings, host, port, wanted)
