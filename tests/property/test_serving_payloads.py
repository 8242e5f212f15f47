"""Whatever a caller sends, the receiver of payloads tells what is wrong with it, or keeps it."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

import spec
from serving.log import delta_table, packing
from serving.log.spool import Segment
from serving.payloads.event import Event, parse
from serving.payloads.halves import Answered, Asked, joined, packed
from serving.payloads.request import Requests
from serving.payloads.response import Responses

HEAD = "data: {inference_log: log, labels: labels, id: id, time: at, target: {name: late}}"
FEATURES = "features: {depth: numeric, spring: boolean, port: categorical}"
MODELS = [
    spec.loads(f"model: tides\ntask: {task}\n{HEAD}\n{FEATURES}") for task in ("binary", "regression")
] + [spec.loads(f"model: waves\ntask: regression\n{HEAD}\nfeatures: {{wind: numeric}}")]
WORDS = st.sampled_from(["depth", "spring", "port", "wind", "id", "at", "", "FP64", "FP32", "BYTES", "INT64"])
LEAVES = (
    st.none() | st.booleans() | st.integers(-3, 3) | st.integers() | st.floats(-1e300, 1e300)
    | st.text(max_size=3) | WORDS
)  # fmt: skip
KEYS = WORDS | st.sampled_from(["name", "shape", "datatype", "data", "parameters", "ids", "event_times"])
ANYTHING = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)
TENSOR = st.fixed_dictionaries(
    {"name": WORDS, "shape": st.lists(st.integers(-1, 3), max_size=3) | ANYTHING, "datatype": WORDS},
    optional={"data": st.lists(ANYTHING, max_size=4), "parameters": ANYTHING},
)
TOP = st.sampled_from(["instances", "inputs", "predictions", "outputs", "id", "parameters", "model_version"])
BODIES = st.dictionaries(TOP, ANYTHING | st.lists(TENSOR, max_size=3) | st.lists(LEAVES, max_size=3))


@given(BODIES | ANYTHING, st.sampled_from(MODELS))
def test_a_request_is_read_or_told(body: Any, model: spec.ModelSpec) -> None:
    """Nothing but an error of requests comes of a body; what is read has as many values as rows."""
    with suppress(spec.RequestError):
        asked = Requests(model, None).read(json.dumps(body).encode(), "ce", 0)
        assert {len(asked.ids)} == {len(column) for column in (asked.event_times, *asked.columns.values())}


@given(BODIES | ANYTHING, st.sampled_from(MODELS))
def test_a_response_is_read_or_told(body: Any, model: spec.ModelSpec) -> None:
    """Nothing but an error of requests comes of a body; what is read has as many scores as rows."""
    with suppress(spec.RequestError):
        found = Responses(model).read(json.dumps(body).encode())
        assert len(found.values) == found.rows > 0


@given(
    st.dictionaries(st.sampled_from(["ce-id", "ce-type", "ce-time", "ce-source", "content-type"]), st.text()),
    ANYTHING.map(json.dumps) | st.text(),
    st.sampled_from(["", "application/cloudevents+json", "application/cloudevents-batch+json"]),
)
def test_a_delivery_is_events_or_told(headers: dict[str, str], body: str, kind: str) -> None:
    """Nothing but events and errors of requests comes of headers and a body."""
    sent = headers | {"content-type": kind or headers.get("content-type", "")}
    raw = [(name.encode(), value.encode("utf-8", "surrogatepass")) for name, value in sent.items()]
    with suppress(spec.RequestError):
        for event in parse(raw, body.encode("utf-8", "surrogatepass")):
            assert isinstance(event, Event | spec.RequestError)


@given(st.lists(st.floats(-1e6, 1e6) | st.none(), min_size=1, max_size=4), st.integers(0, 10**15))
def test_halves_come_back_as_they_were(values: list[float | None], sent: int) -> None:
    """A finished record holds each row's values, and the time between its halves."""
    rows = len(values)
    asked = Asked(sent, [str(row) for row in range(rows)], [sent] * rows, {"wind": values})
    answered = Answered(sent + 1500, rows, [0.5] * rows, "7", "blue")
    count, record = joined(MODELS[-1], "key", packed(asked), packed(answered), now=sent)

    segment = Segment(Path("none"), "boot", 1, packing.header(MODELS[-1]), [record], damaged=False)
    assert (count, segment.rows) == (rows, rows)
    found = delta_table.to_arrow(segment).to_pydict()
    assert found["row_id"] == [f"key-{row}" for row in range(rows)]
    assert found["prediction_id"] == asked.ids
    assert (found["f_wind"], found["latency_ms"]) == (values, [1.5] * rows)
