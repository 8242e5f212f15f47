"""`trimtab serve`."""

from __future__ import annotations

from pathlib import Path

import click

from spec import SLOTS, pick
from trimtab.daemon import stop_at_end_of_input, write_log
from trimtab.surroundings import home_option, models_option, server_options, surroundings


@click.command()
@click.argument("model")
@click.option("--slot", type=click.Choice(SLOTS), required=True, help="Which of the model's two slots.")
@click.option(
    "--file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Answer with this ONNX file and no other; no registry is asked.",
)
@click.option("--grpc-port", type=click.IntRange(0, 65535), help="Answer gRPC as well, on this port.")
@click.option("--until-eof", is_flag=True, help="Stop as well when standard input ends.")
@server_options(21082, least=0)
@home_option
@models_option
def serve(  # noqa: PLR0913 - one an option
    model: str,
    slot: str,
    file: Path | None,
    host: str,
    port: int,
    home: Path,
    models: Path | None,
    *,
    grpc_port: int | None,
    until_eof: bool,
) -> None:
    r"""Serve a model in one slot over the Open Inference Protocol, until SIGTERM.

    What is answered goes to the inference log of the home. To try a file out beside a running stack, give it
    a home of its own. Port 0 takes a free one; the log names it.

    \b
    Example:
      trimtab serve flights --slot blue --port 21082
      trimtab serve flights --slot green --file candidate.onnx --home /tmp/trial --port 0
    """
    from serving import server

    write_log()
    if until_eof:
        stop_at_end_of_input()
    specs, settings = surroundings(home, models)
    server.run(pick(specs, model), slot, settings, host, port, file, grpc_port)
