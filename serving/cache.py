"""Answers of one version that are kept for the case that the same values come again."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from itertools import repeat
from threading import Lock

import numpy as np
import orjson
from numpy.typing import NDArray

from serving.protocol import InferRequest, Prediction


class Cache:
    """The rows that were asked for last. Each version has a cache of its own, which goes with it.

    Parameters
    ----------
    rows
        How many are kept, at least 1.
    """

    def __init__(self, rows: int) -> None:
        self._most = rows
        self._rows: OrderedDict[bytes, tuple[int | None, NDArray[np.float32]]] = OrderedDict()
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._rows)

    def find(self, keys: Sequence[bytes]) -> Prediction | None:
        """Return the answer if every row of it is known."""
        with self._lock:
            if not all(key in self._rows for key in keys):
                return None
            for key in keys:
                self._rows.move_to_end(key)
            found = [self._rows[key] for key in keys]
        scores = np.stack([row for _, row in found])
        labels = [label for label, _ in found if label is not None]
        return Prediction(labels or None, scores)

    def keep(self, keys: Sequence[bytes], prediction: Prediction) -> None:
        """Keep an answer; what was not asked for the longest goes."""
        labels: Sequence[int | None] = prediction.labels or [None] * len(keys)
        with self._lock:
            for key, label, row in zip(keys, labels, prediction.scores, strict=True):
                self._rows[key] = (label, row.copy())
                self._rows.move_to_end(key)
            while len(self._rows) > self._most:
                self._rows.popitem(last=False)


def keys(request: InferRequest) -> list[bytes]:
    """Return one key a row: its values as the model takes them."""
    values = request.values
    numbers = values.numbers.T
    texts = zip(*values.text.values(), strict=True) if values.text else repeat((), request.rows)
    return [row.tobytes() + orjson.dumps(text) for row, text in zip(numbers, texts, strict=True)]
