from __future__ import annotations

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from monitors import frames
from monitors.slices.cuts import coded, cuts
from spec import loads

SPEC = loads("""
model: shop
task: binary
data: {inference_log: log, labels: labels, id: id, time: t, target: {name: y}}
features: {amount: numeric, country: categorical, member: boolean}
""")
ROW = st.tuples(
    st.none() | st.floats(allow_nan=True, allow_infinity=True),
    st.none() | st.text(max_size=4),
    st.none() | st.booleans(),
)


@given(st.lists(ROW, max_size=30), st.lists(ROW, max_size=30))
def test_every_row_is_in_one_slice_of_each_feature(
    reference: list[tuple[object, ...]], current: list[tuple[object, ...]]
) -> None:
    """Whatever the values, each row has a code within the names of each cut, and nulls have the last."""
    before, now = (
        frames.typed(SPEC, pd.DataFrame(rows, columns=list(SPEC.features), dtype=object))
        for rows in (reference, current)
    )
    made = cuts(SPEC, before, SPEC.features)
    codes = coded(made, now)

    assert codes.shape == (len(current), 3)
    for place, cut in enumerate(made):
        assert len(set(cut.names)) == len(cut.names)
        assert ((codes[:, place] >= 0) & (codes[:, place] < len(cut.names))).all()
        null = now[cut.feature].isna().to_numpy()
        assert ((codes[:, place] == len(cut.names) - 1) == null).all()
