from __future__ import annotations

import json
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from monitors import frames, references
from monitors.held import Held
from monitors.profiles.profile import merged
from spec import DataError, NotFound, Refused, loads

SHOP = """
model: shop
task: binary
data: {inference_log: log, labels: labels, id: order_id, time: ordered_at, target: {name: returned}}
features: {amount: numeric, country: categorical, member: boolean}
"""
SPAN = (datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 3, 1, tzinfo=UTC))
BAND = {"roc_auc": {"value": 0.8, "low": 0.78, "high": 0.82}}


def rows(count: int = 100) -> pd.DataFrame:
    """Labelled training rows with predictions."""
    random = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "amount": random.normal(100, 20, count),
            "country": random.choice(["SE", "NO"], count),
            "member": pd.array(random.random(count) < 0.5, dtype="boolean"),
            "prediction": random.random(count),
            "returned": random.random(count) < 0.3,
            "noise": 1,
        }
    )
    frame.loc[:9, ["amount", "country", "member"]] = None
    return frame


def publish(world: Any, version: str = "1", frame: pd.DataFrame | None = None, **changes: Any) -> Path:
    """Publish good facts but for the changes."""
    facts = {"importances": {"amount": 0.75, "country": 0.25}, "performance": BAND, "window": SPAN} | changes
    return references.publish(
        world.spec, world.settings, version, rows() if frame is None else frame, **facts
    )


def test_a_reference_is_read_as_it_was_published(world: Any) -> None:
    """Rows in the spec's dtypes, importances, expected performance, the span of training."""
    folder = publish(world)

    reference = references.load(world.spec, world.settings, "1")

    assert world.settings.home / "references" / "shop" / "1" == folder
    assert ["amount", "country", "member", "prediction", "returned"] == list(reference.frame)
    assert ["float64", "str", "boolean", "float64", "bool"] == [str(kind) for kind in reference.frame.dtypes]
    assert {"amount": 0.75, "country": 0.25} == reference.importances
    assert {"roc_auc": references.Band(0.8, 0.78, 0.82)} == reference.performance
    assert SPAN == reference.window
    assert "shop/1@2024-03-10T12:00:00+00:00" == reference.name


def test_the_domain_is_that_of_all_rows_not_of_the_sample(world: Any) -> None:
    """A rare category and the extreme values are known though few rows are kept."""
    frame = rows(7000)
    frame.loc[6999, ["amount", "country"]] = [1e6, "IS"]

    publish(world, frame=frame)
    reference = references.load(world.spec, world.settings, "1")

    assert (5000, 7000) == (len(reference.frame), reference.population)
    assert 1e6 == reference.ranges["amount"][1]
    assert {"country": {"SE", "NO", "IS"}, "member": {"true", "false"}} == reference.categories
    assert dict.fromkeys(world.spec.features, pytest.approx(10 / 7000)) == reference.null_rates


def test_publishing_the_same_again_changes_nothing(world: Any) -> None:
    """A step that is retried after a crash finds its reference there, from the first time."""
    publish(world)
    world.set_time(world.settings.clock.now() + timedelta(hours=1))
    folder = publish(world)

    assert 12 == references.load(world.spec, world.settings, "1").created_at.hour
    assert [folder] == list(folder.parent.iterdir())


def test_another_reference_of_a_version_is_refused(world: Any) -> None:
    """A reference never changes: results that were computed with it must stay traceable."""
    publish(world)

    with pytest.raises(Refused, match="holds another reference of that version"):
        publish(world, importances={"amount": 1.0})
    assert 0.75 == references.load(world.spec, world.settings, "1").importances["amount"]


def test_a_reader_never_sees_half_a_reference(world: Any) -> None:
    """While a reference is being written, it is either not there or whole."""
    done, seen = threading.Event(), []

    def look() -> None:
        while not done.is_set():
            for version in references.versions(world.spec, world.settings):
                reference = references.load(world.spec, world.settings, version)
                seen.append(len(reference.frame))

    reader = threading.Thread(target=look)
    reader.start()
    for version in range(10):
        publish(world, str(version))
    done.set()
    reader.join()

    assert {100} == set(seen)


def test_an_unknown_version_names_those_there_are(world: Any) -> None:
    """The message lists the versions with a reference, whatever their number."""
    publish(world, "9")
    publish(world, "10")

    with pytest.raises(NotFound, match=r"shop has no reference of version '11'.*Known: 10, 9"):
        references.load(world.spec, world.settings, "11")
    assert ("9", "10") == references.versions(world.spec, world.settings)


def test_all_problems_of_a_reference_are_named_at_once(world: Any) -> None:
    """Missing columns, unknown features, numbers that are none, a span that ends before it starts."""
    with pytest.raises(DataError) as caught:
        publish(
            world,
            frame=rows().drop(columns=["country", "prediction"]),
            importances={"amout": 1.0},
            performance={"roc_auc": references.Band(float("nan"), 0, 1)},
            window=(SPAN[1], SPAN[0]),
        )

    assert [
        "rows: country",
        "rows: prediction",
        "importances: amout",
        "performance: roc_auc",
        "window",
    ] == [problem.where for problem in caught.value.problems]
    assert "Did you mean 'amount'?" in str(caught.value)


def test_rows_of_other_types_are_refused(world: Any) -> None:
    """Text in a numeric feature is said, and nothing is left behind."""
    with pytest.raises(DataError, match="rows: must hold the features in the spec's types"):
        publish(world, frame=rows().assign(amount="much"))
    assert not (world.settings.home / "references").exists()


def test_a_reference_of_a_newer_trimtab_is_not_guessed_at(world: Any) -> None:
    """Another schema version is an error that names both."""
    file = publish(world) / "reference.json"
    file.write_text(json.dumps(json.loads(file.read_text("utf-8")) | {"schema_version": 3}), "utf-8")

    with pytest.raises(DataError, match="must have schema_version 2 or lower; found 3"):
        references.load(world.spec, world.settings, "1")


def test_the_profile_is_that_of_all_rows_with_their_windows(world: Any) -> None:
    """Counts of every row, and how the rows of a day hang together where the times are known."""
    times = pd.Series(pd.date_range(SPAN[0], periods=7000, freq="10min"))
    plain = publish(world, "1", rows(7000)) and references.load(world.spec, world.settings, "1").counts
    publish(world, "2", rows(7000).assign(ordered_at=times))
    timed = references.load(world.spec, world.settings, "2").counts

    assert 7000 == plain.profile.rows == timed.profile.rows
    assert ["amount", "country", "member", "prediction"] == list(timed.profile.columns)
    assert (0.0, {}) == (plain.dependence.block_rows, plain.dependence.columns)
    assert pytest.approx(7000 / 49, rel=0.01) == timed.dependence.block_rows
    assert {name: pytest.approx(1.2, abs=0.3) for name in timed.profile.columns} == {
        name: found.cells[0] for name, found in timed.dependence.columns.items()
    }
    assert [(2, 2)] == [effects.shape for effects in timed.dependence.joint]
    assert {} == timed.seasons


def test_a_season_is_kept_by_its_slots(make_world: Any) -> None:
    """With `seasonal: week` each weekday has a profile, which add up to all rows."""
    text = SHOP + "monitor: {data_drift: {reference: {seasonal: week}}}\n"
    world = make_world(text)
    times = pd.Series(pd.date_range(SPAN[0], periods=1000, freq="1h"))

    publish(world, frame=rows(1000).assign(ordered_at=times))
    counts = references.load(world.spec, world.settings, "1").counts

    assert set(range(7)) == set(counts.seasons)
    assert counts.profile == merged(list(counts.seasons.values()))


@pytest.mark.parametrize(
    "other",
    [
        "window: 1h, data_drift: {reference: {seasonal: day}}",
        "window: 12h, data_drift: {reference: {seasonal: week}}",
    ],
)
def test_slots_of_another_season_are_not_taken_for_ones_of_this(
    make_world: Any, other: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Slot 3 was a weekday and is now an hour: nothing is compared with it, and the log says so."""
    world = make_world(SHOP + "monitor: {data_drift: {reference: {seasonal: week}}}\n")
    times = pd.Series(pd.date_range(SPAN[0], periods=1000, freq="1h"))
    publish(world, frame=rows(1000).assign(ordered_at=times))
    spec = loads(SHOP + f"monitor: {{{other}}}\n")

    assert {} == references.load(spec, world.settings, "1").counts.seasons
    assert "no drift is measured until the next retrain" in caplog.text


def test_a_reference_from_before_profiles_is_profiled_from_its_sample(
    world: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Versions of schema 1 go on being watched, and the log says by what."""
    folder = publish(world, frame=rows(7000))
    file = folder / "reference.json"
    facts = json.loads(file.read_text("utf-8"))
    for name in ("dependence",):
        del facts[name]
    file.write_text(json.dumps(facts | {"schema_version": 1}), "utf-8")
    (folder / "reference.profile").unlink()

    reference = references.load(world.spec, world.settings, "1")
    publish(world, frame=rows(7000))

    assert 5000 == reference.counts.profile.rows
    assert "has no profile: drift is measured from its sample of 5000 rows" in caplog.text


def test_a_damaged_profile_is_named(world: Any) -> None:
    """Bytes that are no profile are an error with their path."""
    (publish(world) / "reference.profile").write_bytes(b"broken")

    with pytest.raises(DataError, match=r"reference\.profile: must be readable"):
        references.load(world.spec, world.settings, "1")


def test_a_feature_that_was_added_since_is_named(world: Any) -> None:
    """A version that was trained without a feature of today's spec cannot be compared on it."""
    publish(world)
    wider = {**world.spec.features, "weight": world.spec.features["amount"]}

    with pytest.raises(DataError, match="must hold the features weight"):
        references.load(world.spec.model_copy(update={"features": wider}), world.settings, "1")


def test_a_damaged_reference_is_named(world: Any) -> None:
    """A broken file is an error with its path."""
    file = publish(world) / "reference.parquet"
    file.write_bytes(b"broken")

    with pytest.raises(DataError, match=r"reference\.parquet: must be readable"):
        references.load(world.spec, world.settings, "1")


def test_held_out_rows_come_back_as_they_were(world: Any) -> None:
    """Features in their types, scores of several outputs, labels and times; the newest 20,000 of them."""
    random = np.random.default_rng(0)
    frame = rows(300)[["amount", "country", "member"]]
    times = random.permutation(300).astype("int64")
    given = Held(frame, random.random((300, 3)), random.integers(3, size=300).astype(float), times)
    publish(world, held=given)
    found = references.load(world.spec, world.settings, "1").held

    assert found is not None
    order = np.argsort(times)
    np.testing.assert_array_equal(found.scores, given.scores[order])
    np.testing.assert_array_equal(found.labels, given.labels[order])
    np.testing.assert_array_equal(found.times, np.arange(300))
    pd.testing.assert_frame_equal(
        found.frame, frames.typed(world.spec, frame.iloc[order].reset_index(drop=True))
    )
    assert len(found.newest(10)) == 10


def test_a_reference_without_held_out_rows_has_none(world: Any) -> None:
    """Those of before, and of models that came without a holdout."""
    publish(world)

    assert references.load(world.spec, world.settings, "1").held is None
