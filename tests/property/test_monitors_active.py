from __future__ import annotations

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from monitors.active import worth_labelling
from spec import Task

ROWS = st.lists(
    st.tuples(
        st.floats(0, 1),
        st.none() | st.floats(allow_nan=False),
        st.sampled_from(["Rome", "Oslo", None]),
    ),
    min_size=1,
    max_size=40,
)


@settings(max_examples=100, deadline=None)
@given(rows=ROWS, count=st.integers(1, 60))
def test_the_choice_is_a_subset_of_the_size_asked_for(
    rows: list[tuple[float, float | None, str | None]], count: int
) -> None:
    """Rows are of the frame, none twice, as many as asked for or all, with finite worth; always the same."""
    scores, numbers, cities = zip(*rows, strict=True)
    frame = pd.DataFrame({"x": np.array(numbers, dtype=float), "city": pd.Series(cities, dtype="str")})
    found, again = (
        worth_labelling(frame, np.array(scores)[:, None], count, task=Task.BINARY) for _ in range(2)
    )

    assert len(found.rows) == min(count, len(rows)) == len(set(found.rows.tolist()))
    assert set(found.rows.tolist()) <= set(range(len(rows)))
    assert np.isfinite(found.worth).all()
    assert found.rows.tolist() == again.rows.tolist()


@settings(max_examples=50, deadline=None)
@given(rows=ROWS, count=st.integers(1, 10))
def test_who_asks_for_more_gets_the_same_first(
    rows: list[tuple[float, float | None, str | None]], count: int
) -> None:
    """A smaller batch is the beginning of a larger one."""
    scores = np.array([row[0] for row in rows])[:, None]
    frame = pd.DataFrame({"x": np.array([row[1] for row in rows], dtype=float)})
    small, large = (
        worth_labelling(frame, scores, size, task=Task.BINARY).rows.tolist() for size in (count, count + 5)
    )

    assert small == large[: len(small)]
