from datetime import timedelta

import pytest

import spec
from spec.payloads import Payloads

TIDES = """
model: high_tides
task: regression
data: {{inference_log: log, labels: labels, id: id, time: at, target: {{name: height}}{payloads}}}
features: {{depth: numeric}}
"""


def asked(payloads: str) -> Payloads | None:
    """What a model says of its payloads."""
    return spec.loads(TIDES.format(payloads=payloads)).data.payloads


def test_no_receiver_is_started_unasked() -> None:
    """Without the key there are no payloads; an empty mapping asks for the defaults."""
    assert asked("") is None
    assert asked(", payloads: null") is None
    assert asked(", payloads: {}") == Payloads(service=None, version=None, patience=timedelta(minutes=10))


def test_a_version_may_be_written_as_a_number() -> None:
    """The registry's versions are numbers, and nobody thinks of the quotes."""
    found = asked(", payloads: {service: tides, version: 7, patience: 90s}")

    assert found == Payloads(service="tides", version="7", patience=timedelta(seconds=90))


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("service: High_Tides", "service"),
        ("service: ''", "service"),
        ("version: ''", "version"),
        ("patience: 0s", "patience"),
        ("token: sesame", "token"),
    ],
)
def test_what_cannot_be_is_refused_at_its_key(text: str, where: str) -> None:
    """A name that Kubernetes would not take, an empty version, no patience at all, an unknown key."""
    with pytest.raises(spec.SpecError, match=f"data.payloads.{where}"):
        asked(f", payloads: {{{text}}}")
