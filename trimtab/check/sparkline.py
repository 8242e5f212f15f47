"""A distribution in one line of text: eight heights, or five letters where the terminal has no blocks."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from monitors.profiles.plan import Floats
from monitors.profiles.profile import CategoricalColumn, Column, NumericColumn
from trimtab.check.histogram import ceiling, histogram
from trimtab.check.shares import shares

BLOCKS = " ▁▂▃▄▅▆▇█"
LETTERS = " .:+#"


def sparklines(reference: Column, current: Column, width: int, levels: str = BLOCKS) -> tuple[str, str]:
    """Return both sides on the same axes, `width` characters at most; empty where there is nothing to draw.

    Numbers go from the left to the right; categories from the most frequent of the reference to the least,
    with the others at the end. What is there is never drawn as nothing.
    """
    heights = _heights(reference, current, width)
    if heights is None:
        return "", ""
    numeric = isinstance(reference, NumericColumn)
    top = ceiling(heights) if numeric else float(np.max(np.stack(heights)))
    before, after = (_line(height, top, levels) for height in heights)
    return before, after


def _heights(reference: Column, current: Column, width: int) -> tuple[Floats, Floats] | None:
    if isinstance(reference, NumericColumn) and isinstance(current, NumericColumn):
        drawn = histogram(reference, current, width)
        return None if drawn is None else (drawn.reference, drawn.current)
    if isinstance(reference, CategoricalColumn) and isinstance(current, CategoricalColumn):
        found = shares(reference, current, width - 1)
        bars = [*found.shown, *([found.rest] if found.rest else [])]
        return (np.array([b.reference for b in bars]), np.array([b.current for b in bars])) if bars else None
    return None


def _line(heights: Iterable[float], top: float, levels: str) -> str:
    last = len(levels) - 1
    return "".join(
        levels[0 if not height else max(1, min(last, round(height / top * last)))] for height in heights
    )
