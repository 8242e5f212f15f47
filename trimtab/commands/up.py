"""`trimtab up`."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import click

from spec import Unavailable
from trimtab.surroundings import home_option, json_option, models_folder, models_option


@click.command()
@home_option
@models_option
@json_option
@click.option("--timeout", default=180.0, show_default=True, help="Seconds to wait until all is ready.")
def up(home: Path, models: Path | None, *, as_json: bool, timeout: float) -> None:
    r"""Prepare and start everything on this machine, and wait until it is ready.

    Data, passwords and ports of an earlier `up` on the same home are kept. Ctrl-C stops what was started.

    \b
    Example:
      trimtab up
      trimtab up --home /srv/trimtab --models ./models
    """
    from trimtab.stack import prepare

    say = partial(click.echo, err=True)
    stack = prepare(home, models_folder(home, models), announce=say)
    try:
        stack.start()
        stack.wait_ready(timeout)
    except KeyboardInterrupt:
        say("stopping")
        stack.stop()
        raise
    except Unavailable:
        say(f"what did start stays up: see `trimtab status --home {home}`, end it with `trimtab down`")
        raise
    if as_json:
        click.echo(json.dumps([door._asdict() for door in stack.doors()], indent=1))
    else:
        click.echo(stack.addresses())
