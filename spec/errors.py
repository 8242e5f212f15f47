"""The errors of Trimtab, one tree.

TrimtabError
├── InputError            something a person wrote or sent is wrong; carries every problem found
│   ├── SpecError         a model's YAML
│   ├── SettingsError     the environment of a process
│   ├── RequestError      a request to a server of ours
│   └── DataError         a table, a label file, a model's inputs
├── NotFound              a model, version, alias or run that does not exist
├── Refused               a request that is well-formed and will not be carried out
└── Unavailable           an outside system that did not answer; trying again may help
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, in four parts a reader needs.

    Parameters
    ----------
    where
        File and line, YAML path, column or parameter.
    must
        What must hold there.
    found
        What was found instead.
    hint
        What to do about it.
    """

    where: str
    must: str
    found: str = ""
    hint: str = ""

    def __str__(self) -> str:
        """One line: ``where: must; found …. hint``."""
        found = f"; found {self.found}" if self.found else ""
        hint = f". {self.hint}" if self.hint else ""
        return f"{self.where}: {self.must}{found}{hint}"


class TrimtabError(Exception):
    """Anything that Trimtab itself reports."""


class InputError(TrimtabError):
    """Something a person wrote or sent cannot be used; `problems` holds all that was found."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))

    def __reduce__(self) -> tuple[type[InputError], tuple[tuple[Problem, ...]]]:
        """Pickle by the problems, so that the error crosses process borders whole."""
        return type(self), (self.problems,)


class SpecError(InputError):
    """A model's YAML does not describe a model."""


class SettingsError(InputError):
    """The environment of a process lacks something or holds something wrong."""


class RequestError(InputError):
    """A request to one of our servers cannot be understood."""


class DataError(InputError):
    """A table or a model's inputs are not what the spec says."""


class NotFound(TrimtabError):
    """A model, version, alias or run was named that does not exist."""


class Refused(TrimtabError):
    """The request was understood and will not be carried out, for the reason given."""


class Unavailable(TrimtabError):
    """An outside system did not answer; the same call may succeed later."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a hint that lists the known names, the closest first if one is close."""
    names = sorted(known)
    close = get_close_matches(name, names, n=1, cutoff=0.6)
    listed = f"Known: {', '.join(names)}"
    return f"Did you mean {close[0]!r}? {listed}" if close else listed
