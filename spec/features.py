"""The input columns of a model, and what is known of each."""

from __future__ import annotations

from enum import StrEnum

from pydantic import model_validator

from spec.record import Record


class FeatureType(StrEnum):
    """How a feature is stored, monitored and fed to the model."""

    NUMERIC = "numeric"
    CATEGORICAL = "categorical"
    BOOLEAN = "boolean"


class Feature(Record):
    """One input column of the model."""

    type: FeatureType
    """`numeric` is a float64 column, `categorical` a string, `boolean` a bool; all may be null."""
    unit: str | None = None
    """Unit of a numeric feature, shown where people look at it."""
    protected: bool = False
    """The groups of a protected attribute must be served alike; see `monitor.fairness`."""

    @model_validator(mode="before")
    @classmethod
    def _accept_bare_type(cls, value: object) -> object:
        return {"type": value} if isinstance(value, str) else value
