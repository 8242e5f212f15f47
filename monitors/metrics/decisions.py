"""How often the decisions are right: 1 from a probability of 1/2 on, or the most probable class.

Precision, recall and F1 of a binary model are those of its positive class; of several classes, the plain
mean over the classes for which they are defined (scikit-learn's macro average with ``zero_division=nan``).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from monitors.metrics.blocks import Array, Rows, Statistic, macro, ratio


def accuracy(rows: Rows) -> Statistic:
    """Return the share of rows that are decided right."""
    return rows.mean(rows.decided == rows.labels)


def precision(rows: Rows) -> Statistic:
    """Return the share of the rows decided to be of a class that are; undefined if none is decided to be."""
    return _quotient(_hits(rows), _decided(rows))


def recall(rows: Rows) -> Statistic:
    """Return the share of the rows of a class that are decided to be; undefined if none is of the class."""
    return _quotient(_hits(rows), _actual(rows))


def f1(rows: Rows) -> Statistic:
    """Return the harmonic mean of precision and recall; undefined without a row of either kind."""
    return _quotient(2 * _hits(rows), _decided(rows) + _actual(rows))


def _quotient(above: Array, below: Array) -> Statistic:
    return lambda weights: macro(ratio(weights @ above.T, weights @ below.T))


def _hits(rows: Rows) -> Array:
    return _by_class(rows, rows.decided, rows.decided == rows.labels)


def _decided(rows: Rows) -> Array:
    return _by_class(rows, rows.decided, np.ones(len(rows.labels)))


def _actual(rows: Rows) -> Array:
    return _by_class(rows, rows.labels.astype(np.int64), np.ones(len(rows.labels)))


def _by_class(rows: Rows, classes: npt.NDArray[np.int64], values: npt.NDArray[np.generic]) -> Array:
    """Sum by class and block, shape (classes, blocks); of a binary model only the positive class."""
    outputs = rows.scores.shape[1]
    cells = rows.sums_by(classes, max(outputs, 2), values)
    return cells[1:] if outputs == 1 else cells
