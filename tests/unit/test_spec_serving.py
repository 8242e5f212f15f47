from datetime import timedelta

import pytest

import spec

TIDES = """
model: tides
task: regression
data: {inference_log: log, labels: labels, id: id, time: at, target: {name: height}}
features: {depth: numeric}
"""


def test_a_model_need_not_say_how_it_is_served() -> None:
    """The defaults are a bounded queue, the gateway's timeout, one thread on the CPU, and no cache."""
    serving = spec.loads(TIDES).serving

    assert (serving.queue, serving.deadline, serving.cache) == (256, timedelta(seconds=10), 0)
    assert (serving.providers, serving.threads) == (("cpu",), 1)


def test_limits_are_read_as_people_write_them() -> None:
    """Sizes, durations and lists of providers come out as numbers, spans and tuples."""
    text = "serving: {body: 4MB, deadline: 250ms, providers: [tensorrt, cuda]}\n"
    serving = spec.loads(TIDES + text).serving

    assert (serving.body, serving.deadline) == (4_000_000, timedelta(milliseconds=250))
    assert serving.providers == ("tensorrt", "cuda")


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("queue: 0", "queue"),
        ("batch: 0", "batch"),
        ("cache: -1", "cache"),
        ("rows: 0", "rows"),
        ("threads: 0", "threads"),
        ("deadline: 0s", "deadline"),
        ("providers: []", "providers"),
        ("providers: [gpu]", "providers"),
        ("providers: [cpu, cpu]", "providers"),
    ],
)
def test_what_cannot_be_is_refused_at_its_key(text: str, where: str) -> None:
    """A limit of nothing, and a provider that nobody knows or that is named twice, are errors."""
    with pytest.raises(spec.SpecError, match=f"serving.{where}"):
        spec.loads(TIDES + f"serving: {{{text}}}\n")
