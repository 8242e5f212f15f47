"""From samples to the verdict: what Prometheus does not know, knows too late or knows as no number, holds."""

import math
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rollout.evidence import collect
from rollout.judge import judge
from rollout.prometheus import Prometheus, Series, Span
from rollout.verdict import Outcome
from spec import ModelSpec, Settings, loads

SPEC: ModelSpec = loads("""
model: flights
task: binary
data: {inference_log: log, labels: labels, id: id, time: t, target: {name: late}}
features: {x: numeric}
monitor: {latency: {p99: 50ms}}
rollout:
  deadline: 6h
  steps:
    - shadow
    - {share: 50%, gates: [errors, latency, latency_shift, memory, cpu, booked, basket], min_time: 1h}
    - 100%
  gates:
    latency_shift: 10%
    memory: 1GB
    cpu: 5ms
    metrics:
      - {name: booked, kind: ratio, promql: 'booked{slot="{slot}"}', of: 'seen{slot="{slot}"}',
         better: higher, margin: 5%}
      - {name: basket, kind: bounded, promql: 'basket{slot="{slot}"}', between: [0, 10],
         better: higher, margin: 2}
""")
STEP, EVERY_S, AN_HOUR = 0.5, 30, 7200
ENDS = {
    "errors": {"trimtab_predictions_total": 30_000.0},
    "latency": {"trimtab_prediction_duration_seconds_bucket": 30_000.0},
    "memory": {"process_resident_memory_bytes": 1e6},
    "cpu": {"process_cpu_seconds_total": 30.0},
    "booked": {"booked": 15_000.0, "seen": 30_000.0},
    "basket": {"basket": 5.0},
}
"""How high each series rises; memory and basket stay."""
READ_FROM = {"latency_shift": "latency"}
STAYS = ("process_resident_memory_bytes", "basket", "trimtab_slot_info")


class Samples(Prometheus):
    """A Prometheus that holds a good step of two hours, but for some series that are spoilt."""

    def __init__(self, now: datetime, spoilt: tuple[str, ...], how: str) -> None:
        super().__init__("http://127.0.0.1:9")
        self._now, self._spoilt, self._how = now.timestamp(), spoilt, how

    def samples(
        self,
        selector: str,
        start: datetime,
        end: datetime,
        *,
        coarse: bool = False,  # noqa: ARG002 - as Prometheus has it
    ) -> list[Series]:
        """Return the series of a selector's name, from before the step until now."""
        del start, end
        name = selector.partition("{")[0]
        times = [self._now - AN_HOUR - 60 + EVERY_S * at for at in range(AN_HOUR // EVERY_S + 3)]
        return [self._series(name, labels, times) for labels in self._labels(name, selector)]

    def values(self, query: str, times: Span, every_s: float) -> list[Series]:
        """Return what a query answers at each time."""
        count = int((times.end - times.start) // every_s) + 1
        return [
            one
            for one in [
                self._series(query.partition("{")[0], {}, [times.start + every_s * at for at in range(count)])
            ]
            if one.samples
        ]

    def _labels(self, name: str, selector: str) -> list[dict[str, str]]:
        """Return the label sets that there are of a name; a user's query names its slot."""
        arms = [{"version": version, "slot": slot} for version, slot in (("2", "green"), ("1", "blue"))]
        live = [arm | {"shadow": "false"} for arm in arms]
        if name == "trimtab_predictions_total":
            return [arm | {"outcome": outcome} for arm in live for outcome in ("ok", "error")]
        if name.endswith("_bucket"):
            asked = re.search(r'le="([^"]+)"', selector)
            edges = [asked[1]] if asked else ["0.05"] if "le=~" in selector else ["0.05", "+Inf"]
            return [arm | {"le": edge} for arm in live for edge in edges]
        if name == "trimtab_slot_info":
            return arms
        return [{}] if "{" in selector and not selector.startswith("{") else []

    def _series(self, name: str, labels: dict[str, str], times: list[float]) -> Series:
        top = {key: value for ends in ENDS.values() for key, value in ends.items()}.get(name, 1.0)
        top = 0.0 if labels.get("outcome") == "error" else top
        grown = [
            (time, top if name in STAYS else top * max(0.0, 1 - (self._now - time) / AN_HOUR))
            for time in times
        ]
        if name not in self._spoilt:
            return Series(labels, tuple(grown))
        cut = self._now - AN_HOUR / 2
        spoilt = {
            "absent": [],
            "stale": [(time, value) for time, value in grown if time < self._now - 300],
            "no number": [(time, value if time < cut else math.nan) for time, value in grown],
            "without requests": [(time, 0.0) for time, _ in grown],
        }
        return Series(labels, tuple(spoilt[self._how]))


def found(
    monkeypatch: pytest.MonkeyPatch, home: Path, spoilt: tuple[str, ...], how: str
) -> dict[str, Outcome]:
    """What each gate finds, and what the judge decides, of a step with spoilt series."""
    now = datetime.now(UTC)
    since = now - timedelta(seconds=AN_HOUR)
    monkeypatch.setattr("rollout.evidence.Prometheus", lambda _: Samples(now, spoilt, how))
    settings = Settings.from_env({"TRIMTAB_HOME": str(home)})
    verdict = judge(collect(SPEC, settings, "2", "1", since, since, STEP), SPEC, STEP)
    return {gate.gate: gate.outcome for gate in verdict.gates if gate.awaited} | {
        "decision": Outcome.PASS if verdict.decision == "promote" else Outcome(verdict.decision)
    }


def test_the_step_is_good_as_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With nothing spoilt every gate that the step waits for passes."""
    assert set(found(monkeypatch, tmp_path, (), "").values()) == {Outcome.PASS}


@pytest.mark.parametrize("how", ["absent", "stale", "no number"])
@pytest.mark.parametrize("gate", [*ENDS, *READ_FROM])
def test_a_gate_without_sound_samples_holds(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, gate: str, how: str
) -> None:
    """Whatever is wrong with the samples of one gate, it holds, and the step with it; it never passes."""
    outcomes = found(monkeypatch, tmp_path, tuple(ENDS[READ_FROM.get(gate, gate)]), how)

    assert (outcomes[gate], outcomes["decision"]) == (Outcome.HOLD, Outcome.HOLD)


@pytest.mark.parametrize(
    ("gate", "counter"),
    [
        ("errors", "trimtab_predictions_total"),
        ("latency", "trimtab_prediction_duration_seconds_bucket"),
        ("latency_shift", "trimtab_prediction_duration_seconds_bucket"),
        ("cpu", "trimtab_predictions_total"),
        ("booked", "seen"),
    ],
)
def test_a_gate_without_requests_holds(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, gate: str, counter: str
) -> None:
    """A counter that is there and does not rise is evidence of nothing."""
    outcomes = found(monkeypatch, tmp_path, (counter,), "without requests")

    assert (outcomes[gate], outcomes["decision"]) == (Outcome.HOLD, Outcome.HOLD)
