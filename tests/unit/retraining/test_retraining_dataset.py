from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from retraining.dataset import duplicates, leakage, rows, windows
from retraining.dataset.cut import cut
from retraining.records import Snapshot
from spec import DataError, ModelSpec, loads
from spec.retrain import HalfLife


def snapshot_of(frame: pd.DataFrame, **changed: object) -> Snapshot:
    """Return the record of a snapshot whose training rows these are; the holdout follows."""
    end = frame["ordered_at"].max().to_pydatetime()
    fields = {
        "run": "r",
        "taken_at": end,
        "log_version": None,
        "labels_version": None,
        "history_sha256": None,
        "window_start": frame["ordered_at"].min().to_pydatetime(),
        "holdout_start": end + timedelta(days=1),
        "window_end": end + timedelta(days=11),
        "train_rows": len(frame),
        "holdout_rows": 100,
        "gap_rows": 0,
        "history_rows": 0,
        "copies": 0,
        "base_prediction": (0.5,),
        "sha256": "0",
    }
    return Snapshot.model_validate(fields | changed)


def test_trials_are_scored_on_later_rows(
    shop: Callable[..., ModelSpec], orders: Callable[..., pd.DataFrame]
) -> None:
    """Trials are scored on as long a span as the holdout, newer than all that they were fitted on."""
    frame = orders(n=3000)

    split = cut(shop(), frame, snapshot_of(frame))

    assert split.validation["ordered_at"].min() - split.fit["ordered_at"].max() >= timedelta(days=1)
    span = split.validation["ordered_at"].max() - split.validation["ordered_at"].min()
    assert timedelta(days=9.9) < span <= timedelta(days=10)
    assert 2000 == len(split.fit)
    assert frame["ordered_at"].max() == split.validation["ordered_at"].max()


def test_a_short_training_span_keeps_most_rows_for_fitting(
    shop: Callable[..., ModelSpec], orders: Callable[..., pd.DataFrame]
) -> None:
    """When training is not much longer than the holdout, a quarter of the span is enough to score on."""
    frame = orders(n=1200, days=12)

    split = cut(shop(), frame, snapshot_of(frame))

    assert 295 < len(split.validation) < 305


def test_a_class_that_came_up_yesterday_cannot_be_searched(
    shop: Callable[..., ModelSpec], orders: Callable[..., pd.DataFrame]
) -> None:
    """Both parts of the split need every class; the error says which lacks it."""
    frame = orders(n=1000)
    frame["returned"] = frame["ordered_at"] > frame["ordered_at"].max() - timedelta(days=5)

    with pytest.raises(
        DataError, match="shop: older rows of the training span: must hold all 2 classes; found 1"
    ):
        cut(shop(), frame, snapshot_of(frame))


def test_the_season_that_returns_is_kept_from_the_trials(
    shop_yaml: Callable[..., str], orders: Callable[..., pd.DataFrame]
) -> None:
    """Rows from one season before the holdout and what follows it are set aside, whole and alone."""
    spec = loads(shop_yaml(validate="season: 40d"))
    frame = orders(n=3000)
    taken = snapshot_of(frame)

    split = cut(spec, frame, taken)

    first, last = split.season["ordered_at"].min(), split.season["ordered_at"].max()
    assert taken.holdout_start - timedelta(days=40) <= first
    assert last <= taken.window_end - timedelta(days=30)
    assert timedelta(days=19.8) < last - first <= timedelta(days=20)
    assert not set(split.season["order_id"]) & {*split.fit["order_id"], *split.validation["order_id"]}


def test_a_series_younger_than_its_season_has_nothing_to_set_aside(
    shop: Callable[..., ModelSpec], orders: Callable[..., pd.DataFrame]
) -> None:
    """Without rows of a year ago every older row is for the trials."""
    frame = orders(n=1500)

    assert cut(shop(), frame, snapshot_of(frame)).season.empty


@pytest.mark.parametrize(
    ("window", "counted"),
    [
        ("all", [1, 1, 1, 1]),
        ("onset", [0.2, 0.2, 1, 1]),
        (timedelta(days=10), [0, 0, 1, 1]),
        (HalfLife(half_life=timedelta(days=10)), [0.125, 0.25, 0.5, 1]),
    ],
)
def test_a_training_window_says_how_much_each_row_counts(
    window: object, counted: list[float], orders: Callable[..., pd.DataFrame]
) -> None:
    """Spans and half-lives count back from the newest row; the onset parts old rows from new ones."""
    end = datetime.fromisoformat("2024-03-10T00:00:00+00:00")
    times = pd.Series([pd.Timestamp(end) - timedelta(days=days) for days in (30, 20, 10, 0)])
    taken = snapshot_of(orders(n=100), onset=end - timedelta(days=12), old_weight=0.2)

    np.testing.assert_allclose(counted, windows.weights(window, times, end, taken))  # type: ignore[arg-type]


def test_windows_have_names_and_the_onset_needs_a_date(
    shop_yaml: Callable[..., str], orders: Callable[..., pd.DataFrame]
) -> None:
    """What is tried is called as the spec writes it; a change that nobody dated has no window."""
    named = "holdout: 10d\n  windows: [all, onset, 60d, {half_life: 30d}]"
    spec = loads(shop_yaml().replace("holdout: 10d", named))
    frame = orders(n=100)

    undated = windows.usable(spec, snapshot_of(frame))
    dated = windows.usable(spec, snapshot_of(frame, onset=frame["ordered_at"][50].to_pydatetime()))

    assert ["all", "60d", "half-life 30d"] == list(undated)
    assert ["all", "onset", "60d", "half-life 30d"] == list(dated)


def test_rows_that_merely_look_alike_are_no_copies(
    shop: Callable[..., ModelSpec], orders: Callable[..., pd.DataFrame]
) -> None:
    """The second of two equal rows is a copy; at another time, or with another truth, it is a row."""
    row = orders(n=100).head(1)
    later = row.assign(ordered_at=row["ordered_at"] + timedelta(seconds=1))
    frame = pd.concat([row, row.assign(order_id="b"), later, row.assign(returned=~row["returned"])])

    assert [False, True, False, False] == duplicates.copies(shop(), frame).tolist()


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_only_a_feature_that_gives_the_truth_away_is_suspected(
    task: str, shop: Callable[..., ModelSpec], orders: Callable[..., pd.DataFrame]
) -> None:
    """Honest features explain less; a copy of the truth, a number or a class, explains all."""
    frame = orders(task, n=2000)
    codes = pd.Series(pd.factorize(frame["returned"], sort=True)[0], frame.index)
    number = frame["returned"] if task == "regression" else codes.astype("float64")

    assert {} == leakage.suspects(shop(task), frame)
    assert ["amount"] == list(leakage.suspects(shop(task), frame.assign(amount=number)))
    if task != "regression":
        told = leakage.suspects(shop(task), frame.assign(country=codes.astype("str")))
        assert ["country"] == list(told)


def test_halves_that_lack_a_class_suspect_nothing(
    shop: Callable[..., ModelSpec], orders: Callable[..., pd.DataFrame]
) -> None:
    """Two of three classes, or one value alone, tell nothing of a leak."""
    classes, values = orders("multiclass", n=600), orders("regression", n=600)
    classes["returned"] = np.where(classes.index < 300, "none", np.where(classes.index % 2, "some", "all"))

    assert {} == leakage.suspects(shop("multiclass"), classes)
    assert {} == leakage.suspects(shop("regression"), values.assign(returned=1.0))


def test_a_delay_that_leaves_no_row_is_an_error(
    shop_yaml: Callable[..., str], orders: Callable[..., pd.DataFrame]
) -> None:
    """Values have no classes to be missed, so the empty part is said itself."""
    spec = loads(shop_yaml("regression").replace("delay: 1d", "delay: 55d"))
    frame = orders("regression", n=600)

    with pytest.raises(DataError, match="older rows of the training span: must be some; found none"):
        cut(spec, frame, snapshot_of(frame))


def test_a_value_beyond_what_is_served_is_an_error(
    shop: Callable[..., ModelSpec], orders: Callable[..., pd.DataFrame]
) -> None:
    """Infinity, and what becomes infinite as float32, is told with its column and count."""
    frame = orders(n=100).assign(country="de")
    frame.loc[[3, 4], "weight"] = [np.inf, 1e300]

    with pytest.raises(DataError, match="'weight': must be null or fit into float32; found 2 infinite"):
        rows.check(shop(), frame, "here")
