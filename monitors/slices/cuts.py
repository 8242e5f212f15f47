"""What a slice is: a category, a quarter of the reference's numbers, true or false, or what is missing."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pandas as pd

from spec.features import FeatureType
from spec.model import ModelSpec

Codes = npt.NDArray[np.int64]
"""The slice of each row, 0, 1, …; shape (rows,)."""

MAX_VALUES = 20
"""Categories of a feature that are slices by themselves; all others are one slice together."""
RARE = 0.005
"""Categories with a smaller share of the reference are pooled with the others."""
_QUARTILES = (0.25, 0.5, 0.75)
_LONGEST = 60  # characters of a category in a slice's name


@dataclass(frozen=True, slots=True)
class Cut:
    """One feature cut into slices that do not overlap and hold every row; frozen, as the reference was.

    Parameters
    ----------
    names
        What people call each slice, such as ``origin=JFK`` or ``distance > 900``; the last are the nulls.
    edges
        Of a numeric feature, rising: slice i holds ``edges[i-1] < value ≤ edges[i]``.
    values
        Of a categorical feature, the most frequent first; what is none of them is the slice ``(other)``.
    """

    feature: str
    type: FeatureType
    names: tuple[str, ...]
    edges: tuple[float, ...] = ()
    values: tuple[str, ...] = ()

    def codes(self, column: pd.Series) -> Codes:
        """Return the slice of each row, 0 … len(names) - 1.

        Parameters
        ----------
        column
            The feature in the spec's dtype (see `frames.typed`).
        """
        null = len(self.names) - 1
        missing = column.isna().to_numpy(dtype=bool)
        if self.type is FeatureType.CATEGORICAL:
            found = pd.Index(self.values, dtype=column.dtype).get_indexer(pd.Index(column))
            code = np.where(found < 0, len(self.values), found)
        elif self.type is FeatureType.BOOLEAN:
            code = column.fillna(value=False).to_numpy(dtype=np.int64)
        else:
            code = np.searchsorted(np.array(self.edges), column.to_numpy(dtype=float), side="left")
        return np.where(missing, null, code).astype(np.int64)


def cuts(spec: ModelSpec, reference: pd.DataFrame, features: Iterable[str]) -> tuple[Cut, ...]:
    """Cut features as they are in the reference.

    Numbers are cut at the reference's quartiles (equal ones count once), categories by the reference's
    `MAX_VALUES` most frequent values that have a share of `RARE` or more. A value that the reference does
    not know is in ``(other)``, or in the outermost quarter.

    Parameters
    ----------
    reference
        Rows in the spec's dtypes (see `frames.typed`).
    features
        Names of features of the spec.
    """
    return tuple(_cut(name, spec.features[name].type, reference[name]) for name in features)


def coded(cut_features: Iterable[Cut], rows: pd.DataFrame) -> Codes:
    """Return the slices of the rows by each cut; shape (rows, cuts)."""
    columns = [cut.codes(rows[cut.feature]) for cut in cut_features]
    return np.column_stack(columns) if columns else np.empty((len(rows), 0), dtype=np.int64)


def _cut(name: str, kind: FeatureType, column: pd.Series) -> Cut:
    if kind is FeatureType.BOOLEAN:
        return Cut(name, kind, tuple(f"{name}={value}" for value in ("false", "true", "(null)")))
    if kind is FeatureType.CATEGORICAL:
        counts = column.value_counts()
        frequent = counts[counts >= RARE * max(int(counts.sum()), 1)].index[:MAX_VALUES]
        values = tuple(str(value) for value in frequent)
        shown = (*map(_shown, values), "(other)", "(null)")
        return Cut(name, kind, tuple(f"{name}={value}" for value in shown), values=values)
    numbers = column.to_numpy(dtype=float)
    finite = numbers[np.isfinite(numbers)]
    edges = tuple(float(edge) for edge in np.unique(np.quantile(finite, _QUARTILES))) if len(finite) else ()
    return Cut(name, kind, _ranges(name, edges), edges=edges)


def _ranges(name: str, edges: tuple[float, ...]) -> tuple[str, ...]:
    null = f"{name}=(null)"
    if not edges:
        return name, null
    at = _distinct(edges)
    between = (f"{low} < {name} ≤ {high}" for low, high in pairwise(at))
    return f"{name} ≤ {at[0]}", *between, f"{name} > {at[-1]}", null


def _distinct(edges: tuple[float, ...]) -> tuple[str, ...]:
    """Write numbers with four digits, or with as many as tell them apart."""
    short = tuple(f"{edge:.4g}" for edge in edges)
    return short if len(set(short)) == len(edges) else tuple(repr(edge) for edge in edges)


def _shown(value: str) -> str:
    if len(value) <= _LONGEST:
        return value
    return f"{value[:_LONGEST]}…{zlib.crc32(value.encode()):08x}"  # two long values stay two names
