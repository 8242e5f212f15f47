"""What a user writes: one typed YAML a model; and what every process needs to know of its surroundings."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

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

if TYPE_CHECKING:
    from spec.features import Feature, FeatureType
    from spec.loader import json_schema, load, load_folder, loads, pick
    from spec.model import ModelSpec
    from spec.performance import PerformanceMetric, Task
    from spec.settings import SLOTS, Settings, read_secret
    from spec.steps import SHADOW
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

_LATER = {
    "spec.features": ("Feature", "FeatureType"),
    "spec.loader": ("json_schema", "load", "load_folder", "loads", "pick"),
    "spec.model": ("ModelSpec",),
    "spec.performance": ("PerformanceMetric", "Task"),
    "spec.steps": ("SHADOW",),
    "spec.settings": ("SLOTS", "Settings", "read_secret"),
    "spec.units": ("format_duration",),
}
"""Names that stand on pydantic and YAML, 0.2 s, which are imported when they are asked for."""

if not TYPE_CHECKING:  # to mypy, a module with __getattr__ has every name

    def __getattr__(name: str) -> Any:
        for module, names in _LATER.items():
            if name in names:
                found = globals()[name] = getattr(import_module(module), name)
                return found
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
