from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from monitors import frames
from monitors.slices.cuts import MAX_VALUES, coded, cuts
from spec import loads

SPEC = loads("""
model: shop
task: binary
data: {inference_log: log, labels: labels, id: id, time: t, target: {name: y}}
features: {amount: numeric, country: categorical, member: boolean}
""")


def rows(**columns: list[object]) -> pd.DataFrame:
    """Rows in the spec's dtypes."""
    return frames.typed(SPEC, pd.DataFrame(columns))


def named(reference: pd.DataFrame, current: pd.DataFrame, feature: str) -> list[str]:
    """The slice of each row by name."""
    (cut,) = cuts(SPEC, reference, [feature])
    return [cut.names[code] for code in cut.codes(current[feature])]


def test_numbers_are_cut_at_the_quartiles_of_the_reference() -> None:
    """The edges stay where the reference has them, wherever the current values lie; an edge belongs below."""
    reference = rows(amount=list(range(1, 10)))

    names = named(reference, rows(amount=[3, 3.5, 5, 7, 7.1, 1e9, None, np.inf]), "amount")

    assert names == [
        "amount ≤ 3",
        "3 < amount ≤ 5",
        "3 < amount ≤ 5",
        "5 < amount ≤ 7",
        "amount > 7",
        "amount > 7",
        "amount=(null)",
        "amount > 7",
    ]


def test_quartiles_that_are_equal_are_one_edge() -> None:
    """A column that is mostly zero has a slice of zeros and one of the rest."""
    assert named(rows(amount=[0, 0, 0, 0, 5]), rows(amount=[0, 0.1]), "amount") == [
        "amount ≤ 0",
        "amount > 0",
    ]


def test_edges_that_lie_close_keep_names_of_their_own() -> None:
    """Edges are written with as many digits as tell them apart."""
    reference = rows(amount=[1_000_000.0, 1_000_001.0, 1_000_002.0, 1_000_003.0, 1_000_004.0])
    (cut,) = cuts(SPEC, reference, ["amount"])

    assert len(set(cut.names)) == len(cut.names)


def test_a_column_without_numbers_has_nulls_and_one_slice_of_what_comes() -> None:
    """A feature that was null all through the reference still has a place for values."""
    assert named(rows(amount=[None, None]), rows(amount=[None, 3.0]), "amount") == ["amount=(null)", "amount"]


def test_categories_that_the_reference_does_not_know_are_others() -> None:
    """A new category and a null are told apart."""
    reference = rows(country=["de", "fr", "fr"])

    assert named(reference, rows(country=["fr", "xx", None, "de"]), "country") == [
        "country=fr",
        "country=(other)",
        "country=(null)",
        "country=de",
    ]


def test_only_the_most_frequent_categories_are_slices() -> None:
    """However many values there are, there are at most 20 slices beside the others and the nulls."""
    many = [f"c{value}" for value in range(100) for _ in range(value + 1)]
    (cut,) = cuts(SPEC, rows(country=many), ["country"])

    assert len(cut.names) == MAX_VALUES + 2
    assert cut.names[0] == "country=c99"


@pytest.mark.parametrize(("count", "own"), [(5, True), (4, False)])
def test_rare_categories_are_pooled(count: int, own: bool) -> None:
    """A category is a slice from half a percent of the reference on."""
    reference = rows(country=["de"] * (1000 - count) + ["is"] * count)

    assert named(reference, rows(country=["is"]), "country") == ["country=is" if own else "country=(other)"]


def test_booleans_are_three_slices() -> None:
    """True, false and null."""
    reference = rows(member=[True])

    assert named(reference, rows(member=[True, False, None]), "member") == [
        "member=true",
        "member=false",
        "member=(null)",
    ]


def test_long_categories_are_cut_and_stay_apart() -> None:
    """Two categories that differ at the end only have two short names."""
    reference = rows(country=["x" * 5000 + "a", "x" * 5000 + "b"])
    (cut,) = cuts(SPEC, reference, ["country"])

    assert len(set(cut.names)) == 4
    assert max(map(len, cut.names)) < 100


def test_no_rows_have_no_slices() -> None:
    """Nothing is coded as nothing."""
    reference = rows(amount=[1, 2, 3], country=["a", "b", "c"], member=[True, False, None])
    nothing = reference.iloc[:0]

    assert coded(cuts(SPEC, reference, SPEC.features), nothing).shape == (0, 3)
