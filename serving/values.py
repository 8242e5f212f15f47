"""The values of rows as a model takes them: in one block, to be joined before it is taken apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class Values(NamedTuple):
    """Some rows.

    `numbers` are float32 [features, rows] of the features `names`, NaN for null; `text` are the strings
    of the other features, one a row, "" for null.
    """

    names: Sequence[str]
    numbers: NDArray[np.float32]
    text: Mapping[str, Sequence[str]]

    def feeds(self) -> dict[str, NDArray[Any]]:
        """Return the graph's inputs, each [rows, 1]."""
        found: dict[str, NDArray[Any]] = {}
        for name, strings in self.text.items():
            found[name] = np.array(strings, dtype=object).reshape(-1, 1)
        found.update(zip(self.names, self.numbers[:, :, np.newaxis], strict=True))
        return found


def join(many: Sequence[Values]) -> Values:
    """Put the rows of several requests to one model behind each other."""
    first = many[0]
    numbers = np.concatenate([one.numbers for one in many], axis=1)
    text = {name: list(chain.from_iterable(one.text[name] for one in many)) for name in first.text}
    return Values(first.names, numbers, text)
