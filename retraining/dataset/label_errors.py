"""Labels that are probably wrong: confident learning (Northcutt, Jiang, Chuang 2021), by cleanlab.

A row is told when a model that has not seen its day is confident of another class, more than it usually is of
that class. A person looks, or the rows are left out of training.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from retraining.dataset.labelled import Rows
from retraining.dataset.rows import FloatArray
from spec import ModelSpec, Task


def suspected(spec: ModelSpec, rows: Rows, probabilities: FloatArray) -> NDArray[np.int64]:
    """Return the rows whose label is probably wrong, the most doubtful first; none of values.

    Parameters
    ----------
    rows
        [n] labelled rows.
    probabilities
        [n, 1] P(positive) or [n, k] class probabilities by models that have not seen the row.
    """
    if spec.task is Task.REGRESSION:
        return np.empty(0, "int64")
    from cleanlab.filter import find_label_issues  # noqa: PLC0415 - takes seconds

    known = np.hstack([1 - probabilities, probabilities]) if spec.task is Task.BINARY else probabilities
    labels = np.asarray(rows.truth, "int64")
    ranked = find_label_issues(labels, known, return_indices_ranked_by="self_confidence", n_jobs=1)
    return np.asarray(ranked, "int64")
