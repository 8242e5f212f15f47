"""What a version was trained on and is held against: rows, profile, importances, expected performance."""

from monitors.references.layout import any_held, versions
from monitors.references.loading import load
from monitors.references.publishing import publish
from monitors.references.record import Band, Reference

__all__ = ["Band", "Reference", "any_held", "load", "publish", "versions"]
