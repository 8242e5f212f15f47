"""What `trimtab check` learns from samples: vectors, and all columns together; and what it ranks by."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from monitors import references
from monitors.finding import NoData
from spec import DataError, InputError
from trimtab.check import weights
from trimtab.check.outcome import Outcome
from trimtab.check.page import render
from trimtab.check.record import record
from trimtab.check.request import Request
from trimtab.check.run import check
from trimtab.check.terminal import notes
from trimtab.check.vectors import holds_vectors
from trimtab.cli import cli

NOW = datetime(2026, 1, 1, tzinfo=UTC)
Compare = Callable[..., Outcome]


@pytest.fixture
def compare(tmp_path: Path) -> Compare:
    """Compare two tables as files."""

    def compare(reference: dict[str, Any], current: dict[str, Any], **asked: Any) -> Outcome:
        for name, columns in (("a", reference), ("b", current)):
            pq.write_table(pa.table(columns), tmp_path / f"{name}.parquet")
        return check(Request(str(tmp_path / "a.parquet"), str(tmp_path / "b.parquet"), **asked))

    return compare


def _vectors(seed: int, shift: float = 0.0, size: int = 6, n: int = 400) -> pa.Array:
    numbers = np.random.default_rng(seed).normal(shift, 1, n * size)
    return pa.FixedSizeListArray.from_arrays(pa.array(numbers, pa.float32()), size)


def _told(outcome: Outcome) -> str:
    return "\n".join(line.plain for line in notes(outcome))


@pytest.mark.parametrize(
    "stored",
    [
        lambda vectors: vectors,
        lambda vectors: vectors.cast(pa.list_(pa.float32())),
        lambda vectors: vectors.cast(pa.large_list(pa.float64())),
        lambda vectors: pa.ExtensionArray.from_storage(pa.fixed_shape_tensor(pa.float32(), [2, 3]), vectors),
    ],
)
def test_vectors_that_moved_are_drift_in_whatever_list_they_are(
    compare: Compare, stored: Callable[[pa.Array], pa.Array]
) -> None:
    """Fixed lists, lists of one length and tensors are compared; what moved is told, and what did not."""
    x = np.random.default_rng(0).normal(size=400)
    sides = [
        {"x": x, "image": stored(_vectors(seed, shift)), "ticket": stored(_vectors(seed + 10))}
        for seed, shift in ((1, 0.0), (2, 0.5))
    ]
    found = compare(*sides)
    assert ("image",) == found.moved_vectors
    assert found.drifted
    assert "The vectors of image drifted." in found.sentences()
    assert "vectors of image: drift, AUC 0." in _told(found)
    assert "vectors of ticket: steady" in _told(found)
    assert {} == dict(found.skipped)
    assert not compare(*sides, vectors=False).drifted


def test_vectors_that_spread_are_seen_by_mmd_alone(compare: Compare) -> None:
    """A classifier of means sees nothing in twice the spread; the column has drifted all the same."""
    wide = pa.FixedSizeListArray.from_arrays(pa.compute.multiply(_vectors(2).flatten(), 2.0), 6)
    found = compare({"e": _vectors(1)}, {"e": wide})
    assert not found.vectors["e"].place.drifted
    assert ("e",) == found.moved_vectors


@pytest.mark.parametrize("gone", [None, [float("nan")] * 6, [None] * 6])
def test_vectors_that_went_missing_are_drift(compare: Compare, gone: list[float | None] | None) -> None:
    """An embedding that failed, as null or as numbers that are none, is no silence."""
    kept = _vectors(2).to_pylist()
    few = pa.array([gone if at % 4 == 0 else each for at, each in enumerate(kept)], pa.list_(pa.float32()))
    found = compare({"e": _vectors(1)}, {"e": few})
    assert ("e",) == found.moved_vectors
    assert 0.25 == found.vectors["e"].missing.current
    assert "missing 0 % → 25 %" in _told(found)


def test_a_column_whose_vectors_are_all_gone_is_drift_without_a_classifier(compare: Compare) -> None:
    """With nothing to classify, the reason is told and the missing ones are drift."""
    found = compare({"e": _vectors(1)}, {"e": pa.nulls(400, pa.list_(pa.float32()))})
    assert isinstance(found.vectors["e"].place, NoData)
    assert found.drifted
    assert 1 == record(found, NOW)["vectors"]["e"]["missing"]["current"]


def test_what_cannot_be_tested_is_told_with_its_reason(compare: Compare) -> None:
    """Too few vectors, and lists of several lengths, are no drift and no crash."""
    ragged = pa.array([[1.0] * (1 + at % 3) for at in range(400)])
    few = pa.array([[1.0, 2.0] if at < 30 else None for at in range(400)], pa.list_(pa.float64()))
    found = compare({"few": few, "ragged": ragged}, {"few": few, "ragged": ragged})
    assert not found.drifted
    assert "50 whole vectors a side are needed" in _told(found)
    assert "lists of 1 to 3 numbers are no vectors of one length" in _told(found)
    told = record(found, NOW)["vectors"]
    assert "no_data" in told["few"]["classifier"]
    assert "no_data" in told["ragged"]["missing"]


@pytest.mark.parametrize(
    ("current", "must"),
    [
        (_vectors(2, size=5), "must hold vectors of 6 numbers"),
        (pa.array([["a"]] * 400), "must be fixed_size"),
    ],
)
def test_vectors_of_another_model_are_bad_input(compare: Compare, current: pa.Array, must: str) -> None:
    """Vectors of another length, or of no numbers, cannot be compared; the column is named."""
    with pytest.raises(DataError, match=rf"b\.parquet: e: {must}"):
        compare({"e": _vectors(1)}, {"e": current})


def test_lists_of_other_things_are_not_taken_for_vectors() -> None:
    """Tags and counts of any number are not compared as vectors."""
    assert not any(map(holds_vectors, [pa.list_(pa.string()), pa.list_(pa.int64()), pa.float64()]))
    assert holds_vectors(pa.list_(pa.int8(), 4))


def test_all_columns_together_show_what_no_column_shows(compare: Compare) -> None:
    """Two categories that come to agree are drift with `joint`, by those two; alone each is as before."""
    random = np.random.default_rng(0)
    sides = []
    for agree in (0.5, 0.9):
        first = random.random(2000) < 0.5
        second = np.where(random.random(2000) < agree, first, ~first)
        sides.append({"first": first, "second": second, "noise": random.normal(size=2000)})
    assert not compare(*sides).drifted
    found = compare(*sides, joint=True)
    assert found.jointly
    assert found.drifted
    assert () == found.drifted_columns
    assert {"first", "second"} == {each.name for each in found.joint.carriers[:2]}
    assert "all columns together: drift, AUC 0." in _told(found)
    assert "carried by" in _told(found)
    assert 0.6 < record(found, NOW)["joint"]["auc"] < 0.8


def test_codes_and_texts_are_taken_for_what_they_are_together(compare: Compare) -> None:
    """Numbers that are names are categories of the classifier, texts count by their length."""
    random = np.random.default_rng(0)
    sides = [
        {
            "code": random.choice(codes, 600),
            "note": [f"word number {at} {'and more ' * more}" for at in range(600)],
        }
        for codes, more in (([1, 3], 0), ([2, 4], 0))
    ]
    found = compare(*sides, joint=True, words=False, kinds={"code": "categorical"})
    assert found.joint.auc > 0.99
    assert "code" == found.joint.carriers[0].name
    longer = sides[0] | {"note": [f"word number {at} and more" for at in range(600)]}
    assert "note" == compare(sides[0], longer, joint=True, words=False).joint.carriers[0].name


def test_too_few_rows_for_all_columns_together_are_told(compare: Compare) -> None:
    """With 40 rows a side the classifier says nothing, in words."""
    found = compare({"x": range(40)}, {"x": range(40)}, joint=True, columns=("x",))
    assert not found.drifted
    assert "all columns together: not tested: 50 rows a side are needed" in _told(found)
    assert "no_data" in record(found, NOW)["joint"]
    assert "Not tested: 50 rows a side" in render(found, NOW)


def test_each_family_of_questions_has_its_share_of_the_budget(compare: Compare) -> None:
    """Vectors and all columns together have a third of alpha each, and a column of vectors three tests."""
    sides = [{"x": np.random.default_rng(seed).normal(size=400), "e": _vectors(seed)} for seed in (1, 2)]
    found = compare(*sides, joint=True, alpha=0.06)
    assert 0.02 == pytest.approx(found.joint.alpha)
    assert 0.02 / 3 == pytest.approx(found.vectors["e"].place.alpha)
    assert 0.03 / 3 == pytest.approx(compare(*sides, alpha=0.06).vectors["e"].place.alpha)


def test_identical_vectors_rarely_cry_wolf(compare: Compare) -> None:
    """Of 30 pairs of one law at most 5 are said to have drifted at alpha 5 %: more have a chance of 0.3 %."""
    pairs = [[{"e": _vectors(seed, n=150)} for seed in (2 * at, 2 * at + 1)] for at in range(30)]
    assert sum(compare(*pair).drifted for pair in pairs) <= 5


def test_the_page_shows_vectors_and_all_columns_together(compare: Compare) -> None:
    """Both have a section with their verdict, and the carriers lead to their cards."""
    random = np.random.default_rng(0)
    hostile = "<b>e</b>"
    sides = [{"x": random.normal(at, 1, 400), hostile: _vectors(at, at * 0.5)} for at in (0, 1)]
    text = render(compare(*sides, joint=True), NOW)
    assert "<h2>Vectors</h2>" in text
    assert "<h2>All columns together</h2>" in text
    assert 2 <= text.count('<a href="#column-0">x</a>')
    assert hostile not in text
    alone = render(compare({"e": _vectors(1)}, {"e": _vectors(2)}), NOW)
    assert "<h1>No drift of the vectors of e.</h1>" in alone
    assert "Column by column" not in alone


def test_importances_rank_what_drifted(compare: Compare) -> None:
    """A small drift of what the model lives on stands before a large one of what it ignores."""
    random = np.random.default_rng(0)
    sides = [
        {
            "idle": random.normal(3 * at, 1, 500),
            "vital": random.normal(at, 1, 500),
            "y": random.random(500) < 0.5,
        }
        for at in (0, 1)
    ]
    names = [column.name for column in compare(*sides, target="y").columns]
    weighed = compare(*sides, target="y", importances={"vital": 0.9, "idle": 0.1}, weighed="by hand")
    assert ["idle", "vital"] == names
    assert ["vital", "idle"] == [column.name for column in weighed.columns]
    assert (None, "weight: by hand") == (weighed.target.importance, _told(weighed).splitlines()[-1])


@pytest.mark.parametrize("content", ["{", "[1]", "{}", '{"x": -1}', '{"x": "much"}', '{"x": NaN}'])
def test_importances_that_are_none_are_refused(tmp_path: Path, content: str) -> None:
    """A file that is no JSON object of shares is bad input."""
    (tmp_path / "weights.json").write_text(content)
    with pytest.raises(InputError, match="must be a JSON file"):
        weights.of_file(tmp_path / "weights.json")


def test_an_importance_of_no_column_is_refused(compare: Compare) -> None:
    """A misspelled name is told with what it may have meant."""
    with pytest.raises(DataError, match=r"amout: must be a column, for --importance.*Did you mean 'amount'"):
        compare({"amount": range(9)}, {"amount": range(9)}, importances={"amout": 1.0})


def _publish(world: Any, version: str, importances: dict[str, float]) -> None:
    random = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "amount": random.normal(100, 20, 200),
            "country": random.choice(["SE", "NO"], 200),
            "member": random.random(200) < 0.5,
            "prediction": random.random(200),
            "returned": random.random(200) < 0.3,
        }
    )
    span = (datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 3, 1, tzinfo=UTC))
    references.publish(
        world.spec, world.settings, version, frame, importances=importances, performance={}, window=span
    )


def test_a_model_ranks_by_its_champion_then_by_its_latest_version(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The home's latest reference counts until a champion stands in a slot; then the champion's does."""
    monkeypatch.setenv("TRIMTAB_HOME", str(world.settings.home))
    assert weights.of_model(world.spec).shares is None
    for version, share in (("9", 0.25), ("10", 0.75)):
        _publish(world, version, {"amount": share, "country": 1 - share})
    latest = weights.of_model(world.spec)
    assert (0.75, "importances of shop version 10, the latest") == (latest.shares["amount"], latest.told)
    (world.settings.home / "slots").mkdir()
    (world.settings.home / "slots" / "shop-blue.json").write_text('{"version": "9"}')
    champion = weights.of_model(world.spec)
    assert (0.25, "importances of shop version 9, the champion") == (champion.shares["amount"], champion.told)


@pytest.mark.parametrize("home", ["", "nothing", "damaged"])
def test_a_model_without_a_reference_ranks_by_drift_alone(
    world: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, home: str
) -> None:
    """No home, no reference, or a damaged one: one line on stderr says so, and the check is made."""
    if home == "damaged":
        _publish(world, "1", {"amount": 1.0})
        (world.settings.home / "references" / "shop" / "1" / "reference.parquet").write_text("torn")
    monkeypatch.setenv("TRIMTAB_HOME", str(world.settings.home) if home else "")
    random = np.random.default_rng(0)
    rows = pa.table(
        {
            "amount": random.normal(size=200),
            "country": random.choice(["SE", "NO"], 200),
            "member": random.random(200) < 0.5,
        }
    )
    pq.write_table(rows, tmp_path / "a.parquet")
    model = world.settings.models / "model.yaml"
    files = [str(tmp_path / "a.parquet")] * 2
    done = CliRunner().invoke(cli, ["check", *files, "--spec", str(model), "--json", "-"])
    assert (0, 1) == (done.exit_code, len(done.stderr.splitlines()))
    assert done.stderr.startswith("ranked by drift alone: ")
    assert {None} == {column["importance"] for column in json.loads(done.stdout)["columns"]}


def test_a_request_by_default_asks_for_vectors_and_not_for_all_together() -> None:
    """What costs seconds on every table is off, what only tables with vectors pay is on."""
    asked = Request("a", "b")
    assert (True, False) == (asked.vectors, replace(asked).joint)
