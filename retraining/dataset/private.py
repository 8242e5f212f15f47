"""Rows from elsewhere get the tokens that the model server gives, so that a model learns what it will see."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from spec import ModelSpec, Problem, Settings
from spec.private import Tokens


def tokenized(spec: ModelSpec, settings: Settings, frame: pd.DataFrame) -> pd.DataFrame:
    """Return rows [n] with tokens for the values of tokenized features; nulls and tokens stay.

    Raises
    ------
    SettingsError
        A feature is tokenized and there is no key.
    """
    tokens = Tokens.of(spec, settings)
    if tokens is None:
        return frame
    return frame.assign(**{name: _tokens(tokens, name, frame[name]) for name in tokens.names})


def foreign(spec: ModelSpec, settings: Settings, logged: pd.DataFrame) -> Iterator[Problem]:
    """Find the tokenized features of logged rows [n] whose values are no tokens of today's key.

    Raises
    ------
    SettingsError
        A feature is tokenized and there is no key.
    """
    tokens = Tokens.of(spec, settings)
    if tokens is None:
        return
    for name in tokens.names:
        if count := tokens.foreign(logged[name].dropna().unique()):
            place = f"{settings.location(spec.data.inference_log)}: column {name!r}"
            hint = "Put the old key back, or begin a new inference log: older rows match nothing"
            must = f"must hold tokens of the key in {settings.private_key_file}"
            yield Problem(place, must, f"{count} other values", hint)


def _tokens(tokens: Tokens, name: str, column: pd.Series[str]) -> pd.Series[str]:
    found = {value: tokens.of_value(name, value) for value in column.dropna().unique()}
    return column.map(found).astype("str")
