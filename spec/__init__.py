"""What a user writes: one typed YAML a model; and what every process needs to know of its surroundings."""

from spec.clock import Clock, set_clock
from spec.errors import (
    DataError,
    InputError,
    NotFound,
    Problem,
    Refused,
    RequestError,
    SettingsError,
    SpecError,
    TrimtabError,
    Unavailable,
    did_you_mean,
)
from spec.loader import json_schema, load, load_folder, loads, pick
from spec.model import SHADOW, Feature, FeatureType, ModelSpec, PerformanceMetric, Task
from spec.settings import SLOTS, Settings, read_secret
from spec.units import format_duration

__all__ = [
    "SHADOW",
    "SLOTS",
    "Clock",
    "DataError",
    "Feature",
    "FeatureType",
    "InputError",
    "ModelSpec",
    "NotFound",
    "PerformanceMetric",
    "Problem",
    "Refused",
    "RequestError",
    "Settings",
    "SettingsError",
    "SpecError",
    "Task",
    "TrimtabError",
    "Unavailable",
    "did_you_mean",
    "format_duration",
    "json_schema",
    "load",
    "load_folder",
    "loads",
    "pick",
    "read_secret",
    "set_clock",
]
