"""What a model says where one feature at a time says nothing: it is shuffled among the rows.

Source: Breiman (2001), Random forests, Machine Learning 45:5-32.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from monitors.multivariate.auc import Array
from monitors.multivariate.grades import Matrix

_CELLS = 8_000_000  # of a matrix that is scored at once: 32 MB


def shuffled(rows: Matrix, model: Callable[[Any], Array], random: np.random.Generator) -> Array:
    """Return what a model says with each feature shuffled among the rows; shape of `rows`."""
    told = np.empty(rows.shape)
    at_once = max(1, _CELLS // rows.size)
    for start in range(0, rows.shape[1], at_once):
        group = range(start, min(start + at_once, rows.shape[1]))
        copies = np.repeat(rows[None], len(group), axis=0)
        for copy, feature in zip(copies, group, strict=True):
            copy[:, feature] = random.permutation(rows[:, feature])
        told[:, group] = model(copies.reshape(-1, rows.shape[1])).reshape(len(group), len(rows)).T
    return told
