"""Rows as a matrix of small codes that gradient-boosted trees read fast: features, then the model's scores.

A number becomes its grade, the number of cuts at or below it; the cuts are quantiles of the reference, its
least and greatest value among them, so that what lies beyond the reference is a grade of its own. A category
becomes its rank by frequency.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from monitors.metrics import Array
from spec import ModelSpec
from spec.features import FeatureType

GRADES = 120
"""Of a number."""
CATEGORIES = 200
"""That are told apart, the most frequent ones of the reference; all others are missing to the trees."""


@dataclass(frozen=True, slots=True, eq=False)
class Encoder:
    """What values are encoded as, learnt from reference rows.

    Parameters
    ----------
    cuts
        Of each numeric feature, rising.
    codes
        Of each categorical feature, by value.
    score_cuts
        Of each output of the model.
    """

    cuts: Mapping[str, Array]
    codes: Mapping[str, Mapping[str, int]]
    score_cuts: tuple[Array, ...]

    @classmethod
    def of(cls, spec: ModelSpec, frame: pd.DataFrame, scores: Array) -> Encoder:
        """Learn from the spec's features that the frame has, and scores of shape (rows, outputs)."""
        kinds = (FeatureType.NUMERIC, FeatureType.BOOLEAN)
        numeric = [name for name, feature in spec.compared.items() if feature.type in kinds]
        return cls(
            {name: _cuts(_numbers(frame[name])) for name in numeric if name in frame},
            {
                name: {
                    value: code for code, value in enumerate(frame[name].value_counts().index[:CATEGORIES])
                }
                for name in spec.features_of(FeatureType.CATEGORICAL)
                if name in frame
            },
            tuple(_cuts(column) for column in scores.T),
        )

    @property
    def categorical(self) -> npt.NDArray[np.bool_]:
        """Which columns of the matrix are codes of categories."""
        kinds = [False] * len(self.cuts) + [True] * len(self.codes) + [False] * len(self.score_cuts)
        return np.array(kinds)

    def matrix(self, frame: pd.DataFrame, scores: Array) -> Array:
        """Return shape (rows, columns), NaN where a value is missing, not a number or an unknown category."""
        numbers = [_graded(_numbers(frame[name]), cuts) for name, cuts in self.cuts.items()]
        categories = [_numbers(frame[name].map(codes)) for name, codes in self.codes.items()]
        answers = [_graded(column, cuts) for column, cuts in zip(scores.T, self.score_cuts, strict=True)]
        return np.column_stack([*numbers, *categories, *answers])


def _numbers(column: pd.Series) -> Array:
    return np.asarray(column.to_numpy(dtype=float, na_value=np.nan), dtype=float)


def _cuts(values: Array) -> Array:
    known = values[~np.isnan(values)]
    if not len(known):
        return np.empty(0)
    return np.unique(np.sort(known)[np.linspace(0, len(known) - 1, GRADES).astype(np.int64)])


def _graded(values: Array, cuts: Array) -> Array:
    """0 below the least cut; exact cuts and what lies between them differ, for values that pile up."""
    grade = np.searchsorted(cuts, values, "left") + np.searchsorted(cuts, values, "right")
    return np.where(np.isnan(values), np.nan, grade.astype(float))
