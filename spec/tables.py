"""The columns of the two Delta tables: what serving writes, what monitors and retraining read.

Types are Arrow's names, so that this room needs no Arrow.
"""

from __future__ import annotations

from spec.features import FeatureType
from spec.model import ModelSpec
from spec.performance import Task

_TYPE = {FeatureType.NUMERIC: "double", FeatureType.CATEGORICAL: "string", FeatureType.BOOLEAN: "bool"}
TIMESTAMP = "timestamp[us, tz=UTC]"

ENVELOPE = {
    "row_id": "string",  # unique per answered row; readers keep one row of each
    "prediction_id": "string",  # the caller's id, what labels and the shadow join on
    "event_time": TIMESTAMP,
    "event_date": "string",  # YYYY-MM-DD of the event time; the partition
    "logged_at": TIMESTAMP,  # processing time of the answer
    "version": "string",
    "slot": "string",
    "shadow": "bool",  # true: a mirrored copy; null: its caller asked for the version by name
    "latency_ms": "double",
    "scores": "list<double>",  # [P(positive)], [P(class), …] or [value]
}
PARTITION = "event_date"
FEATURE_PREFIX = "f_"


def log_columns(spec: ModelSpec) -> dict[str, str]:
    """Columns of the inference log: the envelope, then each feature as ``f_<name>``, nullable.

    A feature that is private and dropped has none.
    """
    features = {FEATURE_PREFIX + name: _TYPE[feature.type] for name, feature in spec.logged.features.items()}
    return ENVELOPE | features


def label_columns(spec: ModelSpec) -> dict[str, str]:
    """Columns of the labels table; `arrived_at` is processing time."""
    label = {Task.BINARY: "bool", Task.MULTICLASS: "string", Task.REGRESSION: "double"}[spec.task]
    return {"prediction_id": "string", "label": label, "arrived_at": TIMESTAMP}
