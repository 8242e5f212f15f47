"""Reads the data, drafts the YAML and writes it where nothing is yet."""

from __future__ import annotations

import os
import re
from collections import Counter
from pathlib import Path

from monitors.engines.sources import open_source
from monitors.profiles.planning import SAMPLE
from spec import DataError, InputError, Problem, loads
from spec.model import NAME
from trimtab.init.document import render
from trimtab.init.guesses import draft


def write(data: str, given: dict[str, str], model: str, out: Path | None) -> str:
    """Return the YAML, which `spec.load` takes as it is, and write it to `out` if that is a file.

    Raises
    ------
    InputError
        With everything that is wrong: no such data or column, no target, a file that exists already.
    """
    problems = list(_refused(model, out))
    try:
        source = open_source(data)
        rows = source.sample(SAMPLE, None)
    except DataError as error:
        raise InputError([*problems, *error.problems]) from error
    twice = [name for name, times in Counter(rows.column_names).items() if times > 1]
    problems += [Problem(f"{data}: {name}", "must be the name of one column", "several") for name in twice]
    if not rows.num_rows:
        problems.append(Problem(data, "must hold rows", "none"))
    if twice or not rows.num_rows:
        raise InputError(problems)
    drafted, wrong = draft(rows, given, model)
    problems += wrong
    if drafted is not None and not drafted.features:
        reasons = "; ".join(f"{name}: {why}" for name, why in drafted.left_out.items())
        problems.append(Problem(data, "must have a column that can be a feature", reasons or "none"))
    if problems or drafted is None:
        raise InputError(problems)
    text = render(drafted, Path(data).name)
    loads(text, "the draft")
    if out is not None:
        with out.open("x", encoding="utf-8") as file:
            file.write(text)
    return text


def _refused(model: str, out: Path | None) -> list[Problem]:
    problems = []
    if not re.fullmatch(NAME, model):
        problems.append(
            Problem("--model", "must be lower case letters, digits and _, a letter first", repr(model))
        )
    if out is not None and os.path.lexists(out):
        problems.append(
            Problem("--out", "must be a new file", f"{out}, which exists", "Name another, or remove it")
        )
    elif out is not None and not out.parent.is_dir():
        problems.append(
            Problem("--out", "must be in a folder that exists", str(out.parent), f"mkdir -p {out.parent}")
        )
    return problems
