"""A linear score of rows: Fisher's discriminant by ridge regression, on numbers or on sparse counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.linear_model import Ridge

from monitors.multivariate.auc import Array
from monitors.multivariate.cross_fitting import Index

_STEPS = 20


@dataclass(frozen=True, slots=True, eq=False)
class LinearScore:
    """Rows @ `weights`, shape (columns,); larger looks more like current."""

    weights: Array

    def __call__(self, rows: Any) -> Array:
        """Return shape (rows,)."""
        return np.asarray(rows @ self.weights, dtype=np.float64).ravel()


def discriminant(rows: Any, sides: Index, *, penalty: float) -> LinearScore:
    """Return w = (Xᵀ X + penalty)⁻¹ Xᵀ y, X and y centred, y the side.

    The direction of a logistic regression near no difference and of Fisher's discriminant, in closed form
    for dense rows and by 20 steps of conjugate gradients for sparse ones: nothing has to converge, because
    a score needs no optimum. Unequal sides change its length only.
    """
    sparse = not isinstance(rows, np.ndarray)
    how = {"solver": "sparse_cg", "max_iter": _STEPS} if sparse else {"solver": "cholesky"}
    model = Ridge(alpha=penalty, **how).fit(rows, sides.astype(np.float64))
    return LinearScore(np.asarray(model.coef_, dtype=np.float64))
