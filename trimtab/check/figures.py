"""Numbers as people read them: few digits, no noise."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

from monitors.profiles.plan import Kind

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LARGE, _SMALL = 1e7, 1e-4
_LEAST_P = 1e-4


def number(value: float | None) -> str:
    """Return four significant digits, with thousands apart: ``12,340``, ``0.1234``, ``1.2e+09``."""
    if value is None or not math.isfinite(value):
        return "–"
    size = abs(value)
    if size and not _SMALL <= size < _LARGE:
        return f"{value:.2e}"
    digits = max(0, 3 - math.floor(math.log10(size))) if size else 0
    text = f"{value:,.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def effect(value: float) -> str:
    """Return an effect size or a threshold: three digits after the point below 10."""
    if value >= _LARGE:
        return f"{value:.1e}"
    return f"{value:.3f}" if value < 10 else f"{value:,.1f}"  # noqa: PLR2004 - where the third digit is noise


def probability(value: float) -> str:
    """Return a p-value: ``0.0342``, ``<0.0001``."""
    return f"<{_LEAST_P:.4f}" if value < _LEAST_P else f"{value:.4f}"


def share(value: float) -> str:
    """Return a share as a percentage: ``12.3 %``, ``<0.1 %``, ``0 %``."""
    if 0 < value < 0.001:  # noqa: PLR2004 - what one digit after the point shows as nothing
        return "<0.1 %"
    text = f"{value * 100:.1f}"
    return f"{text.removesuffix('.0')} %"


def change(before: float, now: float) -> str:
    """Return two shares as ``2.1 % → 30.2 %``."""
    return f"{share(before)} → {share(now)}"


def instant(microseconds: float | None) -> str:
    """Return an instant as UTC, to the minute (to the day if it is midnight)."""
    moment = to_datetime(microseconds)
    if moment is None:
        return "–"
    midnight = (moment.hour, moment.minute, moment.second) == (0, 0, 0)
    return f"{moment:%Y-%m-%d}" if midnight else f"{moment:%Y-%m-%d %H:%M}"


def to_datetime(microseconds: float | None) -> datetime | None:
    """Return the instant so many microseconds after the epoch; None if no calendar has it."""
    try:
        return None if microseconds is None else _EPOCH + timedelta(microseconds=float(microseconds))
    except OverflowError:
        return None


def of_kind(value: float | None, kind: Kind) -> str:
    """Return a column's value: an instant for a datetime, else a number."""
    return instant(value) if kind is Kind.DATETIME else number(value)


def count(many: int, noun: str) -> str:
    """Return ``1 column``, ``2 columns``."""
    return f"{many:,} {noun}" if many == 1 else f"{many:,} {noun}s"
