import math
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import spec
from serving.log import delta_table
from serving.log.inference_log import Answered, InferenceLog
from serving.log.spool import Spool, read_segment
from serving.metrics import ServingMetrics
from serving.protocol import InferRequest, Prediction, Protocol
from serving.values import feeds
from spec.tables import log_columns

TIDES = spec.loads("""
model: tides
task: binary
data: {inference_log: log, labels: labels, id: id, time: at, target: {name: late}}
features: {depth: numeric, spring: boolean, port: categorical}
""")
unhurried = settings(deadline=None)  # the first example pays for imports
PROTOCOL = Protocol(TIDES)
TEXT = st.text(st.characters(codec="utf-8"))
NUMBERS = (
    st.none() | st.floats(width=32, allow_nan=False, allow_infinity=False) | st.integers(-(2**63), 2**64 - 1)
)
ROW = st.tuples(NUMBERS, st.none() | st.booleans(), st.none() | TEXT)
ROWS = st.lists(ROW, min_size=1, max_size=6)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
DATATYPES = {"depth": "FP64", "spring": "BOOL", "port": "BYTES"}


def request(
    rows: list[Any], nested: tuple[bool, bool, bool], wide: tuple[bool, bool, bool]
) -> dict[str, Any]:
    """Rows as a request, each tensor flat or nested, of the shape [n] or [n, 1]."""
    inputs = []
    for index, (name, datatype) in enumerate(DATATYPES.items()):
        column = [row[index] for row in rows]
        as_column = wide[index] or nested[index]
        inputs.append(
            {
                "name": name,
                "shape": [len(rows), 1] if as_column else [len(rows)],
                "datatype": datatype,
                "data": [[value] for value in column] if nested[index] else column,
            }
        )
    return {"id": "x", "inputs": inputs}


def parse(body: object) -> InferRequest:
    """Parse as the server does."""
    return PROTOCOL.parse(orjson.dumps(body), "fallback")


FLAGS = st.tuples(st.booleans(), st.booleans(), st.booleans())


@unhurried
@given(ROWS, FLAGS, FLAGS)
def test_flat_and_nested_data_mean_the_same(
    rows: list[Any], nested: tuple[bool, bool, bool], wide: tuple[bool, bool, bool]
) -> None:
    """However the tensors are laid out, the graph and the log get the same values."""
    plain = parse(request(rows, (False,) * 3, (False,) * 3))
    other = parse(request(rows, nested, wide))

    assert other.values.text == plain.values.text
    np.testing.assert_array_equal(other.values.exact, plain.values.exact)
    others = feeds([other.values])
    for name, feed in feeds([plain.values]).items():
        assert feed.shape == (len(rows), 1)
        np.testing.assert_array_equal(others[name], feed)


@unhurried
@given(ROWS)
def test_values_reach_the_graph_as_they_are(rows: list[Any]) -> None:
    """Numbers arrive as the nearest float32, booleans as 0 and 1, strings unchanged, nulls as missing."""
    found = feeds([parse(request(rows, (False,) * 3, (False,) * 3)).values])

    for index, (depth, spring, port) in enumerate(rows):
        assert _same(found["depth"][index, 0], depth)
        assert _same(found["spring"][index, 0], spring)
        assert found["port"][index, 0] == ("" if port is None else port)


@settings(deadline=None, max_examples=40)
@given(ROWS)
def test_every_accepted_request_can_be_logged(rows: list[Any]) -> None:
    """No value that is accepted can hold up the log, and all come back from it."""
    parsed = parse(request(rows, (False,) * 3, (False,) * 3))
    with tempfile.TemporaryDirectory() as folder:
        home = spec.Settings.from_env({"TRIMTAB_HOME": folder})
        log = InferenceLog(TIDES, "blue", home, ServingMetrics(TIDES, "blue"))
        scores = np.full((len(rows), 2), 0.5, dtype=np.float32)
        log.append([Answered(parsed, Prediction([1] * len(rows), scores), shadow=False, latency_ms=0.1)], "1")
        (path,) = Path(folder).glob("spool/*/*.spool")
        table = delta_table.to_arrow(read_segment(path))
        log.close()

    assert table.schema.names == list(log_columns(TIDES))
    depths = [None if depth is None else float(depth) for depth, _, _ in rows]
    assert table["f_depth"].to_pylist() == depths
    assert table["f_spring"].to_pylist() == [spring for _, spring, _ in rows]
    assert table["f_port"].to_pylist() == [port for _, _, port in rows]


@unhurried
@given(JSON)
def test_any_json_is_answered_or_explained(body: object) -> None:
    """Whatever is sent, the only error is a RequestError with at least one problem."""
    with pytest.raises(spec.RequestError) as caught:
        parse(body)

    assert caught.value.problems


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _places(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _places(inner, (*path, index))


GOOD = request([(1.5, True, "Brest")], (False,) * 3, (True,) * 3) | {
    "parameters": {"event_times": ["2013-07-01T08:00:00Z"], "ids": ["a"]},
    "outputs": [{"name": "label", "parameters": {}}],
}


@unhurried
@given(st.sampled_from(list(_places(GOOD))[1:]), JSON)
def test_one_wrong_place_never_crashes(path: tuple[Any, ...], value: object) -> None:
    """A good request with anything at all in one place is parsed or explained."""
    body = orjson.loads(orjson.dumps(GOOD))
    target = body
    for step in path[:-1]:
        target = target[step]
    target[path[-1]] = value

    with suppress(spec.RequestError):
        parsed = parse(body)
        assert parsed.rows == 1
        assert parsed.ids is None or len(parsed.ids) == 1


@unhurried
@given(st.lists(JSON, min_size=1, max_size=5), st.data())
def test_a_spool_cut_anywhere_keeps_whole_records(records: list[Any], data: st.DataObject) -> None:
    """Wherever a death cuts the file, every record before the cut is read and nothing is made up."""
    with tempfile.TemporaryDirectory() as folder:
        spool = Spool(Path(folder), {})
        ends = []
        for record in records:
            spool.append(orjson.dumps(record))
            ends.append(next(Path(folder).glob("*.spool")).stat().st_size)
        (path,) = spool.sealed()
        spool.close()
        cut = data.draw(st.integers(0, ends[-1]))
        path.write_bytes(path.read_bytes()[:cut])

        segment = read_segment(path)

    whole = sum(end <= cut for end in ends)
    assert [orjson.loads(record) for record in segment.records] == records[:whole]
    assert not segment.damaged


def _same(fed: np.float32, sent: float | None) -> bool:
    return math.isnan(fed) if sent is None else bool(fed == np.float32(sent))
