"""Retraining: prepare, tune, train, optimize, validate, register; adoption of one's own model; the registry.

A stage is one module with one function of (spec, settings, run), such as `retraining.prepare.prepare`. It
reads what earlier stages left in the run's folder, and it may be repeated. Names are imported when they are
first used: the learners take seconds.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from retraining import optimize, prepare, register, train, tune, validate
    from retraining.adoption import adopt
    from retraining.flow import Outcome, retrain
    from retraining.graphs.parity import NotFaithful
    from retraining.records import Candidate, Choice, Search, Snapshot, Tuning, Validation, Variant
    from retraining.registry import Registry, Version

__all__ = [
    "Candidate",
    "Choice",
    "NotFaithful",
    "Outcome",
    "Registry",
    "Search",
    "Snapshot",
    "Tuning",
    "Validation",
    "Variant",
    "Version",
    "adopt",
    "optimize",
    "prepare",
    "register",
    "retrain",
    "train",
    "tune",
    "validate",
]

_STAGES = ("prepare", "tune", "train", "optimize", "validate", "register")
_HOMES = {
    "adopt": "adoption",
    "retrain": "flow",
    "Outcome": "flow",
    "NotFaithful": "graphs.parity",
    "Registry": "registry",
    "Version": "registry",
    **dict.fromkeys(
        ("Candidate", "Choice", "Search", "Snapshot", "Tuning", "Validation", "Variant"), "records"
    ),
}


def __getattr__(name: str) -> Any:
    if name in _STAGES:
        return import_module(f"{__name__}.{name}")
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)
