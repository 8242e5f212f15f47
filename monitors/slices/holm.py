"""Which of a few p-values hold when no false one may pass: Holm's step-down."""

from __future__ import annotations

import numpy as np

from monitors.slices.losses import Array


def holm(p_values: Array) -> Array:
    """Return adjusted p-values: P(any true hypothesis among those at or below α) ≤ α, however they depend.

    Parameters
    ----------
    p_values
        Shape (hypotheses,), each in [0, 1]; may be empty.

    Returns
    -------
    Shape (hypotheses,): max over j ≤ k of (K - j + 1)·p₍ⱼ₎, at most 1.

    References
    ----------
    Holm (1979), Scandinavian Journal of Statistics 6.
    """
    order = np.argsort(p_values)
    scaled = p_values[order] * np.arange(len(p_values), 0, -1)
    adjusted = np.empty(len(p_values))
    adjusted[order] = np.minimum(np.maximum.accumulate(scaled), 1.0)
    return adjusted
