from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import entropy, norm

from monitors.active import worth_labelling
from spec import Task
from spec.errors import DataError


def spots(*values: float) -> pd.DataFrame:
    """Rows of one number."""
    return pd.DataFrame({"x": values})


def test_the_most_uncertain_row_comes_first() -> None:
    """Without a reference the first row is that nearest to ½, its uncertainty the entropy in bits."""
    scores = np.array([[0.9], [0.55], [0.2]])
    found = worth_labelling(spots(1, 2, 3), scores, 1, task=Task.BINARY)

    assert [1] == found.rows.tolist()
    assert found.uncertainty[0] == pytest.approx(entropy([0.55, 0.45], base=2))
    assert found.density.tolist() == [1.0]
    assert found.worth.tolist() == found.uncertainty.tolist()


def test_classes_are_uncertain_where_they_are_even() -> None:
    """Of three classes the entropy is over log 3, so even odds are 1."""
    scores = np.array([[0.5, 0.5, 0.0], [1 / 3, 1 / 3, 1 / 3], [1.0, 0.0, 0.0]])
    found = worth_labelling(spots(1, 2, 3), scores, 3, task=Task.MULTICLASS)

    assert found.rows[0] == 1
    assert found.uncertainty[0] == pytest.approx(1)
    assert sorted(found.rows) == [0, 1, 2]


def test_copies_of_a_row_are_asked_for_once() -> None:
    """Rows unlike those taken come first, though copies of the best are more uncertain; then the copies."""
    scores = np.array([[0.5], [0.5], [0.5], [0.4], [0.3]])
    found = worth_labelling(spots(1, 1, 1, 50, 99), scores, 5, task=Task.BINARY)

    assert {0, 3, 4} == set(found.rows[:3].tolist())
    assert [1, 2] == found.rows[3:].tolist()


def test_other_categories_and_gaps_are_far() -> None:
    """After one city its copies are near; another city and a missing one are as far as can be."""
    frame = pd.DataFrame({"city": ["Rome", "Rome", "Oslo", None]})
    found = worth_labelling(frame, np.full((4, 1), 0.5), 4, task=Task.BINARY)

    assert [0, 2, 3, 1] == found.rows.tolist()


def test_where_the_inputs_moved_rows_are_worth_more() -> None:
    """Of rows as uncertain, those that the reference lacks are chosen, by a density near the true ratio."""
    random = np.random.default_rng(1)
    reference = pd.DataFrame({"x": random.normal(size=2000), "noise": random.normal(size=2000)})
    window = pd.DataFrame({"x": random.normal(1, 1, size=2000), "noise": random.normal(size=2000)})
    found = worth_labelling(window, np.full((2000, 1), 0.5), 200, task=Task.BINARY, reference=reference)
    chosen = window["x"].to_numpy()[found.rows]
    ratio = norm.pdf(chosen, 1) / norm.pdf(chosen)

    assert chosen.mean() > 1.8
    assert np.median(found.density / ratio) == pytest.approx(1, abs=0.4)


def test_of_regression_the_spread_is_the_uncertainty() -> None:
    """Scores say nothing of a value's uncertainty: the given spread does, and all are alike without."""
    scores = np.array([[1.0], [700.0], [-3.0]])
    found = worth_labelling(spots(1, 2, 3), scores, 1, task=Task.REGRESSION, spread=np.array([1.0, 2, 9]))
    plain = worth_labelling(spots(1, 2, 3), scores, 3, task=Task.REGRESSION)

    assert [2] == found.rows.tolist()
    assert [9.0] == found.worth.tolist()
    assert [1.0, 1.0, 1.0] == plain.worth.tolist()


def test_a_small_reference_tells_no_density() -> None:
    """With fewer than fifty rows on a side uncertainty alone decides."""
    found = worth_labelling(
        spots(*range(60)), np.full((60, 1), 0.5), 5, task=Task.BINARY, reference=spots(*range(100, 149))
    )

    assert [1.0] * 5 == found.density.tolist()


def test_every_problem_is_named_at_once() -> None:
    """Scores of another length and beyond [0, 1], a spread that is not positive, a count below 1."""
    with pytest.raises(DataError) as caught:
        worth_labelling(spots(1, 2), np.array([[1.5]]), 0, task=Task.BINARY, spread=np.array([0.0, 1.0]))

    assert [
        "scores: must have shape (2, outputs); found shape (1, 1)",
        "scores: must be probabilities, in [0, 1]; found 1.5 to 1.5",
        "count: must be 1 or more; found 0",
        "spread: must have shape (2,) and be positive and finite; found shape (2,)",
    ] == str(caught.value).splitlines()


def test_scores_must_be_finite() -> None:
    """A score that is no number is refused."""
    with pytest.raises(DataError, match="scores: must be finite"):
        worth_labelling(spots(1), np.array([[np.nan]]), 1, task=Task.REGRESSION)
