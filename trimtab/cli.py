"""The `trimtab` command: light to start; each command imports its room when it runs."""

from __future__ import annotations

import sys
from importlib import import_module

import click

GOOD, NO, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130

COMMANDS = {
    "check": "Compare two files, column by column: what drifted?",
    "init": "Write a first model YAML from a data set.",
    "demo": "Replay a year of flights against the whole stack, in minutes.",
    "validate": "Check model YAML files; every problem is named at once.",
    "constraints": "Print a model's features with what its reference suggests of their values.",
    "schema": "Print the JSON Schema of a model's YAML, for editors.",
    "up": "Prepare and start everything on this machine.",
    "down": "Stop everything that `up` started.",
    "status": "Show processes, models and last results on one screen.",
    "env": "Print the variables that a client of the stack needs.",
    "adopt": "Make a model that you trained elsewhere the champion.",
    "retrain": "Start a retrain of a model now.",
    "rollout": "Start the rollout of a model's challenger.",
    "experiment": "Hold a split between two versions for a while, and report.",
    "promote": "Make a version the champion at once, past its gates.",
    "rollback": "Bring a model back to what served before, in seconds.",
    "lineage": "Tell where a version comes from, and what became of it.",
    "labels": "Bring in the ground truth.",
    "monitor": "Close windows and compute their monitors.",
    "serve": "Serve a model in one slot.",
    "payload-receiver": "Take KServe's payload log into the inference log.",
    "exporter": "Expose the monitors' results to Prometheus.",
    "receiver": "Turn alerts into retrains.",
    "guard": "Return traffic to the champion when a canary's lease runs out.",
    "slack-sink": "Stand in for Slack: keep every message in a file.",
}
"""Name and one line of every command, in the order of the help; each lives in a module of its own."""


class _Lazy(click.Group):
    """A group whose commands are imported when they are called, so that the help costs no import."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in COMMANDS:
            return None
        name = cmd_name.replace("-", "_")
        command: click.Command = getattr(import_module(f"trimtab.commands.{name}"), name)
        _keep_lines(command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def _keep_lines(command: click.Command) -> None:
    r"""Put the control character in that click wants before a paragraph whose lines it is to keep."""
    command.help = (command.help or "").replace("\\b\n", "\b\n")
    for inner in getattr(command, "commands", {}).values():
        _keep_lines(inner)


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="trimtab", message="%(package)s %(version)s")
def cli() -> None:
    r"""Watch a model in production, retrain it when it rots, roll the better one out behind a canary.

    \b
    Results go to stdout, progress to stderr.
    Exit codes: 0 good, 1 the answer is no, 2 bad input.

    \b
    Example:
      trimtab validate models/flights.yaml
      trimtab up
      trimtab status flights
    """


def main() -> None:
    """Run the command line and exit; errors of Trimtab are text, not tracebacks."""
    _keep_lines(cli)
    try:
        # Outside of standalone mode click returns the code of an Exit instead of raising it.
        sys.exit(cli(standalone_mode=False) or GOOD)
    except click.ClickException as error:
        error.show()
        sys.exit(BAD_INPUT)
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        sys.exit(INTERRUPTED)
    except Exception as error:
        from spec import InputError, NotFound, TrimtabError  # half a second that --help need not pay

        if not isinstance(error, TrimtabError):
            raise
        click.echo(f"trimtab: {error}", err=True)
        sys.exit(BAD_INPUT if isinstance(error, InputError | NotFound) else NO)
