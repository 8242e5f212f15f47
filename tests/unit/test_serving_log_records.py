"""Records of the spool: what requests become as rows."""

from __future__ import annotations

from itertools import chain

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.log import packing
from serving.log.unpacking import unpack

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


@settings(deadline=None, max_examples=80)
@given(
    st.lists(st.lists(st.lists(ROW, min_size=1, max_size=5), min_size=1, max_size=4), min_size=1, max_size=4)
)
def test_every_value_of_every_row_comes_back(turns: list[list[list[tuple]]]) -> None:
    """Whatever was answered, in turns of requests of any size, is read as it was, each row with a name."""
    records, expected = [], []
    serial = 0
    for first, turn in enumerate(turns):
        shared = []
        for at, request in enumerate(turn):
            own, timed = bool(at % 2), (first + at) % 3 != 1
            shadow = (None, False, True)[(first + at) % 3]
            names = [f"n{serial + row}" for row in range(len(request))] if own else None
            times = [row[0] for row in request] if timed else None
            identity = f"{first}.{at}"
            follow = [identity] if len(request) == 1 else [f"{identity}/{row}" for row in range(len(request))]
            shared.append(packing.Request(len(request), identity, names, times, shadow, at / 4))
            for name, row in zip(names or follow, request, strict=True):
                time = row[0] if timed else first
                expected.append((f"boot-{serial}", name, time, str(first), shadow, at / 4, *row[1:]))
                serial += 1
        _, scores, depth, spring, port = (list(column) for column in zip(*chain(*turn), strict=True))
        rows = packing.Rows(
            "boot",
            serial - len(port),
            first,
            str(first),
            "blue",
            shared,
            {"f_port": port},
            np.array([depth, spring], dtype=np.float64).T,
            np.array(scores, dtype=np.float32),
        )
        records.append(packing.pack(rows))
        assert len(port) == packing.rows_of(records[-1])

    found = pa.table(unpack(records, TYPES)).to_pydict()

    names = ("row_id", "prediction_id", "event_time", "version", "shadow", "latency_ms", "scores")
    columns = (found[name] for name in (*names, "f_depth", "f_spring", "f_port"))
    assert expected == list(zip(*columns, strict=True))
    assert [time for time, turn in enumerate(turns) for _ in chain(*turn)] == found["logged_at"]


def record(text: dict[str, list[str | None]], numbers: int, scores: int = 1) -> bytes:
    """Two rows."""
    both = packing.Request(2, "a", None, None, shadow=False, latency_ms=0.5)
    rows = packing.Rows(
        "boot", 0, 7, "3", "blue", [both], text, np.zeros((2, numbers)), np.zeros((2, scores))
    )
    return packing.pack(rows)


def test_a_record_of_other_columns_is_refused() -> None:
    """A column that the segment does not know, or one too few, is an error and not a loss."""
    with pytest.raises(pa.ArrowInvalid, match="unexpected field"):
        unpack([record({"f_port": ["x", "y"], "f_moon": ["x", "y"]}, 2)], TYPES)
    with pytest.raises(ValueError, match="scores"):
        unpack([record({"f_port": ["x", "y"]}, 2)[:-8]], TYPES)
    with pytest.raises(ValueError, match="scores"):
        unpack([record({"f_port": ["x", "y"]}, 0, scores=0)], TYPES)


def test_numbers_keep_every_bit() -> None:
    """What a client sent in double precision is not rounded to what the model takes."""
    rows = packing.Rows(
        "boot",
        0,
        7,
        "3",
        "blue",
        [packing.Request(1, "a", None, None, shadow=False, latency_ms=0.5)],
        {"f_port": [None]},
        np.array([[0.1, np.nan]]),
        np.array([[0.1]]),
    )

    found = unpack([packing.pack(rows)], TYPES)

    assert (found["f_depth"].to_pylist(), found["f_spring"].to_pylist()) == ([0.1], [None])
    assert found["scores"].to_pylist() == [[0.1]]


def test_rows_of_nothing_but_strings_come_back() -> None:
    """A model may have no number among its features, or keep none of them: its rows are logged as others."""
    types = {name: kind for name, kind in TYPES.items() if name not in ("f_depth", "f_spring")}

    found = unpack([record({"f_port": ["x", None]}, 0), record({"f_port": ["", "z"]}, 0)], types)

    assert found["f_port"].to_pylist() == ["x", None, "", "z"]
    assert found["prediction_id"].to_pylist() == ["a/0", "a/1"] * 2
