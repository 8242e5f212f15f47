"""A user's own function, named in the spec as ``package.module:function``."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from spec import DataError, Problem


def function(path: str, where: str) -> Callable[..., Any]:
    """Return what an import path names.

    Parameters
    ----------
    where
        Place in the spec, for the error.

    Raises
    ------
    DataError
        There is no such module or function.
    """
    module, _, name = path.partition(":")
    hint = "Put its folder on PYTHONPATH, for the scheduler too"
    try:
        found = getattr(import_module(module), name)
    except (ImportError, AttributeError) as error:
        must = "must name a function that can be imported, as package.module:function"
        raise DataError([Problem(where, must, f"{path}: {error}", hint)]) from error
    if not callable(found):
        raise DataError([Problem(where, "must name a function", f"{path} is {type(found).__name__}")])
    made: Callable[..., Any] = found
    return made
