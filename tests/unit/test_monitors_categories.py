from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from monitors.profiles.counting.categories import BUCKETS, RARE, CategoryTally, distinct, merge
from monitors.profiles.counting.hashing import hashes
from monitors.profiles.plan import CategoricalPlan, Family, Kind

PLAN = CategoricalPlan("c", Kind.CATEGORICAL, Family.STRING, ("a", "b"))


def tallied(*arrays: pa.Array) -> CategoryTally:
    """Return what is counted of some arrays."""
    tally = CategoryTally(PLAN)
    for array in arrays:
        tally.add(array)
    return tally


def test_a_dictionary_may_repeat_values_and_hold_null() -> None:
    """Codes of the same string add up, and codes of null are missing values."""
    codes = pa.array([0, 1, 2, 3, None, 0], pa.uint64())
    tally = tallied(pa.DictionaryArray.from_arrays(codes, pa.array(["a", None, "a", "z"])))

    assert [3, 0] == tally.counts.tolist()
    assert {"z": 1} == tally.rare
    assert 2 == tally.nulls


def test_a_dictionary_may_be_larger_than_its_rows() -> None:
    """Values of the dictionary that no row has are not counted."""
    names = pa.array([f"v{n}" for n in range(1000)] + ["a"])
    tally = tallied(pa.DictionaryArray.from_arrays(pa.array([1000, 7]), names))

    assert [1, 0] == tally.counts.tolist()
    assert {"v7": 1} == tally.rare


def test_bytes_that_are_no_text_are_counted() -> None:
    """Strings that are no UTF-8, as some writers make them, are counted like others."""
    sizes = np.array([0, 1, 2], dtype=np.int32)
    broken = pa.Array.from_buffers(pa.string(), 2, [None, pa.py_buffer(sizes), pa.py_buffer(b"\xffa")])
    tally = tallied(broken)

    assert [1, 0] == tally.counts.tolist()
    assert {"\ufffd": 1} == tally.rare


def test_many_values_keep_those_of_the_smallest_hashes() -> None:
    """Of many untracked values 256 are kept with exact counts, the same ones in any batches."""
    names = [f"v{n}" for n in range(5000)] * 2
    whole = tallied(pa.array(names))
    parts = tallied(*(pa.array(names[start::7]) for start in range(7)))
    ranked = sorted(set(names), key=lambda name: int(hashes(pa.array([name]))[0]))

    assert whole.rare == parts.rare
    assert set(ranked[:RARE]) == whole.rare.keys()
    assert {2} == set(whole.rare.values())
    assert whole.others.tolist() == parts.others.tolist()
    assert 10_000 == whole.others.sum()


def test_repeated_dictionary_values_do_not_crowd_out_others() -> None:
    """A dictionary that says everything many times leaves the same 256 values."""
    names = pa.array([f"v{n}" for n in range(400)])
    coded = pa.DictionaryArray.from_arrays(pa.array(range(4000)), pa.concat_arrays([names] * 10))

    assert tallied(pa.concat_arrays([names] * 10)).rare == tallied(coded).rare


@pytest.mark.parametrize("number", [10, 255, 1000, 50_000])
def test_distinct_values_are_estimated(number: int) -> None:
    """Up to 255 untracked values the number is exact, beyond within four standard errors of 6 %."""
    tally = tallied(pa.array([f"user-{n}" for n in range(number)]))

    assert number == (
        distinct(tally.rare) if number < RARE else pytest.approx(distinct(tally.rare), rel=0.25)
    )


def test_hashes_are_even_and_independent_of_storage() -> None:
    """Hashes fill the buckets evenly, rarely meet, and are the same for sliced, large and viewed strings."""
    names = pa.array([f"{n}" for n in range(200_000)] + ["x" * 5000, "x" * 5001, "", "x" * 300_000])
    hashed = hashes(names)
    expected = len(names) / BUCKETS
    counts = np.bincount((hashed % np.uint64(BUCKETS)).astype(int), minlength=BUCKETS)

    assert len(names) == len(np.unique(hashed))
    assert ((counts - expected) ** 2 / expected).sum() < 120  # chi-square of 63 degrees: p of 1e-5
    assert hashed[5:].tolist() == hashes(names.slice(5)).tolist()
    assert hashed.tolist() == hashes(names.cast(pa.large_string())).tolist()
    assert hashed[-4:].tolist() == [
        int(hashes(name.slice(0, 1))[0]) for name in (names[-4:].slice(n) for n in range(4))
    ]


def test_hashes_stay_as_they_are() -> None:
    """Profiles that were written yesterday hold the same hashes tomorrow."""
    expected = [
        16294208416658607535,
        17653837217089570588,
        6520840041308098306,
        5099163649816740389,
        15376702834754400751,
    ]

    assert expected == hashes(pa.array(["", "a", "ab", "ä", "a" * 5000])).tolist()


def test_merging_keeps_the_smallest_of_both() -> None:
    """Merged counts add up, and are those of the values that would have been kept together."""
    names = [f"v{n}" for n in range(600)]
    parts = [tallied(pa.array(names[:400])).rare, tallied(pa.array(names[200:])).rare]

    assert tallied(pa.array(names[:400] + names[200:])).rare == merge(*parts) == merge(*reversed(parts))
