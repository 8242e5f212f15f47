"""Rows that came twice under two ids: the same moment, the same features, the same truth."""

from __future__ import annotations

import pandas as pd

from spec import ModelSpec


def copies(spec: ModelSpec, frame: pd.DataFrame) -> pd.Series[bool]:
    """Return which rows [n] repeat an earlier one in everything but the id.

    A copy would count twice in training, and on both sides of a cut it would let the model look up the truth.
    Event times of rows that merely look alike differ.
    """
    return frame.duplicated([spec.data.time, spec.data.target.name, *spec.features])
