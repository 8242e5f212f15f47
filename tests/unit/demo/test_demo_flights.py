from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

import spec
from trimtab.demo.flights import CATEGORICAL, NUMERIC, load_flights, sample


@pytest.fixture(scope="module")
def flights() -> pd.DataFrame:
    """The whole year."""
    return load_flights()


def test_every_landed_flight_is_there_once(flights: pd.DataFrame) -> None:
    """The 336,776 flights less the 9,430 that never arrived, each with an id of its own."""
    assert 327_346 == len(flights)
    assert flights["flight_id"].is_unique


def test_the_columns_are_those_of_the_shipped_model(flights: pd.DataFrame) -> None:
    """models/flights.yaml and the data name the same features, of the same types."""
    model = spec.load(Path("models/flights.yaml"))

    assert [*NUMERIC, *CATEGORICAL] == list(model.features)
    assert tuple(NUMERIC) == model.features_of(spec.FeatureType.NUMERIC)
    assert {model.data.id, model.data.time, model.data.target.name} <= set(flights)


def test_times_are_utc(flights: pd.DataFrame) -> None:
    """The first flight leaves New York at 5:15 local time and lands in Houston at 8:30."""
    first = flights.iloc[0]

    assert pd.Timestamp("2013-01-01T10:15:00Z") == first["scheduled_departure"]
    assert pd.Timestamp("2013-01-01T14:30:00Z") == first["landed"]


def test_scheduled_durations_are_those_of_flights(flights: pd.DataFrame) -> None:
    """With each airport in its own time zone, hardly a schedule is shorter than the distance allows."""
    speed = flights["distance"] / (flights["sched_minutes"] / 60)

    assert (speed.between(60, 650)).mean() > 0.999


def test_nothing_that_is_known_later_is_a_feature(flights: pd.DataFrame) -> None:
    """No feature tells the truth by itself: none alone ranks late flights better than an AUC of .65."""
    from sklearn.metrics import roc_auc_score

    for name in NUMERIC:
        known = flights[flights[name].notna()]
        area = roc_auc_score(known["late"], known[name])
        assert max(area, 1 - area) < 0.65, name


def test_a_sample_is_the_same_every_time(flights: pd.DataFrame) -> None:
    """One flight in four, in order."""
    part = sample(flights, 4)

    assert len(flights) // 4 + 1 == len(part)
    assert part["scheduled_departure"].is_monotonic_increasing
