"""`trimtab down`."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from trimtab.surroundings import home_option


@click.command()
@home_option
def down(home: Path) -> None:
    r"""Stop everything that `trimtab up` started in the home; data stay.

    \b
    Example:
      trimtab down
    """
    from trimtab.stack import Stack

    say = partial(click.echo, err=True)
    stack = Stack.open(home, announce=say)
    stack.stop()
    say("stopped; nothing is left running")
