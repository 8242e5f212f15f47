"""`trimtab check`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console

    from trimtab.check.outcome import Outcome
    from trimtab.check.request import Request

_PIPED = 160  # characters of a line that no terminal cuts
_FILE = click.Path(dir_okay=False, path_type=Path)
_OUT = click.Path(dir_okay=False, path_type=Path, allow_dash=True)


@click.command()
@click.argument("reference")
@click.argument("current")
@click.option("--spec", type=_FILE, help="A model's YAML: features, target, time, limits, weights.")
@click.option(
    "--importance", type=_FILE, metavar="FILE", help="JSON {column: share}: what matters to a model."
)
@click.option("--columns", metavar="A,B,…", multiple=True, help="Compare these columns only.")
@click.option("--categorical", metavar="A,B,…", multiple=True, help="Numbers that are names: codes, grades.")
@click.option("--target", metavar="COL", help="The truth that a model predicts; told apart.")
@click.option(
    "--timestamp", metavar="COL", help="When a row happened: not compared, but dependence allowed for."
)
@click.option("--segment", metavar="COL", help="Compare in each value of this column too.")
@click.option(
    "--method", metavar="NAME", multiple=True, help="Statistic: wasserstein, ks, psi, jensenshannon, …"
)
@click.option(
    "--effect", type=float, metavar="X", help="The effect from which a change matters.  [default: 0.1]"
)
@click.option("--alpha", type=float, metavar="P", help="Chance of any false alarm.  [default: 0.05]")
@click.option(
    "--words/--no-words", default=True, help="Compare what texts say, by a classifier (takes seconds)."
)
@click.option(
    "--vectors/--no-vectors", default=True, help="Compare columns of vectors: embeddings (takes seconds)."
)
@click.option(
    "--joint", is_flag=True, help="Ask a classifier about all columns together; off, as it takes seconds."
)
@click.option("--all", "every", is_flag=True, help="Show every column, however many.")
@click.option("--json", "json_file", type=_OUT, metavar="FILE", help="Write the result as JSON; - is stdout.")
@click.option("--html", "html_file", type=_FILE, metavar="FILE", help="Write a page with all distributions.")
@click.option(
    "--evidently", "evidently_file", type=_FILE, metavar="FILE", help="Write Evidently's report of a sample."
)
def check(**options: Any) -> None:
    r"""Compare two files, column by column; exit 1 if anything drifted.

    REFERENCE and CURRENT are Parquet, CSV or Arrow files, folders of them, or Delta tables. No set-up: the
    reference says what each column is.

    \b
    Example:
      trimtab check last_month.parquet today.parquet
      trimtab check train.csv today.csv --target late --timestamp departure --html drift.html
    """
    # Before NumPy: its threads take 0.2 s of CPU to start and to wait, and save a check nothing.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from spec.clock import Clock
    from trimtab.check.question import question
    from trimtab.check.run import check as run

    request = question(options)
    json_file, html_file = options["json_file"], options["html_file"]
    if request.weighed and request.importances is None:
        click.echo(f"ranked by drift alone: {request.weighed}", err=True)
    outcome = run(request)
    now = Clock().now()
    if json_file is not None and str(json_file) == "-":
        click.echo(_json(outcome, now))
    else:
        from trimtab.check.terminal import show

        show(outcome, _console(), every=options["every"])
    if json_file is not None and str(json_file) != "-":
        _write(json_file, _json(outcome, now) + "\n")
    if html_file is not None:
        from trimtab.check.page import render

        _write(html_file, render(outcome, now))
    if options["evidently_file"] is not None:
        _evidently(request, outcome, options["evidently_file"])
    if outcome.drifted:
        raise click.exceptions.Exit(1)


def _console() -> Console:
    """Return a console as wide as the terminal; what is piped to a program is not cut at 80 characters."""
    from rich.console import Console

    console = Console(highlight=False)
    if console.is_terminal or "COLUMNS" in os.environ:
        return console
    return Console(highlight=False, width=_PIPED)


def _json(outcome: Outcome, now: Any) -> str:
    import json

    from trimtab.check.record import record

    return json.dumps(record(outcome, now), indent=1, allow_nan=False)


def _evidently(request: Request, outcome: Outcome, file: Path) -> None:
    from trimtab.check import evidently_report

    click.echo("writing Evidently's report, some ten seconds …", err=True)
    evidently_report.write(request, outcome, file)
    click.echo(f"written: {file}", err=True)


def _write(file: Path, text: str) -> None:
    file.write_text(text, "utf-8")
    click.echo(f"written: {file}", err=True)
