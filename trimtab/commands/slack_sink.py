"""`trimtab slack-sink`."""

from __future__ import annotations

from pathlib import Path

import click

from trimtab.surroundings import home_option, server_options


@click.command(name="slack-sink")
@server_options(21096)
@home_option
def slack_sink(host: str, port: int, home: Path) -> None:
    r"""Stand in for Slack on this machine: keep every message in <home>/slack/messages.jsonl.

    \b
    Example:
      trimtab slack-sink --port 21096
    """
    from trimtab import slack

    slack.run(home.absolute(), host, port)
