from __future__ import annotations

import copy
import math
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from monitors.detectors.conformal import ConformalMartingale
from monitors.detectors.e_detector import EDetector, Recursion, log_e_value
from monitors.detectors.persistence import Persistence
from monitors.finding import NoData

Detector = EDetector | ConformalMartingale | Persistence
CALIBRATION = tuple(np.random.default_rng(70).normal(size=100))

DETECTORS: dict[str, tuple[Detector, Callable[[float], Any]]] = {
    "shiryaev_roberts": (EDetector(1 / 300), log_e_value),
    "cusum": (EDetector(1 / 300, Recursion.CUSUM), log_e_value),
    "conformal": (ConformalMartingale(CALIBRATION, limit=300), lambda p: -math.log(p)),
    "persistence": (Persistence(k=3, n=4), lambda p: bool(p < 0.1)),
}
"""Each detector, and how it is fed with the p-value of a window."""


@pytest.fixture(params=sorted(DETECTORS))
def case(request: pytest.FixtureRequest) -> tuple[Detector, Callable[[float], Any]]:
    """One detector with what feeds it."""
    return DETECTORS[request.param]


def history(size: int, change: int | None = None) -> list[float]:
    """P-values that are uniform, and near 0 from `change` on."""
    p = np.random.default_rng(71).uniform(1e-12, 1, size)
    if change is not None:
        p[change:] = p[change:] ** 8
    return [float(value) for value in p]


def run(detector: Detector, feed: Callable[[float], Any], p: list[float]) -> tuple[Detector, list[bool]]:
    """Feed a whole history; return the last state and each window's alarm."""
    alarms = []
    for value in p:
        detector = detector.update(feed(value))
        alarms.append(detector.alarm)
    return detector, alarms


def test_an_update_returns_a_new_detector(case: tuple[Detector, Callable[[float], Any]]) -> None:
    """Nothing is changed in place: the same update of the same detector gives the same result."""
    detector, feed = case
    before = copy.deepcopy(detector)

    assert detector.update(feed(0.01)) == detector.update(feed(0.01))
    assert before == detector


def test_a_restart_changes_nothing(case: tuple[Detector, Callable[[float], Any]]) -> None:
    """Stored and loaded after every window, a detector ends in the same state with the same alarms."""
    detector, feed = case
    p = history(60, change=40)
    expected = run(detector, feed, p)
    alarms = []
    for value in p:
        detector = pickle.loads(pickle.dumps(detector)).update(feed(value))  # noqa: S301 - its own bytes
        alarms.append(detector.alarm)

    assert expected == (detector, alarms)


def test_a_change_is_found_after_it_happened(case: tuple[Detector, Callable[[float], Any]]) -> None:
    """There is no alarm in 40 quiet windows, and one within 30 windows of the change."""
    detector, feed = case
    _, alarms = run(detector, feed, history(70, change=40))

    assert 40 <= alarms.index(True)


def test_no_data_never_alarms_a_quiet_detector(case: tuple[Detector, Callable[[float], Any]]) -> None:
    """Windows without data, however many, raise no alarm."""
    detector, feed = case
    detector, _ = run(detector, feed, history(20))
    for _ in range(50):
        detector = detector.update(NoData("no rows"))
        assert not detector.alarm


@pytest.mark.parametrize("name", ["shiryaev_roberts", "cusum"])
def test_the_false_alarm_rate_is_held(name: str) -> None:
    """Over 20,000 quiet windows there is at most one alarm in 300."""
    detector, feed = DETECTORS[name]
    _, alarms = run(detector, feed, history(20_000))

    assert sum(alarms) <= 66


def test_order_does_not_matter_to_calibration() -> None:
    """A conformal martingale is the same whatever the order of its calibration scores."""
    assert ConformalMartingale(CALIBRATION) == ConformalMartingale(CALIBRATION[::-1])
