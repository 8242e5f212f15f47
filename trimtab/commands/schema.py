"""`trimtab schema`."""

from __future__ import annotations

import json

import click

from spec import json_schema


@click.command()
def schema() -> None:
    r"""Print the JSON Schema of a model's YAML, for editors.

    \b
    Example:
      trimtab schema > .trimtab/model.schema.json
    """
    click.echo(json.dumps(json_schema(), indent=2))
