"""CPU time and memory of the challenger's server, from samples made by hand."""

from datetime import UTC, datetime, timedelta

import pytest

from rollout.observations import Burn
from rollout.prometheus import Prometheus, Series
from rollout.usage import Server
from spec import ModelSpec, Unavailable, loads

T0 = datetime(2026, 3, 1, tzinfo=UTC)
SPEC: ModelSpec = loads("""
model: flights
task: binary
data: {inference_log: log, labels: labels, id: id, time: t, target: {name: late}}
features: {x: numeric}
rollout: {gates: {cpu: 5ms, memory: 1GB}, deadline: 6h}
""")


class Samples(Prometheus):
    """A Prometheus that holds a few series by name."""

    def __init__(self, series: dict[str, list[tuple[float, float]]]) -> None:
        super().__init__("http://127.0.0.1:9")
        self._series = series

    def samples(
        self,
        selector: str,
        start: datetime,  # noqa: ARG002 - as Prometheus has it
        end: datetime,  # noqa: ARG002 - the same
        *,
        coarse: bool = False,  # noqa: ARG002 - the same
    ) -> list[Series]:
        """Return the series of the selector's name."""
        found = self._series[selector.partition("{")[0]]
        return [Series({}, tuple((T0.timestamp() + at, value) for at, value in found))]


def server(minutes: float, **series: list[tuple[float, float]]) -> Server:
    """A server that has been in its step for some minutes."""
    return Server(Samples(series), SPEC, "green", 0.05, T0, T0 + timedelta(minutes=minutes))


def test_cpu_by_whole_minutes_with_requests() -> None:
    """CPU time and requests are told by minute; a minute without requests or not over yet is left out."""
    found = server(
        3.5,
        process_resident_memory_bytes=[(-10, 9e9), (60, 1e6), (200, 2e6)],
        process_cpu_seconds_total=[(0, 5), (60, 6), (120, 6.5), (180, 9), (205, 10)],
        trimtab_predictions_total=[(0, 100), (60, 300), (120, 300), (180, 700), (205, 800)],
    ).usage()

    assert found.cpu == (Burn(requests=200, seconds=1), Burn(requests=400, seconds=2.5))
    assert found.memory == (1e6, 2e6)


def test_stale_samples_are_unknown() -> None:
    """A server that was not scraped lately says nothing, however little it needed before."""
    old = [(0.0, 1.0), (60.0, 2.0)]
    gone = server(
        10, process_resident_memory_bytes=old, process_cpu_seconds_total=old, trimtab_predictions_total=old
    )

    with pytest.raises(Unavailable, match="no fresh memory of the model server in slot green"):
        gone.usage()
