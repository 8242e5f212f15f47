"""The learners of the search: what to try, and a pipeline that converts to ONNX exactly."""

from __future__ import annotations

from retraining.learners.pipelines import averages, build, defaults, suggest

__all__ = ["averages", "build", "defaults", "suggest"]
