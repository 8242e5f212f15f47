"""`trimtab init`."""

from __future__ import annotations

import re
from pathlib import Path

import click


@click.command()
@click.argument("data")
@click.option("--target", metavar="COL", help="What the model predicts; guessed by its name.")
@click.option("--time", metavar="COL", help="When the event happened; guessed by its name and type.")
@click.option("--id", "key", metavar="COL", help="What names a row; guessed by its name and values.")
@click.option("--model", metavar="NAME", help="Name of the model.  [default: the name of the file]")
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), help="File to write.  [default: stdout]"
)
def init(
    data: str, target: str | None, time: str | None, key: str | None, model: str | None, out: Path | None
) -> None:
    r"""Write a first model YAML from a data set (Parquet, CSV, Arrow, Delta), with a comment on each line.

    \b
    Example:
      trimtab init flights.parquet --target late --out models/flights.yaml
      trimtab validate models/flights.yaml
    """
    from trimtab.init.draft import write

    given = {"id": key or "", "time": time or "", "target": target or ""}
    text = write(data, given, model or _named(data), out)
    if out is None:
        click.echo(text, nl=False)
    else:
        click.echo(
            f"written: {out}; look at what is marked as guessed, then `trimtab validate {out}`", err=True
        )


def _named(data: str) -> str:
    """Return the data's name as a model's: lower case letters, digits and underscores."""
    stem = Path(data).name.split(".")[0]
    return re.sub(r"[^a-z0-9]+", "_", stem.lower()).strip("_").lstrip("0123456789_")[:63] or "model"
