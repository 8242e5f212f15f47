"""Metrics of scores beside the truth: one family a file, and a registry of them all.

Each metric is a function of weights on blocks of rows, so that an interval can resample whole days.
"""

from __future__ import annotations

from monitors.metrics.blocks import Array, Blocks, Rows, Statistic
from monitors.metrics.registry import DEFINITIONS, Definition, shortfall, statistic

__all__ = ["DEFINITIONS", "Array", "Blocks", "Definition", "Rows", "Statistic", "shortfall", "statistic"]
