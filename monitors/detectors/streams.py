"""River's drift detectors on any series of rows: a column, an error, a score."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from importlib import import_module
from typing import Any

from monitors.finding import NoData
from spec.errors import DataError, Problem, SettingsError, did_you_mean


class Feed(StrEnum):
    """What a detector wants, row by row."""

    NUMBERS = "numbers"
    """Any finite number, such as a feature, an absolute error, a score."""
    ERRORS = "errors"
    """0 or 1 (or a bool): whether the model was wrong on the row."""


@dataclass(frozen=True, slots=True)
class _Part:
    module: str
    name: str
    feed: Feed


_PARTS = {
    "adwin": _Part("river.drift", "ADWIN", Feed.NUMBERS),
    "page_hinkley": _Part("river.drift", "PageHinkley", Feed.NUMBERS),
    "kswin": _Part("river.drift", "KSWIN", Feed.NUMBERS),
    "ddm": _Part("river.drift.binary", "DDM", Feed.ERRORS),
    "eddm": _Part("river.drift.binary", "EDDM", Feed.ERRORS),
    "hddm_a": _Part("river.drift.binary", "HDDMA", Feed.ERRORS),
    "hddm_w": _Part("river.drift.binary", "HDDMW", Feed.ERRORS),
}

DETECTORS = frozenset(_PARTS)


class StreamDetector:
    """One of river's detectors, fed row by row; it starts anew by itself after each drift.

    None of them keeps a false-alarm budget: their own parameters trade delay against false alarms. A
    missing row (None, NaN, NoData) is counted in `skipped` and not fed: the detector's clock stands
    still. River's detectors are not robust: one extreme number moves ADWIN's and Page–Hinkley's means, so
    clip what may be extreme.

    Parameters
    ----------
    name
        One of `DETECTORS`.
    settings
        As of river's own class; KSWIN draws from a sample and is seeded with 0 unless `seed` is given.

    Attributes
    ----------
    feed
        What it wants: numbers, or errors (0 and 1).
    rows, skipped
        Rows so far, missing ones included; the missing ones.
    drift
        Whether the latest row completed a drift.

    Raises
    ------
    DataError
        An unknown name or setting, with the closest known one.
    SettingsError
        River is not installed: it comes with ``trimtab[streams]``.

    Examples
    --------
    >>> import random
    >>> generator = random.Random(5)
    >>> series = [generator.gauss(row >= 500, 1) for row in range(1000)]
    >>> drifts("adwin", series)
    [543]

    References
    ----------
    Montiel et al. (2021), River: machine learning for streaming data in Python, JMLR 22. The instance
    pickles, so a stream goes on after a restart.
    """

    def __init__(self, name: str, **settings: Any) -> None:
        if name not in _PARTS:
            raise DataError([Problem("detector", "must be one of river's", name, did_you_mean(name, _PARTS))])
        part = _PARTS[name]
        self.name, self.feed = name, part.feed
        self.rows, self.skipped, self.drift = 0, 0, False
        self._detector = _made(part, {"seed": 0, **settings} if name == "kswin" else settings)

    def update(self, value: float | bool | NoData | None) -> bool:  # noqa: FBT001 - a row's error is a bool
        """Feed one row and return whether it completed a drift; never for a missing row.

        Raises
        ------
        DataError
            Not a finite number; or not 0 or 1 where errors are wanted.
        """
        self.rows += 1
        self.drift = False
        if value is None or isinstance(value, NoData) or math.isnan(value):
            self.skipped += 1
            return False
        self._detector.update(self._checked(value))
        self.drift = bool(self._detector.drift_detected)
        return self.drift

    def _checked(self, value: float) -> float | bool:
        where = f"row {self.rows - 1}"
        if self.feed is Feed.ERRORS and value not in (0, 1):
            hint = "Feed whether the model was wrong; adwin, kswin and page_hinkley take numbers"
            raise DataError([Problem(where, f"must be 0 or 1 for {self.name}", str(value), hint)])
        if math.isinf(value):
            raise DataError([Problem(where, "must be finite", str(value), "Clip it, or pass None")])
        return bool(value) if self.feed is Feed.ERRORS else float(value)


def drifts(name: str, values: Iterable[float | bool | NoData | None], **settings: Any) -> list[int]:
    """Return the rows, from 0, at which the detector finds a drift; parameters as `StreamDetector`."""
    detector = StreamDetector(name, **settings)
    return [row for row, value in enumerate(values) if detector.update(value)]


def _made(part: _Part, settings: dict[str, Any]) -> Any:
    try:
        kind = getattr(import_module(part.module), part.name)
    except ModuleNotFoundError as missing:
        hint = "pip install 'trimtab[streams]'"
        raise SettingsError(
            [Problem("river", "must be installed to use its detectors", "no such module", hint)]
        ) from missing
    known = set(inspect.signature(kind).parameters)
    problems = [
        Problem(f"{part.name}.{name}", "must be a setting of the detector", name, did_you_mean(name, known))
        for name in settings
        if name not in known
    ]
    if problems:
        raise DataError(problems)
    return kind(**settings)
