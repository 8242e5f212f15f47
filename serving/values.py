"""The values of rows: as the log keeps them, and as a model takes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class Values(NamedTuple):
    """Some rows.

    `exact` are float64 [features, rows] of the features `names`, as they were sent, and `numbers` the same in
    single precision; truth values are 0 and 1, and null is NaN. `text` are the strings of the other features,
    one or null a row.
    """

    names: Sequence[str]
    exact: NDArray[np.float64]
    numbers: NDArray[np.float32]
    text: Mapping[str, Sequence[str | None]]

    def missing(self) -> list[str]:
        """Return the features that have a null."""
        found = [name for name, row in zip(self.names, np.isnan(self.exact), strict=True) if row.any()]
        return found + [name for name, column in self.text.items() if None in column]


def feeds(many: Sequence[Values]) -> dict[str, NDArray[Any]]:
    """Return the graph's inputs, each [rows, 1], of the rows of several requests behind each other.

    A missing string is "" to a model.
    """
    first = many[0]
    found: dict[str, NDArray[Any]] = {}
    for name in first.text:
        texts = texts_of(many, name)
        filled = ["" if text is None else text for text in texts] if None in texts else texts
        found[name] = np.array(filled, dtype=object).reshape(-1, 1)
    numbers = first.numbers if len(many) == 1 else np.concatenate([one.numbers for one in many], axis=1)
    found.update(zip(first.names, numbers[:, :, np.newaxis], strict=True))
    return found


def texts_of(many: Sequence[Values], name: str) -> Sequence[str | None]:
    """Return a feature's strings of the rows of several requests behind each other."""
    if len(many) == 1:
        return many[0].text[name]
    return list(chain.from_iterable(one.text[name] for one in many))


def exact_of(many: Sequence[Values]) -> NDArray[np.float64]:
    """Return the numbers as they were sent, [features, rows], of several requests behind each other."""
    return many[0].exact if len(many) == 1 else np.concatenate([one.exact for one in many], axis=1)
