from __future__ import annotations

import math
import pickle
import subprocess
import sys

import numpy as np
import pytest

from monitors.detectors.streams import DETECTORS, Feed, StreamDetector, drifts
from monitors.finding import NoData
from spec.errors import DataError


def numbers() -> list[float]:
    """River's own test stream of numbers."""
    generator = np.random.RandomState(12345)
    return [*map(float, generator.randint(2, size=1000)), *map(float, generator.randint(8, size=1000))]


def errors() -> list[int]:
    """River's own test stream of errors."""
    generator = np.random.RandomState(12345)
    return [int(generator.binomial(1, rate)) for rate in (0.2, 0.8) for _ in range(1000)]


@pytest.mark.parametrize(
    ("name", "expected", "settings"),
    [
        ("adwin", [1023], {}),
        ("page_hinkley", [1020, 1397, 1548, 1988], {}),
        ("kswin", [1042], {"alpha": 1e-4, "window_size": 200, "stat_size": 100, "seed": 42}),
        ("ddm", [1049], {}),
        ("eddm", [663, 828, 1007, 1078], {}),
        ("hddm_a", [1047], {}),
        ("hddm_w", [1018], {}),
    ],
)
def test_rivers_detectors_find_what_river_says(
    name: str, expected: list[int], settings: dict[str, float]
) -> None:
    """On river's own streams every detector alarms at the rows of river's own tests."""
    stream = numbers() if StreamDetector(name).feed is Feed.NUMBERS else errors()

    assert expected == drifts(name, stream, **settings)


@pytest.mark.parametrize("name", sorted(DETECTORS))
def test_a_stream_goes_on_after_a_restart(name: str) -> None:
    """Pickled in the middle, the rest gives the same drifts; missing rows are counted and change nothing."""
    detector = StreamDetector(name)
    stream = numbers() if detector.feed is Feed.NUMBERS else errors()
    expected = drifts(name, stream)
    found = [row for row, value in enumerate(stream[:900]) if detector.update(value)]
    for missing in (None, math.nan, NoData("not logged")):
        assert not detector.update(missing)
    again = pickle.loads(pickle.dumps(detector))  # noqa: S301 - its own bytes
    found += [row for row, value in enumerate(stream[900:], start=900) if again.update(value)]

    assert expected == found
    assert (3, 2003) == (again.skipped, again.rows)


def test_unknown_names_settings_and_values_are_told() -> None:
    """Each says where, what was found, and the closest known name."""
    with pytest.raises(DataError, match="Did you mean 'adwin'"):
        StreamDetector("adwim")
    with pytest.raises(DataError, match="Did you mean 'delta'"):
        StreamDetector("adwin", dleta=0.1)
    with pytest.raises(DataError, match=r"row 1: must be 0 or 1 for ddm; found 0\.3"):
        drifts("ddm", [0, 0.3])
    with pytest.raises(DataError, match="row 0: must be finite; found inf"):
        drifts("adwin", [math.inf])


def test_without_river_the_extra_is_named() -> None:
    """Where river is not installed the error says which extra brings it."""
    program = (
        "import sys; sys.modules['river'] = None\n"
        "from monitors.detectors.streams import StreamDetector\n"
        "from spec.errors import SettingsError\n"
        "try: StreamDetector('adwin')\n"
        "except SettingsError as error: print(error)\n"
    )
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout

    assert "trimtab[streams]" in shown
