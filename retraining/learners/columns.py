"""What a model is given of the features: numbers, categories and parts of the calendar, by what suits it."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

from retraining.graphs.calendar_parts import CalendarParts
from retraining.learners.present import Present
from spec import FeatureType, ModelSpec

_UNSEEN = -1


def codes(spec: ModelSpec, *, imputed: bool = False, present: bool = False) -> ColumnTransformer:
    """Return numbers as they are, categories as ordinal codes, parts of the calendar as numbers; for trees.

    Parameters
    ----------
    imputed
        Put the median in the place of a null.
    present
        Leave out numbers that are null in every row.
    """
    unseen = {"handle_unknown": "use_encoded_value", "unknown_value": _UNSEEN}
    numbers = (imputer(),) if imputed else ()
    text = OrdinalEncoder(dtype=np.float32, **unseen)
    return _columns(spec, numbers, text, cyclic=False, present=present)


def scaled(spec: ModelSpec, *before: Any) -> ColumnTransformer:
    """Return standardised numbers, one column a category, and sine and cosine of parts of the calendar.

    Parameters
    ----------
    before
        What is done to imputed numbers before they are standardised.
    """
    one_hot = OneHotEncoder(handle_unknown="ignore", dtype=np.float32)
    return _columns(spec, (imputer(), *before, StandardScaler()), one_hot, cyclic=True, present=False)


def imputer() -> SimpleImputer:
    """Return what puts the median in the place of a null, and 0 where there is nothing else."""
    return SimpleImputer(strategy="median", keep_empty_features=True)


def _columns(
    spec: ModelSpec, numbers: tuple[Any, ...], text: Any, *, cyclic: bool, present: bool
) -> ColumnTransformer:
    def chosen(names: list[str]) -> list[str] | Present:
        return Present(names) if present else names

    moments = {name: one for name, one in spec.features.items() if one.calendar is not None}
    reals = spec.features_of(FeatureType.NUMERIC, FeatureType.BOOLEAN)
    plain = [name for name in reals if name not in moments]
    texts = list(spec.features_of(FeatureType.CATEGORICAL))
    found: list[tuple[str, Any, Any]] = []
    if plain:
        found.append(("real", make_pipeline(*numbers) if numbers else "passthrough", chosen(plain)))
    for index, (name, one) in enumerate(moments.items()):
        parts = CalendarParts(one.calendar or (), one.unit or "", cyclic=cyclic)
        found.append((f"calendar{index}", make_pipeline(parts, *numbers), chosen([name])))
    if texts:
        found.append(("text", text, texts))
    return ColumnTransformer(found)
