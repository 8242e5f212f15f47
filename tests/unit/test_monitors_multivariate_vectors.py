from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from monitors.finding import NoData
from monitors.multivariate.mmd import MmdVerdict
from monitors.multivariate.vectors import Vectors, VectorVerdict, matrix, vectors
from spec.errors import DataError


def verdict(reference: Vectors, current: Vectors) -> VectorVerdict:
    """Return a verdict, which must be one."""
    found = vectors(reference, current, permutations=99)
    assert isinstance(found, VectorVerdict)
    return found


def cloud(rows: int, width: int, seed: int, shift: float = 0.0) -> np.ndarray:
    """Standard normal vectors, their first number shifted."""
    numbers = np.random.default_rng(seed).normal(size=(rows, width))
    numbers[:, 0] += shift
    return numbers


def test_a_shift_is_seen_by_both() -> None:
    """A mean that moves by one deviation in one of eight numbers has AUC Φ(1/√2), and MMD sees it."""
    found = verdict(cloud(1500, 8, 0), cloud(1500, 8, 1, shift=1))

    assert found.drifted
    assert found.auc_interval[0] < 0.7602 < found.auc_interval[1]
    assert isinstance(found.mmd, MmdVerdict)
    assert found.mmd.p_value < 0.001


def test_a_spread_that_changes_is_seen_by_mmd_only() -> None:
    """A linear score is blind to twice the deviation around the same mean; the kernel is not."""
    found = verdict(cloud(400, 5, 0), 2 * cloud(400, 5, 1))

    assert not found.drifted
    assert isinstance(found.mmd, MmdVerdict)
    assert found.mmd.drifted


def test_wide_vectors_are_reduced_and_still_tell() -> None:
    """Of 300 numbers that all move a little, the classifier sees the sum."""
    found = verdict(cloud(500, 300, 0), cloud(500, 300, 1) + 0.15)

    assert found.drifted
    assert not verdict(cloud(500, 300, 0), cloud(500, 300, 2)).drifted


def test_every_arrow_list_and_array_is_the_same_column() -> None:
    """Fixed-size, plain, large and chunked lists of floats and a matrix give the identical verdict."""
    ours, theirs = (cloud(80, 4, seed).astype(np.float32) for seed in (0, 1))
    expected = verdict(ours, theirs).to_dict()
    for kind in (pa.list_(pa.float32(), 4), pa.list_(pa.float64()), pa.large_list(pa.float32())):
        column = pa.array(ours.tolist(), type=kind)

        assert expected == verdict(column, pa.chunked_array([pa.array(theirs.tolist(), type=kind)])).to_dict()


def test_slices_of_a_column_are_their_own_rows() -> None:
    """An Arrow slice holds the slice's vectors, nulls in place."""
    column = pa.array([[1.0, 2.0], None, [3.0, 4.0], [5.0, 6.0]], type=pa.list_(pa.float64(), 2))

    np.testing.assert_array_equal([[np.nan, np.nan], [3, 4]], matrix(column.slice(1, 2)))


def test_rows_with_anything_missing_are_left_out_and_counted() -> None:
    """Null vectors, null numbers, NaN and infinity each cost their own row only."""
    ours = cloud(60, 3, 0).tolist()
    spoilt = [*ours, None, [1.0, None, 2.0], [1.0, np.nan, 2.0], [np.inf, 0.0, 0.0]]
    found = verdict(pa.array(spoilt), cloud(60, 3, 1))

    assert (60, 4, 60, 0) == (
        found.rows_reference,
        found.dropped_reference,
        found.rows_current,
        found.dropped_current,
    )
    assert verdict(pa.array(ours), cloud(60, 3, 1)).effect == found.effect


def test_one_absurd_vector_does_not_hide_a_shift() -> None:
    """A vector a billion deviations away leaves the shift of the others as visible as it was."""
    current = cloud(300, 4, 1, shift=1)
    absurd = np.vstack([current, np.full(4, 1e9), np.full(4, -1e9)])

    assert pytest.approx(verdict(cloud(300, 4, 0), current).effect, abs=0.05) == (
        verdict(cloud(300, 4, 0), absurd).effect
    )


def test_the_order_of_rows_does_not_matter() -> None:
    """Shuffled vectors give the identical verdict."""
    ours, theirs = cloud(80, 4, 0), cloud(90, 4, 1)

    assert verdict(ours, theirs).to_dict() == verdict(ours[::-1], np.roll(theirs, 11, axis=0)).to_dict()


def test_lengths_that_differ_between_sides_are_an_error() -> None:
    """Another embedding model is not a drift of this one."""
    with pytest.raises(DataError, match=r"4 numbers a vector, the reference 3.*embedding model"):
        vectors(cloud(60, 3, 0), cloud(60, 4, 0))


def test_lengths_that_differ_within_a_column_and_other_types_are_one_error() -> None:
    """Both sides' problems are named together."""
    with pytest.raises(DataError) as caught:
        vectors(pa.array([[1.0], [1.0, 2.0]]), pa.array(["text"]))

    assert ["lengths 1, 2", "string"] == [problem.found for problem in caught.value.problems]


@pytest.mark.parametrize("found", [np.zeros(3), np.array([["a"]])])
def test_arrays_are_matrices_of_numbers(found: np.ndarray) -> None:
    """A flat array and an array of strings are refused."""
    with pytest.raises(DataError, match="shape"):
        matrix(found)


@pytest.mark.parametrize(
    "nothing",
    [
        pa.nulls(60),
        pa.array([None] * 60, pa.list_(pa.float64())),
        pa.array([[]] * 60, pa.list_(pa.float64())),
    ],
)
def test_columns_without_vectors_are_no_data(nothing: pa.Array) -> None:
    """All-null and zero-length columns say how many rows are missing."""
    assert vectors(cloud(60, 3, 0), nothing) == NoData(
        "50 whole vectors a side are needed; reference has 60 (0 left out), current 0 (60 left out)"
    )


def test_inputs_stay_as_they_are() -> None:
    """Arrays are not standardized in place."""
    ours = cloud(60, 3, 0)
    before = ours.copy()
    verdict(ours, ours)

    np.testing.assert_array_equal(before, ours)
