from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest

from monitors.results.store import Measurement, Store, WindowResult
from monitors.tables import labels
from monitors.triage import episodes
from monitors.triage.records import Action, Cause, TrainingWindow, Triage
from retraining.dataset.stored import HOLDOUT, TRAIN, load_rows
from retraining.prepare import prepare
from retraining.records import Snapshot
from retraining.workspace import Workspace
from spec import DataError, loads


def log_orders(world: Any, frame: pd.DataFrame, **defaults: object) -> None:
    """Write orders to the inference log as the model server does."""
    plain = frame.astype({"country": object, "member": object})
    plain = plain.where(plain.notna(), None).rename(
        columns={name: f"f_{name}" for name in world.spec.features}
    )
    names = {"order_id": "prediction_id", "ordered_at": "event_time"}
    rows = plain.drop(columns="returned").rename(columns=names).to_dict("records")
    world.write_log([row | defaults for row in rows])


def without_history(world: Any) -> Any:
    """Return a world whose model has no history file."""
    data = world.spec.data.model_copy(update={"history": None})
    world.spec = world.spec.model_copy(update={"data": data})
    return world


def label(world: Any, frame: pd.DataFrame, now: Any) -> None:
    """Append the truth of orders; it arrives at `now`."""
    world.set_time(now)
    labels.append(world.spec, world.settings, frame[["order_id", "returned"]])


def found_wrong(world: Any, start: datetime, check: str = "null_rate") -> None:
    """Store that the data of a day were found wrong."""
    end, now = start + timedelta(days=1), world.settings.clock.now()
    wrong = (Measurement("violations", 9, method=check),)
    with Store(world.settings.results_url) as store:
        store.save(WindowResult("shop", "3", "quality", start, end, 9, "alarm", wrong, now, 0.1, None, "abc"))


def rows_of(taken: Snapshot) -> int:
    """Count the rows that a snapshot knows of."""
    return taken.train_rows + taken.gap_rows + taken.holdout_rows


def in_gap(frame: pd.DataFrame, taken: Snapshot) -> pd.Series[bool]:
    """Return which rows are too new to have had a label when the holdout began."""
    age = taken.holdout_start - frame["ordered_at"]
    return (age > timedelta(0)) & (age <= timedelta(days=1))


def test_history_and_log_become_one_table(
    shop_world: Callable[..., Any], orders: Callable[..., pd.DataFrame], put_history: Callable[..., None]
) -> None:
    """Older rows come from the file, newer from the log with its labels; a row in both counts once."""
    world, frame = shop_world(), orders(n=1200)
    now = world.settings.clock.now()
    put_history(world, frame.head(900))
    log_orders(world, frame.tail(400))
    label(world, frame.tail(400), now)

    taken = prepare(world.spec, world.settings, "r")

    assert 1200 == rows_of(taken)
    assert 800 == taken.history_rows
    assert (0, 0) == (taken.log_version, taken.labels_version)
    parts = [load_rows(Workspace(world.settings, "r"), name) for name in (TRAIN, HOLDOUT)]
    together = pd.concat(parts, ignore_index=True)
    frame = frame[~in_gap(frame, taken)].reset_index(drop=True)
    columns = ["order_id", "ordered_at", "returned", "amount", "weight", "country", "member"]
    assert columns == list(together)
    pd.testing.assert_frame_equal(frame[columns], together)


def test_the_holdout_is_the_newest_labelled_span(
    shop_world: Callable[..., Any], orders: Callable[..., pd.DataFrame], put_history: Callable[..., None]
) -> None:
    """Training ends where the holdout begins, and the holdout is `retrain.holdout` long."""
    world = shop_world()
    put_history(world, orders(n=1200))

    taken = prepare(world.spec, world.settings, "r")

    work = Workspace(world.settings, "r")
    train, holdout = load_rows(work, TRAIN), load_rows(work, HOLDOUT)
    assert timedelta(days=10) == taken.window_end - taken.holdout_start
    assert train["ordered_at"].max() < taken.holdout_start - timedelta(days=1)
    assert taken.holdout_start <= holdout["ordered_at"].min()
    assert 20 == taken.gap_rows
    assert taken.window_start == train["ordered_at"].min()
    assert taken.base_prediction == (pytest.approx(train["returned"].mean()),)


def test_labels_of_the_future_are_not_known(
    shop_world: Callable[..., Any], orders: Callable[..., pd.DataFrame]
) -> None:
    """A snapshot taken on a day has the labels of that day, whatever arrived later; nor mirrored answers."""
    world, frame = without_history(shop_world()), orders(n=1600)
    now = world.settings.clock.now()
    log_orders(world, frame)
    log_orders(world, frame.assign(amount=-1.0), shadow=True)
    label(world, frame.head(1000), now)
    label(world, frame.tail(600), now + timedelta(days=1))
    world.set_time(now)

    taken = prepare(world.spec, world.settings, "r")

    assert 1000 == rows_of(taken)
    assert frame["ordered_at"].iloc[999] == taken.window_end
    assert load_rows(Workspace(world.settings, "r"), TRAIN)["amount"].min() >= 0


def test_history_of_the_future_is_not_known(
    shop_world: Callable[..., Any], orders: Callable[..., pd.DataFrame], put_history: Callable[..., None]
) -> None:
    """A file that holds tomorrow's rows gives nothing away."""
    world, frame = shop_world(), orders(n=1200)
    put_history(world, frame)
    world.set_time(frame["ordered_at"].iloc[999].to_pydatetime())

    taken = prepare(world.spec, world.settings, "r")

    assert 1000 == rows_of(taken)


def test_the_same_rows_have_the_same_hash(
    shop_world: Callable[..., Any], orders: Callable[..., pd.DataFrame], put_history: Callable[..., None]
) -> None:
    """A second try of the step gives the same snapshot; one changed value gives another hash."""
    world, frame = shop_world(), orders(n=1200)
    put_history(world, frame)
    first = prepare(world.spec, world.settings, "r")

    assert first == prepare(world.spec, world.settings, "r")

    put_history(world, frame.assign(amount=frame["amount"].where(frame.index != 5, 7.0)))
    assert first.sha256 != prepare(world.spec, world.settings, "r").sha256


def test_the_window_cuts_old_rows_off(
    shop_world: Callable[..., Any],
    shop_yaml: Callable[..., str],
    orders: Callable[..., pd.DataFrame],
    put_history: Callable[..., None],
) -> None:
    """With `retrain.window` nothing older than that before the newest label is trained on."""
    world = shop_world()
    world.spec = loads(shop_yaml().replace("holdout: 10d", "holdout: 10d\n  window: 40d"))
    put_history(world, orders(n=1200))

    taken = prepare(world.spec, world.settings, "r")

    assert taken.window_end - taken.window_start <= timedelta(days=40)
    assert 570 < taken.train_rows < 590


def test_every_reason_against_a_retrain_is_named(
    shop_world: Callable[..., Any], orders: Callable[..., pd.DataFrame], put_history: Callable[..., None]
) -> None:
    """Too few rows and a class that is not there are one error that names the sources."""
    world = shop_world()
    put_history(world, orders(n=240).assign(returned=False))

    with pytest.raises(DataError) as caught:
        prepare(world.spec, world.settings, "r")

    text = str(caught.value)
    assert 4 == len(caught.value.problems)
    assert "must hold 500 labelled rows before the newest 10d (retrain.min_rows); found 196" in text
    assert "must hold 50 labelled rows in the newest 10d (retrain.holdout); found 40" in text
    assert "rows of every class (retrain.min_class_rows) of 'returned'; found no True in 196 rows" in text
    assert "holdout rows: must hold every class of 'returned'; found no True" in text
    assert "shop/history.parquet" in text


def test_no_labelled_row_at_all_is_an_error(
    shop_world: Callable[..., Any], orders: Callable[..., pd.DataFrame]
) -> None:
    """A new model without history or labels is told so; a log without labels is not enough."""
    world = without_history(shop_world())
    log_orders(world, orders(n=100))

    with pytest.raises(DataError, match=r"must hold labelled rows; found none. Append labels"):
        prepare(world.spec, world.settings, "r")


def test_a_history_that_is_not_there_is_an_error(shop_world: Callable[..., Any]) -> None:
    """A path in the YAML is a promise."""
    world = shop_world()

    with pytest.raises(DataError, match=r"data.history: .*shop/history.parquet: must be a readable Parquet"):
        prepare(world.spec, world.settings, "r")


def test_a_history_of_other_columns_is_an_error(
    shop_world: Callable[..., Any], orders: Callable[..., pd.DataFrame], put_history: Callable[..., None]
) -> None:
    """Id, time and their nulls are checked before anything is joined, all at once."""
    world, frame = shop_world(), orders(n=1200)
    frame["ordered_at"] = frame["ordered_at"].dt.tz_localize(None)
    put_history(world, frame.rename(columns={"order_id": "id"}))

    with pytest.raises(DataError) as caught:
        prepare(world.spec, world.settings, "r")

    assert "column 'order_id': must be there" in str(caught.value)
    assert "column 'ordered_at': must be timestamps with a time zone; found datetime64" in str(caught.value)


@pytest.mark.parametrize("task", ["multiclass", "regression"])
def test_other_tasks_are_prepared_too(
    shop_world: Callable[..., Any],
    orders: Callable[..., pd.DataFrame],
    put_history: Callable[..., None],
    task: str,
) -> None:
    """Class names and values are kept as they are; the base prediction fits the task."""
    world, frame = shop_world(task), orders(task, n=1200)
    put_history(world, frame)

    taken = prepare(world.spec, world.settings, "r")

    kind = pq.read_schema(Workspace(world.settings, "r").path(TRAIN)).field("returned").type
    assert {"multiclass": "large_string", "regression": "double"}[task] == str(kind)
    if task == "multiclass":
        assert 1.0 == pytest.approx(sum(taken.base_prediction))
        assert 3 == len(taken.base_prediction)
    else:
        train = frame[frame["ordered_at"] < taken.holdout_start - timedelta(days=1)]
        assert (pytest.approx(train["returned"].mean()),) == taken.base_prediction


def test_windows_with_wrong_data_are_not_learnt_from(
    shop_world: Callable[..., Any], orders: Callable[..., pd.DataFrame]
) -> None:
    """A day on which a version's data were found wrong is left out; one with unseen categories is not."""
    world, frame = without_history(shop_world()), orders(n=1200)
    now = world.settings.clock.now()
    log_orders(world, frame, version="3")
    label(world, frame, now)
    days = frame["ordered_at"].dt.floor("D").unique()
    found_wrong(world, days[2].to_pydatetime())
    found_wrong(world, days[3].to_pydatetime(), "unseen_categories")

    taken = prepare(world.spec, world.settings, "r")

    faulty = (frame["ordered_at"].dt.floor("D") == days[2]).sum()
    assert faulty > 0
    assert rows_of(taken) == len(frame) - faulty


def test_the_same_rows_can_be_frozen_again(
    shop_world: Callable[..., Any], orders: Callable[..., pd.DataFrame], put_history: Callable[..., None]
) -> None:
    """What came since (rows, labels, a day found wrong) does not change an old snapshot."""
    world, frame = shop_world(), orders(n=1500)
    now = world.settings.clock.now()
    put_history(world, frame.head(600))
    log_orders(world, frame.iloc[600:1200], version="3")
    label(world, frame.iloc[600:1200], now)
    taken = prepare(world.spec, world.settings, "first")
    log_orders(world, frame.tail(300), version="3")
    label(world, frame.tail(300), now + timedelta(days=2))
    found_wrong(world, frame["ordered_at"].dt.floor("D").iloc[1000].to_pydatetime())

    again = prepare(world.spec, world.settings, "second", again=taken)

    assert taken.model_copy(update={"run": "second"}) == again
    assert prepare(world.spec, world.settings, "third").sha256 != taken.sha256


def test_another_history_cannot_stand_in_for_the_old_one(
    shop_world: Callable[..., Any], orders: Callable[..., pd.DataFrame], put_history: Callable[..., None]
) -> None:
    """A retrain that is made again on other rows would be another retrain."""
    world, frame = shop_world(), orders(n=1200)
    put_history(world, frame)
    taken = prepare(world.spec, world.settings, "first")
    put_history(world, frame.head(1100))

    with pytest.raises(
        DataError, match="must be the file that the snapshot was taken of; found another content"
    ):
        prepare(world.spec, world.settings, "second", again=taken)


def test_a_change_that_the_triage_dated_is_kept_with_the_rows(
    shop_world: Callable[..., Any], orders: Callable[..., pd.DataFrame], put_history: Callable[..., None]
) -> None:
    """The onset and the weight of older rows come from the decision that asks for the retrain."""
    world = shop_world()
    put_history(world, orders(n=1200))
    now = world.settings.clock.now()
    onset = now - timedelta(days=20)
    window = TrainingWindow(None, 0.25, (), "too few rows since")
    asked = Triage("shop", "3", Action.RETRAIN, Cause.PERFORMANCE, now, "worse", onset=onset, training=window)
    with Store(world.settings.results_url) as store:
        episodes.save(store, asked, timedelta(days=1), now, 0.1)

    taken = prepare(world.spec, world.settings, "r")

    assert (onset, 0.25) == (taken.onset, taken.old_weight)


def test_copies_under_other_ids_count_once(
    shop_world: Callable[..., Any], orders: Callable[..., pd.DataFrame], put_history: Callable[..., None]
) -> None:
    """A row that a pipeline wrote twice is one row, whatever id it got."""
    world, frame = shop_world(), orders(n=1200)
    put_history(world, pd.concat([frame, frame.tail(30).assign(order_id=[f"x{i}" for i in range(30)])]))

    taken = prepare(world.spec, world.settings, "r")

    assert (1200, 30) == (rows_of(taken), taken.copies)


def test_a_value_from_after_the_prediction_is_refused(
    shop_world: Callable[..., Any],
    shop_yaml: Callable[..., str],
    orders: Callable[..., pd.DataFrame],
    put_history: Callable[..., None],
) -> None:
    """The file says when a value was known; a model that was asked before did not have it."""
    world, frame = shop_world(), orders(n=1200)
    world.spec = loads(
        shop_yaml().replace("weight: numeric", "weight: {type: numeric, known_at: weighed_at}")
    )
    put_history(world, frame.assign(weighed_at=frame["ordered_at"]))
    prepare(world.spec, world.settings, "in_time")
    weighed = frame["ordered_at"].where(frame.index % 4 > 0, frame["ordered_at"] + timedelta(hours=1))
    put_history(world, frame.assign(weighed_at=weighed))

    with pytest.raises(DataError, match="must not be after 'ordered_at'; found 300 of 1200 rows are"):
        prepare(world.spec, world.settings, "too_late")


def test_a_feature_that_tells_the_truth_alone_is_told_or_refused(
    shop_world: Callable[..., Any],
    shop_yaml: Callable[..., str],
    orders: Callable[..., pd.DataFrame],
    put_history: Callable[..., None],
) -> None:
    """A leak makes a candidate look splendid; a person hears of it, or nothing is trained."""
    world, frame = shop_world(), orders(n=1200)
    put_history(world, frame.assign(weight=frame["returned"] + frame["weight"].fillna(0) / 100))

    assert ["weight"] == list(prepare(world.spec, world.settings, "r").suspects)

    world.spec = loads(shop_yaml().replace("holdout: 10d", "holdout: 10d\n  leakage: refuse"))
    with pytest.raises(DataError, match="column 'weight': must not tell the truth alone"):
        prepare(world.spec, world.settings, "s")
