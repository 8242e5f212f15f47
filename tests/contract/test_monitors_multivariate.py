"""What every test of monitors/multivariate promises, checked on all of them."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from monitors.finding import NoData
from monitors.multivariate.correlation import correlation_of_rows
from monitors.multivariate.domain_classifier import domain_classifier
from monitors.multivariate.mmd import mmd
from monitors.multivariate.reconstruction import reconstruction, reconstruction_plan
from monitors.multivariate.text import texts
from monitors.multivariate.vectors import vectors
from monitors.multivariate.verdict import Verdict

Sample = Any
WORDS = np.array(
    "the|a|late|early|train|plane|bus|ticket|price|seat|please|thanks|where|when|why|not".split("|")  # noqa: SIM905
)
LEVEL = 0.05


@dataclass(frozen=True)
class Case:
    """A test with its samples: what draws them, what is one absurd row, how many rows are too few."""

    run: Callable[[Sample, Sample], Verdict | NoData]
    draw: Callable[[np.random.Generator, int, bool], Sample]
    absurd: Callable[[Sample], Sample]
    minimum: int
    seeds: int = 200
    shuffle: Callable[[Sample], Sample] = lambda sample: sample[::-1]
    tolerance: float = 0.0


def table(random: np.random.Generator, rows: int, shifted: bool) -> pd.DataFrame:
    """Two numbers that go together (not if shifted), one that moves, a category, gaps."""
    first, second = random.normal(size=(2, rows))
    rho = 0.0 if shifted else 0.8
    return pd.DataFrame(
        {
            "a": first,
            "b": rho * first + (1 - rho**2) ** 0.5 * second,
            "c": random.exponential(size=rows) * (3 if shifted else 1),
            "city": random.choice(["Rome", "Oslo", None], size=rows),
        }
    )


def cloud(random: np.random.Generator, rows: int, shifted: bool) -> np.ndarray:
    """Vectors of four numbers, one of them moved if shifted."""
    return random.normal([float(shifted), 0, 0, 0], 1, size=(rows, 4))


def lines(random: np.random.Generator, rows: int, shifted: bool) -> list[str]:
    """Texts of six words, with another favourite if shifted."""
    likely = np.ones(len(WORDS))
    likely[3] = 8 if shifted else 1
    return [" ".join(line) for line in random.choice(WORDS, size=(rows, 6), p=likely / likely.sum())]


def absurd_row(frame: pd.DataFrame) -> pd.DataFrame:
    """One row of numbers that no sensor gives."""
    return pd.concat(
        [frame, pd.DataFrame({"a": [1e30], "b": [-1e30], "c": [1e300], "city": ["?"]})], ignore_index=True
    )


def reconstructed(reference: Sample, current: Sample) -> Verdict | NoData:
    """The plan and its verdict in one."""
    plan = reconstruction_plan(reference)
    return plan if isinstance(plan, NoData) else reconstruction(plan, current)


FRAME = {"draw": table, "absurd": absurd_row, "shuffle": lambda frame: frame.iloc[::-1]}
CASES = {
    "domain_classifier": Case(domain_classifier, minimum=50, seeds=16, tolerance=0.05, **FRAME),
    "reconstruction": Case(reconstructed, minimum=20, **FRAME),
    "correlation": Case(correlation_of_rows, minimum=20, tolerance=0.01, **FRAME),
    "mmd": Case(
        lambda ours, theirs: mmd(ours, theirs, permutations=199),
        cloud,
        lambda rows: np.vstack([rows, np.full((1, 4), 1e12)]),
        20,
        tolerance=0.01,
    ),
    "vectors": Case(
        lambda ours, theirs: vectors(ours, theirs, permutations=19),
        cloud,
        lambda rows: np.vstack([rows, np.full((1, 4), 1e12)]),
        50,
        tolerance=0.05,
    ),
    "text": Case(texts, lines, lambda some: [*some, "spam " * 10_000], 50, seeds=100, tolerance=0.05),
}
each = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


def samples(
    case: Case, seed: int, rows: tuple[int, int] = (160, 120), *, shifted: bool
) -> tuple[Sample, Sample]:
    """A reference and current rows."""
    random = np.random.default_rng(seed)
    return case.draw(random, rows[0], False), case.draw(random, rows[1], shifted)  # noqa: FBT003


def verdict(case: Case, reference: Sample, current: Sample) -> Verdict:
    """What the case's test says, which must be something."""
    found = case.run(reference, current)
    assert isinstance(found, Verdict)
    return found


def test_every_test_of_the_folder_is_under_contract() -> None:
    """A file that defines a verdict of its own is one of the cases."""
    folder = Path("monitors/multivariate")
    theirs = {path.stem for path in folder.glob("*.py") if "(Verdict):" in path.read_text("utf-8")}

    assert theirs == set(CASES)


@each
def test_identical_distributions_do_not_alarm_more_than_said(case: Case) -> None:
    """Over fixed seeds p ≤ 0.05 no more often than 5 %, within three binomial deviations."""
    rejected = [
        verdict(case, *samples(case, seed, shifted=False)).p_value <= LEVEL for seed in range(case.seeds)
    ]

    assert np.mean(rejected) <= LEVEL + 3 * (LEVEL * (1 - LEVEL) / case.seeds) ** 0.5


@each
def test_a_shift_is_seen(case: Case) -> None:
    """A stated shift (correlation 0.8 to 0, one deviation, another favourite word) alarms on 400 rows."""
    found = [verdict(case, *samples(case, seed, (400, 400), shifted=True)).drifted for seed in range(3)]

    assert [True] * 3 == found


@each
def test_one_extreme_row_does_not_lower_the_score(case: Case) -> None:
    """With one absurd row a shift has the effect it had, within that row's own share, and alarms."""
    reference, current = samples(case, 1, (400, 400), shifted=True)
    before, after = (verdict(case, reference, rows) for rows in (current, case.absurd(current)))

    assert after.effect >= before.effect - case.tolerance
    assert after.drifted


@each
def test_one_extreme_reference_row_does_not_lower_the_score(case: Case) -> None:
    """Nor does an absurd row in the reference hide anything."""
    reference, current = samples(case, 1, (400, 400), shifted=True)
    before, after = (verdict(case, rows, current) for rows in (reference, case.absurd(reference)))

    assert after.drifted
    assert after.effect > 0.8 * before.effect


@each
def test_numbers_are_finite_and_in_range(case: Case) -> None:
    """No field is NaN; the effect lies in its interval and p in (0, 1]."""
    for shifted in (False, True):
        found = verdict(case, *samples(case, 2, shifted=shifted))
        low, high = found.interval

        assert 0 <= low <= found.effect <= high < np.inf
        assert 0 < found.p_value <= 1
        assert all(not isinstance(value, float) or np.isfinite(value) for value in _values(found))
        assert all(type(value) is not np.float64 for value in (*found.interval, *_values(found)))


def _values(found: Verdict) -> list[Any]:
    return [getattr(found, field.name) for field in fields(found)]


@each
def test_the_same_rows_have_no_effect(case: Case) -> None:
    """A sample against itself is no drift."""
    reference, _ = samples(case, 3, (200, 200), shifted=False)

    assert not verdict(case, reference, reference).drifted


@each
def test_it_is_deterministic_and_blind_to_the_order_of_rows(case: Case) -> None:
    """Twice the same, and the same from shuffled rows, to the last digits."""
    reference, current = samples(case, 4, shifted=True)
    expected = verdict(case, reference, current)
    shuffled = verdict(case, case.shuffle(reference), case.shuffle(current))

    assert expected.to_dict() == verdict(case, reference, current).to_dict()
    assert pytest.approx((expected.effect, expected.p_value), rel=1e-9) == (shuffled.effect, shuffled.p_value)


@each
def test_inputs_are_not_changed(case: Case) -> None:
    """Rows are the same after as before."""
    reference, current = samples(case, 5, shifted=True)
    before = pickle.dumps((reference, current))
    verdict(case, reference, current)

    assert before == pickle.dumps((reference, current))


@each
def test_verdicts_pickle_and_write_as_json(case: Case) -> None:
    """A verdict crosses processes and files whole, and says whether it is a drift."""
    found = verdict(case, *samples(case, 6, shifted=True))
    written = json.loads(json.dumps(found.to_dict(), allow_nan=False))

    assert found == pickle.loads(pickle.dumps(found))  # noqa: S301 - our own
    assert found.drifted == written["drifted"]
    assert {field.name for field in fields(found)} < set(written)


@each
def test_verdicts_are_frozen(case: Case) -> None:
    """Nobody changes a verdict afterwards."""
    found = verdict(case, *samples(case, 6, shifted=True))
    with pytest.raises(AttributeError):
        found.effect = 0.0  # type: ignore[misc]


@each
def test_too_few_rows_name_the_minimum(case: Case) -> None:
    """One row below the minimum is NoData that states it; at the minimum there is a verdict."""
    reference, current = samples(case, 7, (200, case.minimum), shifted=False)
    found = case.run(reference, current[:-1])

    assert isinstance(found, NoData)
    assert str(case.minimum) in found.reason
    assert isinstance(case.run(reference, current), Verdict)


@each
def test_an_empty_side_is_no_data(case: Case) -> None:
    """No rows at all are a reason, not an error."""
    reference, current = samples(case, 8, shifted=False)

    assert isinstance(case.run(reference, current[:0]), NoData)
    assert isinstance(case.run(reference[:0], current), NoData)


@pytest.mark.parametrize("name", ["domain_classifier", "reconstruction", "correlation"])
def test_columns_without_a_value_are_no_data(name: str) -> None:
    """Rows that are null throughout say so."""
    nothing = pa.table({"x": pa.nulls(200, pa.float64()), "y": pa.nulls(200, pa.string())})

    assert isinstance(CASES[name].run(nothing, nothing), NoData)


@pytest.mark.parametrize("name", ["domain_classifier", "reconstruction", "correlation"])
def test_a_side_that_lost_all_values_is_seen_or_no_data(name: str) -> None:
    """When every value is gone that is a drift where missing is a value, and no data where it is none."""
    reference, current = samples(CASES[name], 9, (200, 200), shifted=False)
    gone = pa.Table.from_pandas(current, preserve_index=False)
    gone = pa.table({field.name: pa.nulls(len(gone), field.type) for field in gone.schema})
    found = CASES[name].run(reference, gone)

    assert isinstance(found, NoData) or found.drifted
