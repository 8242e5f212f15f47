"""Records of the spool: what a request's columns become as rows."""

from __future__ import annotations

import orjson
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving import log_records

TYPES = {
    "row_id": pa.string(),
    "prediction_id": pa.string(),
    "event_time": pa.timestamp("us", "UTC"),
    "event_date": pa.string(),
    "logged_at": pa.timestamp("us", "UTC"),
    "version": pa.string(),
    "slot": pa.string(),
    "shadow": pa.bool_(),
    "latency_ms": pa.float64(),
    "scores": pa.list_(pa.float64()),
    "f_depth": pa.float64(),
    "f_spring": pa.bool_(),
    "f_port": pa.string(),
}
ROW = st.tuples(
    st.integers(0, 2**48),
    st.lists(st.floats(0, 1, width=32), min_size=3, max_size=3),
    st.none() | st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53), 2**53),
    st.none() | st.booleans(),
    st.none() | st.text(st.characters(codec="utf-8"), max_size=8),
)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.lists(ROW, min_size=1, max_size=5), min_size=1, max_size=6))
def test_every_value_of_every_row_comes_back(requests: list[list[tuple]]) -> None:
    """Whatever was answered, in requests of any size, is read as it was, in order, with a name of its own."""
    records, expected = [], []
    for first, request in enumerate(requests):
        times, scores, depth, spring, port = (list(column) for column in zip(*request, strict=True))
        same = (7, str(first), "blue", None if first % 3 == 2 else bool(first % 3), 0.5)
        columns = {
            "prediction_id": [f"{first}/{at}" for at in range(len(request))],
            "event_time": times,
            "scores": [one for row in scores for one in row],
            "f_depth": depth,
            "f_spring": spring,
            "f_port": port,
        } | dict(zip(log_records.SAME, same, strict=True))
        records.append(log_records.pack(len(request), "boot", 10 * first, columns))
        assert len(request) == log_records.rows_of(records[-1])
        expected += [(f"boot-{10 * first + at}", f"{first}/{at}", *row) for at, row in enumerate(request)]

    found = pa.table(log_records.unpack(b"\n".join(records), TYPES)).to_pydict()

    names = ("row_id", "prediction_id", "event_time", "scores", "f_depth", "f_spring", "f_port")
    assert expected == list(zip(*(found[name] for name in names), strict=True))
    assert [str(at) for at, request in enumerate(requests) for _ in request] == found["version"]


def test_a_record_of_other_columns_is_refused() -> None:
    """A column that the segment does not know is an error and not a loss."""
    with pytest.raises(pa.ArrowInvalid, match="unexpected field"):
        log_records.unpack(log_records.pack(1, "boot", 0, {"f_moon": [1]}), TYPES)


def test_rows_of_older_records_are_counted() -> None:
    """An object a row, a line each, as servers wrote before."""
    assert 2 == log_records.rows_of(b"\n".join(orjson.dumps({"row_id": one}) for one in "ab"))
