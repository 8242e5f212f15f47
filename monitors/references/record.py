"""A version's reference as the monitors read it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import pandas as pd

from monitors.held import Held
from monitors.reference_profile import ReferenceProfile


@dataclass(frozen=True, slots=True)
class Band:
    """The performance to expect of a version: `value` within the confidence bounds `low` and `high`."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Reference:
    """The reference of one version.

    Parameters
    ----------
    frame
        At most 5,000 rows sampled from `population`: the features in the spec's dtypes (see `frames.typed`),
        `prediction` as float64 (see `frames.prediction`) and, where it was known, the target.
    counts
        What the drift engine compares with: the profile of all rows and what belongs to it.
    window
        Training events had ``window[0] <= time < window[1]``.
    importances
        Share of each feature in the model's decisions; they sum to about 1.
    performance
        Expected realised performance by metric.
    ranges, categories, null_rates
        Of all `population` rows: [min, max] of numeric features, the values of categorical and boolean
        ones (booleans as ``true`` and ``false``), the share of nulls of all.
    held
        Labelled rows that the version was not trained on; None where none were given.
    """

    model: str
    version: str
    created_at: datetime
    window: tuple[datetime, datetime]
    population: int
    frame: pd.DataFrame
    counts: ReferenceProfile
    importances: Mapping[str, float]
    performance: Mapping[str, Band]
    ranges: Mapping[str, tuple[float, float]]
    categories: Mapping[str, frozenset[str]]
    null_rates: Mapping[str, float]
    held: Held | None = None

    @property
    def name(self) -> str:
        """What results name it by: model, version and time of creation."""
        return f"{self.model}/{self.version}@{self.created_at.isoformat()}"
