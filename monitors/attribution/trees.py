"""Gradient-boosted trees on grades, on one thread."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from monitors.attribution.pooled import Mask
from monitors.attribution.sides import Array
from monitors.multivariate.grades import Matrix

Model = Callable[[Matrix], Array]


@contextmanager
def one_thread() -> Iterator[None]:
    """Keep trees to one thread: OpenMP's wait for each other by spinning, ruinous beside other work."""
    import sklearn.ensemble  # noqa: F401, PLC0415 - two seconds; loads OpenMP, which is limited only then
    from threadpoolctl import threadpool_limits  # noqa: PLC0415 - as above

    with threadpool_limits(1):
        yield


def classifier(rows: Matrix, sides: Mask, **settings: Any) -> Model:
    """Return a model of the probability that a row's side is True, were both sides of equal size."""
    from sklearn.ensemble import HistGradientBoostingClassifier  # noqa: PLC0415 - two seconds

    model = HistGradientBoostingClassifier(class_weight="balanced", early_stopping=False, **settings)
    model.fit(rows, sides)
    return lambda of_rows: np.asarray(model.predict_proba(of_rows)[:, 1])


def regressor(rows: Matrix, values: Array, weight: Array | None = None, **settings: Any) -> Model:
    """Return a model of the mean value, each row counted by its weight."""
    from sklearn.ensemble import HistGradientBoostingRegressor  # noqa: PLC0415 - two seconds

    model = HistGradientBoostingRegressor(early_stopping=False, **settings)
    model.fit(rows, values, sample_weight=weight)
    return lambda of_rows: np.asarray(model.predict(of_rows))
