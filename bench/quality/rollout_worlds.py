"""How often the real gates err in worlds that are not as their tests assume them.

    python bench/quality/rollout_worlds.py [--runs 1000] [--only NAME]

A run is one step of two hours with 3 requests a second, the challenger at 10 %, both versions equal, or the
challenger worse by the margin. Every five minutes the gate itself (`rollout.gates`) judges what was counted;
a run ends at its first rollback or pass, each at 5 %. Errors, 1 % on average:

- `day`: the rate goes up and down between 0.1 and 1.9 %, and so does the traffic;
- `shared bursts`: 2 % of the minutes fail by 30 % at both; `own bursts`: by 10 %, each version its own ones;
- `own spells`: 5 minutes of 5 % more, beginning in 1 % of a version's minutes;
- `failover`: in 5 % of the minutes the challenger answers for a champion that restarts;
- `lapses`: the lease is lost while the day's rate is highest, so that the challenger gets nothing;
- `1:99`: one in a hundred requests;
- `restarts`: both slots restart every five minutes on average, their counters from zero, and half of what
  they answer in the ten seconds before fails; counted from samples by `rollout.counts`, as are
- `clean restarts`: the same without these failures, and
- `scrapes`: bursts of both, the champion scraped every 45 s, 30 % of all scrapes missed.

Latency: 1 % slow, `pauses`: in 5 % of the minutes of a version 10 % more are slow. Ratio: 3 % of few chances,
the challenger's three a minute; `users`: each chance is drawn once and counted five times.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt

sys.path.insert(0, str(Path(__file__).parents[2]))  # `bench` is not installed

from bench.quality.levels import interval as clopper_pearson
from rollout.counts import Counts
from rollout.gates.errors import judge_errors
from rollout.gates.latency import judge_latency
from rollout.gates.levels import chances
from rollout.gates.metrics import judge_metrics
from rollout.observations import Arms, Business, Evidence, Share
from rollout.prometheus import Prometheus, Series
from rollout.verdict import GateResult, Outcome
from spec import ModelSpec, Unavailable, loads

Floats = npt.NDArray[np.float64]
Counted = npt.NDArray[np.int64]
MINUTES, EVERY, A_MINUTE, SECONDS, ALPHA, MARGIN = 120, 5, 180, 7_200, 0.05, 0.01
T0 = datetime(2026, 3, 1, tzinfo=UTC)
RATIO = "metrics: [{name: m, kind: ratio, promql: 'b{slot}', of: 's{slot}', better: lower, margin: 2%}]"


@dataclass(frozen=True, slots=True)
class World:
    """What happens during a step."""

    gate: str
    told: str = ""
    worse: float = 0.0
    """How much higher the challenger's rate is."""

    @property
    def name(self) -> str:
        """As the table has it."""
        worse = f", worse by {self.worse:.0%}" if self.worse else ""
        return f"{self.gate}{f', {self.told}' if self.told else ''}{worse}"

    @property
    def part(self) -> float:
        """The challenger's weight."""
        return 0.01 if self.told == "1:99" else 0.1


WORLDS = (
    *(World("errors", told) for told in ("", "day", "shared bursts", "own bursts", "own spells", "failover")),
    *(World("errors", told) for told in ("lapses", "1:99", "restarts", "clean restarts", "scrapes")),
    *(World("errors", told, MARGIN) for told in ("", "day", "own bursts", "failover", "lapses", "scrapes")),
    *(World("latency", told) for told in ("", "day", "pauses", "shared bursts")),
    *(World("latency", told, MARGIN) for told in ("", "pauses")),
    *(World("ratio", told, worse) for told in ("", "users") for worse in (0.0, 2 * MARGIN)),
)


def spec_of(alpha: float, part: float) -> ModelSpec:
    """A model with one step that is judged."""
    return loads(f"""
model: flights
task: binary
data: {{inference_log: log, labels: labels, id: id, time: t, target: {{name: late}}}}
features: {{x: numeric}}
rollout: {{alpha: {alpha}, steps: [{part:.0%}, 100%], gates: {{{RATIO}}}, min_requests: 100}}
""")


def rates(world: World, random: np.random.Generator) -> tuple[Floats, Floats, Floats]:
    """Return by minute the challenger's rate, the champion's, and the challenger's weight."""
    minutes = np.arange(MINUTES)
    base = 0.03 if world.gate == "ratio" else 0.01
    both, weight = np.full(MINUTES, base), np.full(MINUTES, world.part)
    if world.told in ("day", "lapses"):
        both = base * (1 + 0.9 * np.sin(2 * np.pi * (minutes / MINUTES + random.random())))
    if world.told in ("shared bursts", "scrapes"):
        both = np.where(random.random(MINUTES) < 0.02, 0.3, base / 2)
    if world.told == "lapses":
        weight = np.where(both > np.quantile(both, 0.7), 0.0, weight)
    if world.told == "failover":
        weight = np.where(random.random(MINUTES) < 0.05, 1.0, weight)
    begins, more, lasts = {
        "own bursts": (0.02, 0.1, 1),
        "pauses": (0.05, 0.1, 1),
        "own spells": (0.01, 0.05, 5),
    }.get(world.told, (0.0, 0.0, 1))
    ours, theirs = both + world.worse, both.copy()
    for rate in (ours, theirs):
        for start in np.flatnonzero(random.random(MINUTES) < begins):
            rate[start : start + lasts] += more
    return ours.clip(0, 1), theirs.clip(0, 1), weight


def by_minute(world: World, random: np.random.Generator) -> Iterator[Evidence]:
    """Yield what is known at each look of a run whose requests are counted without a flaw."""
    ours, theirs, weight = rates(world, random)
    waves = 1 + 0.5 * np.sin(2 * np.pi * np.arange(MINUTES) / MINUTES) if world.told == "day" else 1.0
    requests = random.poisson(30 * np.ones(MINUTES) if world.gate == "ratio" else A_MINUTE * waves, MINUTES)
    of = random.binomial(requests, weight)
    together = 5 if world.told == "users" else 1
    drawn = [random.binomial(of, ours), of, random.binomial(requests - of, theirs), requests - of]
    counts = together * np.cumsum(drawn, axis=1)
    for at in range(EVERY - 1, MINUTES, EVERY):
        yield _seen(world, *counts[:, at].tolist())


def _seen(world: World, hits: int, of: int, theirs: int, among: int) -> Evidence:
    arms = Arms(challenger=Share(hits=hits, of=of), champion=Share(hits=theirs, of=among))
    known = {world.gate: arms} if world.gate != "ratio" else {"metrics": [Business(name="m", arms=arms)]}
    told = {"model": "flights", "challenger": "2", "champion": "1", "step": world.part, "began": T0, "at": T0}
    return Evidence.model_validate(told | known)


class Scraped(Prometheus):
    """What a Prometheus would have of counters that are known by the second."""

    def __init__(self, series: list[Series]) -> None:
        super().__init__("http://localhost")
        self._series = series

    def samples(self, selector: str, start: datetime, end: datetime, *, coarse: bool = False) -> list[Series]:
        """Return the samples of the model servers until `end`; there is no gateway."""
        del start, coarse
        if "trimtab_predictions_total" not in selector:
            return []
        last = end.timestamp()
        return [
            Series(one.labels, tuple(sample for sample in one.samples if sample[0] <= last))
            for one in self._series
        ]


def by_scrape(world: World, random: np.random.Generator) -> Iterator[Evidence]:
    """Yield what `Counts` makes of scraped counters at each look."""
    spec, series = spec_of(ALPHA, world.part), []
    by_version = [np.repeat(rate, 60) for rate in rates(world, random)[:2]]
    requests = random.poisson(A_MINUTE / 60, SECONDS)
    of = random.binomial(requests, world.part)
    for version, rate, answered in (("2", by_version[0], of), ("1", by_version[1], requests - of)):
        restarts = np.flatnonzero(random.random(SECONDS) < (1 / 300 if "restarts" in world.told else 0))
        for at in restarts if world.told == "restarts" else ():
            rate[max(0, at - 10) : at] = 0.5
        failed = random.binomial(answered, rate)
        often = 45 if world.told == "scrapes" and version == "1" else 15
        times = np.arange(3 if version == "1" else 11, SECONDS, often)
        times = times[random.random(len(times)) > (0.3 if world.told == "scrapes" else 0)]
        for outcome, counts in (("error", failed), ("ok", answered - failed)):
            labels = {"version": version, "outcome": outcome, "shadow": "false"}
            series.append(Series(labels, _samples(counts, restarts, times)))
    for minute in range(EVERY, MINUTES + 1, EVERY):
        now = T0 + timedelta(minutes=minute)
        try:
            arms = Counts(Scraped(series), spec, "2", "1", world.part, T0, now).errors()
        except Unavailable:
            continue  # no fresh sample: the gate would hold
        ours, theirs = arms.challenger, arms.champion
        yield _seen(world, ours.hits, ours.of, theirs.hits, theirs.of)


def _samples(counts: Counted, restarts: Counted, times: Counted) -> tuple[tuple[float, float], ...]:
    """Return what is scraped of a counter that begins anew at each restart."""
    total = np.concatenate([[0], counts.cumsum()])
    began = np.concatenate([[0], restarts])
    lost = total[began[np.searchsorted(began, times, "right") - 1]]
    return tuple(
        (T0.timestamp() + at, float(value)) for at, value in zip(times, total[times + 1] - lost, strict=True)
    )


def judge_of(gate: str) -> Callable[[Evidence, ModelSpec], GateResult]:
    """Return the gate itself."""
    if gate == "ratio":
        return lambda seen, spec: next(judge_metrics(seen, spec))
    return {"errors": judge_errors, "latency": judge_latency}[gate]


def judged(world: World, runs: int) -> tuple[int, int]:
    """Return the runs rolled back and those passed."""
    random, judge, found = np.random.default_rng([*world.name.encode()]), judge_of(world.gate), [0, 0]
    passing = spec_of(ALPHA, world.part)
    harming = spec_of(ALPHA * chances(passing), world.part)  # its harm is at 5 %
    play = by_scrape if world.told in ("restarts", "clean restarts", "scrapes") else by_minute
    for _ in range(runs):
        for seen in play(world, random):
            if judge(seen, passing).outcome is Outcome.PASS:
                found[1] += 1
                break
            if judge(seen, harming).outcome is Outcome.ROLLBACK:
                found[0] += 1
                break
    return found[0], found[1]


def main() -> None:
    """Go through the worlds; print each as soon as it is known."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=1_000)
    parser.add_argument("--only", default="", help="worlds whose name begins so")
    wanted = parser.parse_args()
    started = time.monotonic()
    print(f"{'world':<40} {'rolled back, %':>20} {'passed, %':>20}")
    for world in WORLDS:
        if world.name.startswith(wanted.only):
            shares = []
            for hits in judged(world, wanted.runs):
                low, high = clopper_pearson(hits, wanted.runs)
                shares.append(f"{100 * hits / wanted.runs:5.1f} [{100 * low:.1f}, {100 * high:.1f}]")
            print(f"{world.name:<40} {shares[0]:>20} {shares[1]:>20}", flush=True)
    print(f"{time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
