"""The learners of the search: what to try, and a pipeline that converts to ONNX exactly."""

from __future__ import annotations

from retraining.learners.continued import continued
from retraining.learners.fitting import fit, scores
from retraining.learners.pipelines import averages, build, defaults, first, grid, require, suggest

__all__ = [
    "averages",
    "build",
    "continued",
    "defaults",
    "first",
    "fit",
    "grid",
    "require",
    "scores",
    "suggest",
]
