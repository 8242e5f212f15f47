import numpy as np
import orjson

import spec
from serving.cache import Cache, keys
from serving.protocol import InferRequest, Prediction, Protocol

PROTOCOL = Protocol(
    spec.loads("""
model: tides
task: binary
data: {inference_log: log, labels: labels, id: id, time: at, target: {name: late}}
features: {depth: numeric, port: categorical}
""")
)


def request(*depths: float | None, port: str = "Brest") -> InferRequest:
    """Rows of one port."""
    tensors = [
        {"name": "depth", "shape": [len(depths)], "datatype": "FP64", "data": depths},
        {"name": "port", "shape": [len(depths)], "datatype": "BYTES", "data": [port] * len(depths)},
    ]
    return PROTOCOL.parse(orjson.dumps({"inputs": tensors}), "x")


def answer(*scores: float) -> Prediction:
    """A classifier's rows."""
    both = np.array([[1 - score, score] for score in scores], dtype=np.float32)
    return Prediction([int(score > 0.5) for score in scores], both)


def test_the_same_values_get_the_same_answer() -> None:
    """Rows come back as they were kept, in any order and number, labels and scores."""
    cache = Cache(10)
    cache.keep(keys(request(1.0, 2.0)), answer(0.25, 0.75))
    found = cache.find(keys(request(2.0, 1.0, 2.0)))

    assert found is not None
    assert found.labels == [1, 0, 1]
    np.testing.assert_array_equal(found.scores[:, 1], np.array([0.75, 0.25, 0.75], dtype=np.float32))


def test_a_row_that_is_not_known_makes_the_request_unknown() -> None:
    """An answer is whole or none: nearly the same values are not the same."""
    cache = Cache(10)
    cache.keep(keys(request(1.0)), answer(0.25))

    assert cache.find(keys(request(1.0, 3.0))) is None
    assert cache.find(keys(request(float(np.nextafter(np.float32(1), np.float32(2)))))) is None
    assert cache.find(keys(request(1.0, port="Cuxhaven"))) is None
    assert cache.find(keys(request(None))) is None
    assert keys(request(0.0)) != keys(request(-0.0))


def test_a_regression_has_no_labels() -> None:
    """What had no label comes back without one."""
    cache = Cache(1)
    cache.keep([b"a"], Prediction(None, np.array([[4.5]], dtype=np.float32)))

    assert cache.find([b"a"]) == Prediction(None, np.array([[4.5]], dtype=np.float32))


def test_what_was_not_asked_for_the_longest_goes() -> None:
    """The number of rows is bounded; to be asked for keeps a row."""
    cache = Cache(2)
    for name in (b"a", b"b"):
        cache.keep([name], answer(0.5))
    assert cache.find([b"a"]) is not None
    cache.keep([b"c"], answer(0.5))

    assert len(cache) == 2
    assert [cache.find([name]) is None for name in (b"a", b"b", b"c")] == [False, True, False]


def test_more_rows_than_fit_keep_the_last() -> None:
    """One large request does not break the bound."""
    cache = Cache(2)
    cache.keep([b"a", b"b", b"c"], answer(0.1, 0.2, 0.3))

    assert len(cache) == 2
