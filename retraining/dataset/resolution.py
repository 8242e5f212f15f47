"""Whole numbers that a 32-bit float cannot tell apart, which is how every number is served."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from spec import FeatureType, ModelSpec, Problem

EXACT = 2**24
"""Largest whole number up to which float32 holds them all."""
_MOST = 0.01


def blurred(spec: ModelSpec, frame: pd.DataFrame, where: str) -> Iterator[Problem]:
    """Find the numeric features of rows [n] that rounding to float32 leaves little of.

    A feature is one where its whole numbers move by more than 1 % of their standard deviation (root mean
    square): seconds since 1970 within a minute do, within a month they do not. Fractions are not judged:
    measurements are no more exact than that. Nor are moments, whose resolution is stated.
    """
    for name in spec.features_of(FeatureType.NUMERIC):
        if spec.features[name].calendar is not None:
            continue
        values = frame[name].to_numpy("float64", na_value=np.nan)
        values = values[~np.isnan(values)]
        if not len(values) or np.abs(values).max() <= EXACT or np.any(values != np.trunc(values)):
            continue
        moved = np.sqrt(np.mean(np.square(values.astype("float32").astype("float64") - values)))
        if moved > _MOST * values.std() > 0:
            must = "must differ by more than float32 rounds, which holds each whole number up to 16,777,216"
            found = (
                f"whole numbers that move by {moved:.3g}, and have a standard deviation of {values.std():.3g}"
            )
            hint = "Subtract a constant before you log and send it, or make it categorical if it is a name"
            yield Problem(f"{where}: column {name!r}", must, found, hint)
