from __future__ import annotations

from typing import Any

import numpy as np
import orjson
from hypothesis import given
from hypothesis import strategies as st

from serving.tensors import Tensors
from serving.values import feeds
from spec import Problem, loads

FEATURES = loads(
    """
model: tides
task: binary
data: {inference_log: tides/log, labels: tides/labels, id: id, time: at, target: {name: late}}
features: {depth: numeric, height: numeric, spring: boolean, port: categorical}
"""
).features
TYPES = {"depth": "FP64", "height": "FP32", "spring": "BOOL", "port": "BYTES"}
ODD: st.SearchStrategy[Any] = st.sampled_from(
    [
        None,
        True,
        1,
        1.0,
        3.5,
        1e39,
        2**53,
        -0.0,
        "x",
        "",
        [1.5],
        [],
        [[1.5]],
        {},
        "FP64",
        "INT64",
        "depth",
        [1, 1],
        [1.0],
    ]
)


class General(Tensors):
    """Has no short way for usual tensors."""

    def _as_usual(self, inputs: list[Any], *, are_checked: bool) -> None:
        del inputs, are_checked


def usual(rows: int) -> st.SearchStrategy[list[Any]]:
    """All tensors in order, as most clients send them; numbers may be null or beyond single precision."""
    number = st.none() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False, allow_infinity=False)
    values = {
        "depth": number,
        "height": number,
        "spring": st.none() | st.booleans(),
        "port": st.none() | st.text(max_size=3),
    }
    shape = st.sampled_from([[rows], [rows, 1]])

    def tensors(shape: list[int]) -> st.SearchStrategy[list[Any]]:
        return st.tuples(
            *(
                st.fixed_dictionaries(
                    {
                        "name": st.just(name),
                        "shape": st.just(shape),
                        "datatype": st.just(TYPES[name]),
                        "data": st.lists(value, min_size=rows, max_size=rows),
                    }
                )
                for name, value in values.items()
            )
        ).map(list)

    return shape.flatmap(tensors)


@st.composite
def broken(draw: st.DrawFn) -> list[Any]:
    """Usual tensors in which one to three things are something else, are missing, or come twice."""
    inputs: list[Any] = draw(st.integers(1, 3).flatmap(usual))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(inputs) - 1))
        key = draw(
            st.sampled_from(
                ["name", "shape", "datatype", "data", "value", "tensor", "gone", "twice", "first"]
            )
        )
        if key == "tensor":
            inputs[at] = draw(ODD)
        elif key == "twice":
            inputs.append(inputs[at])
        elif key == "first":
            inputs.insert(0, inputs.pop(at))
        elif type(inputs[at]) is not dict:
            continue
        elif key == "gone":
            inputs[at].pop(draw(st.sampled_from(["name", "shape", "datatype", "data"])), None)
        elif key == "value":
            if type(data := inputs[at].get("data")) is list and data:
                data[draw(st.integers(0, len(data) - 1))] = draw(ODD)
        else:
            inputs[at][key] = draw(ODD)
    return inputs


def read(tensors: Tensors, inputs: list[Any]) -> tuple[Any, list[Problem]]:
    """What comes of a request's tensors: what the log and the model get; or problems."""
    problems: list[Problem] = []
    has_truths = b"true" in orjson.dumps(inputs) or b"false" in orjson.dumps(inputs)
    values, rows = tensors.read(inputs, problems, has_truths=has_truths)
    if problems or values is None:
        return None, problems
    feed = {name: (str(feed.dtype), feed.tolist()) for name, feed in feeds([values]).items()}
    return repr((values.exact.tolist(), values.text, rows, feed)), problems


@given(st.integers(1, 3).flatmap(usual) | broken())
def test_the_short_way_gives_what_the_long_one_gives(inputs: list[Any]) -> None:
    """Any tensors, right or wrong, are read the same, and the same is said of what is wrong with them."""
    assert read(Tensors(FEATURES), inputs) == read(General(FEATURES), inputs)


@given(st.lists(st.floats(width=64, allow_nan=False, allow_infinity=False), min_size=2, max_size=2))
def test_one_row_is_rounded_as_many_are(numbers: list[float]) -> None:
    """A row alone gives the model the same bits as among others, and the same problems."""
    tensors = Tensors(FEATURES)
    lone: list[Problem] = []
    crowd: list[Problem] = []
    row: dict[str, list[Any]] = {"depth": numbers[:1], "height": numbers[1:], "spring": [True], "port": ["x"]}

    alone = tensors.values(row, 1, lone)
    among = tensors.values({name: column * 2 for name, column in row.items()}, 2, crowd)

    assert lone == crowd
    np.testing.assert_array_equal(alone.numbers[:, 0], among.numbers[:, 1])
