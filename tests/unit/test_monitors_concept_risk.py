from __future__ import annotations

import json
import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import beta, binom

from monitors.concept.blocks import ODDS, BlockLoss
from monitors.concept.risk import Verdict, log_bets, log_evidence, risk_low, verdict
from monitors.concept.source import Source
from monitors.finding import NoData
from monitors.performance import Truth
from monitors.profiles.plan import Floats
from spec import loads
from spec.concept import ConceptDrift, Dependence

FIRST = datetime(2024, 1, 1, tzinfo=UTC)
DAY = 86_400 * 10**6
SPEC = loads(
    """
model: shop
task: binary
data: {inference_log: log, labels: labels, id: id, time: t, target: {name: y}}
features: {amount: numeric}
""",
    "shop",
)


def blocks(days: Sequence[Floats]) -> list[BlockLoss]:
    """A block a day."""
    return [BlockLoss.of(FIRST + timedelta(days=at), values) for at, values in enumerate(days)]


def source(days: Sequence[Floats]) -> Source:
    """A source whose rows, all true, cost what is given."""
    values = np.concatenate(days)
    times = np.repeat(np.arange(len(days)), [len(day) for day in days]) * DAY
    found = Source.of(Truth(1 - np.sqrt(values)[:, None], np.ones(len(values)), times), SPEC)
    assert isinstance(found, Source)
    return found


def drawn(
    random: np.random.Generator, days: int, mean: float, *, rows: int = 100, weather: float = 0.0
) -> list[Floats]:
    """Losses like Brier's; `weather` is the standard deviation of ln(the day's own risk)."""
    means = (mean * np.exp(random.normal(-(weather**2) / 2, weather, days))).clip(0.001, 0.9)
    return [random.beta(2 * each, 2 * (1 - each), rows) for each in means]


def decided(found: Verdict | NoData) -> Verdict:
    """The verdict, which must exist."""
    assert isinstance(found, Verdict)
    return found


def at_most(hits: int, runs: int, rate: float) -> bool:
    """Whether so many hits are no disproof, at 1e-4, of a rate of at most `rate`."""
    return bool(binom.sf(hits - 1, runs, rate) > 1e-4)


@pytest.mark.parametrize("dependence", ["measured", "days", "none"])
@pytest.mark.parametrize("intraclass", [0.0, 0.3, 1.0])
def test_a_bet_is_fair_against_the_risk_itself(dependence: Dependence, intraclass: float) -> None:
    """At the true risk no bet on rows of 0 and 1 is worth more than its stake: the sum over all outcomes."""
    risk, rows = 0.3, 6
    worth = 0.0
    for hits in range(rows + 1):
        values = np.repeat([1.0, 0.0], [hits, rows - hits])
        bets = log_bets(blocks([values]), risk, dependence, intraclass)
        worth = worth + binom.pmf(hits, rows, risk) * np.exp(bets[0])

    assert np.all(worth <= 1 + 1e-12)
    if dependence != "measured":
        assert worth == pytest.approx(1)


def test_rows_that_are_copies_of_one_another_win_nothing() -> None:
    """Groups of d equal rows with a design effect of d leave the bets fair: Hölder's bound is met."""
    risk, size = 0.3, 5
    up, down = (blocks([np.full(size, value)]) for value in (1.0, 0.0))
    worth = risk * np.exp(log_bets(up, risk, "measured", 1.0)) + (1 - risk) * np.exp(
        log_bets(down, risk, "measured", 1.0)
    )
    as_independent = risk * np.exp(log_bets(up, risk, "none", 0.0)) + (1 - risk) * np.exp(
        log_bets(down, risk, "none", 0.0)
    )

    assert worth == pytest.approx(1)
    assert as_independent.max() > 2


def test_the_evidence_is_the_sum_over_starts_and_bets() -> None:
    """E is what the module's formula says, summed up start by start."""
    days = blocks(drawn(np.random.default_rng(0), 30, 0.3))
    bets = log_bets(days, 0.2, "none", 0.0)

    def kept(after: int) -> float:
        return max(1 - after / 365, 0) / 2 + 0.5 / math.log2(after + 2)

    expected = [
        kept(end)
        + sum(
            (kept(start) - kept(start + 1)) * np.exp(bets[start:end].sum(axis=0)).mean()
            for start in range(end)
        )
        for end in range(1, 31)
    ]

    assert kept(0) == 1
    assert np.exp(log_evidence(days, 0.2, "none")) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("dependence", "weather"), [("none", 0.0), ("days", 0.0), ("days", 0.3), ("measured", 0.3)]
)
def test_a_false_alarm_ever_is_rare(dependence: Dependence, weather: float) -> None:
    """In 150 days without a change, tolerance zero, at most alpha of the versions are ever accused."""
    random = np.random.default_rng(7)
    wanted = ConceptDrift(alpha=0.1, tolerance=0, dependence=dependence)
    accused = 0
    for _ in range(40):
        known = source(drawn(random, 30, 0.15, weather=weather))
        days = blocks(drawn(random, 150, 0.15, weather=weather))
        accused += decided(verdict(known, days, wanted)).rejected is not None

    assert at_most(accused, 40, wanted.alpha)


def test_days_with_a_weather_deceive_a_test_of_independent_rows() -> None:
    """Why `none` is not the default: common bad days look like harm to it, and not to the others."""
    random = np.random.default_rng(3)
    known = source(drawn(random, 30, 0.15, rows=300, weather=0.4))
    days = blocks(drawn(random, 150, 0.15, rows=300, weather=0.4))
    accused = {
        dependence: decided(verdict(known, days, ConceptDrift(dependence=dependence))).rejected is not None
        for dependence in ("none", "measured", "days")
    }

    assert accused == {"none": True, "measured": False, "days": False}


@pytest.mark.parametrize(("quiet", "within"), [(0, 6), (300, 8)])
def test_harm_is_seen_soon_however_long_the_peace_was(quiet: int, within: int) -> None:
    """A risk doubled is proved within days, after no peace and after most of a year of it."""
    random = np.random.default_rng(1)
    known = source(drawn(random, 20, 0.1))
    days = blocks([*drawn(random, quiet, 0.1), *drawn(random, 20, 0.2)])

    rejected = decided(verdict(known, days, ConceptDrift())).rejected

    assert rejected is not None
    assert quiet <= rejected < quiet + within


def test_a_rejection_stays() -> None:
    """Once proved, harm stays proved, at the same day, when the loss falls again."""
    random = np.random.default_rng(1)
    known = source(drawn(random, 20, 0.1))
    bad = drawn(random, 10, 0.2)
    first = decided(verdict(known, blocks(bad), ConceptDrift()))

    later = decided(verdict(known, blocks([*bad, *drawn(random, 200, 0.05)]), ConceptDrift()))

    assert first.rejected is not None
    assert later.rejected == first.rejected
    assert later.log_e == first.log_e


def test_a_rise_within_the_tolerance_is_no_harm() -> None:
    """A risk 10 % up is harm at tolerance 0 and none at 20 %, on the same rows."""
    random = np.random.default_rng(5)
    known = source(drawn(random, 60, 0.2, rows=2000))
    days = blocks(drawn(random, 60, 0.22, rows=2000))

    strict, mild = (
        decided(verdict(known, days, ConceptDrift(tolerance=tolerance, dependence="none")))
        for tolerance in (0.0, 0.2)
    )

    assert strict.rejected is not None
    assert mild.rejected is None


def test_the_rise_passes_the_tolerance_where_the_test_rejects() -> None:
    """The bound of the rise and the test are one: above the tolerance from the day of rejection on."""
    random = np.random.default_rng(2)
    known = source(drawn(random, 20, 0.1))
    days = blocks(drawn(random, 12, 0.18))
    verdicts = [decided(verdict(known, days[:count], ConceptDrift())) for count in range(1, 13)]

    above = [each.rise_low > 0.1 for each in verdicts]

    assert above == [each.rejected is not None for each in verdicts]
    assert any(above)
    assert not above[0]


def test_the_lower_bound_holds() -> None:
    """The bound of production's risk is passed by at most alpha of the series, and is not far below it."""
    random = np.random.default_rng(4)
    lows = np.array([risk_low(blocks(drawn(random, 60, 0.2)), math.log(10), "none") for _ in range(40)])

    assert at_most(int((lows > 0.2).sum()), 40, 0.1)
    assert lows.mean() > 0.17


def test_the_sources_bound_holds_and_is_near_the_best() -> None:
    """It fails in at most alpha of samples of 0-1 losses, and is less than twice as wide as Clopper's."""
    random = np.random.default_rng(6)
    failed, ours, exact = 0, [], []
    for _ in range(200):
        wrong = (random.random(1000) < 0.1).astype(float)
        high = source(np.split(wrong, 10)).upper(0.05, "none")
        assert isinstance(high, float)
        failed += high < 0.1
        ours.append(high - wrong.mean())
        exact.append(beta.ppf(0.95, wrong.sum() + 1, 1000 - wrong.sum()) - wrong.mean())

    assert at_most(failed, 200, 0.05)
    assert np.mean(ours) < 2 * np.mean(exact)


def test_the_sources_bound_is_the_root_of_its_mixture() -> None:
    """The bound is where the mean of the bets' wealth on 1 − x is 1/alpha."""
    values = np.random.default_rng(0).beta(1, 5, 300)

    def wealth(mean: float) -> float:
        bets = np.log1p(np.outer(ODDS, 1 - values)).sum(axis=1) - 300 * np.log1p(ODDS * (1 - mean))
        return float(np.exp(bets).mean()) - 1 / 0.05

    expected = brentq(wealth, values.mean(), 0.9)

    assert source([values]).upper(0.05, "none") == pytest.approx(expected, abs=1e-9)


def test_the_days_of_a_source_widen_its_bound() -> None:
    """Days with a weather of their own make the yardstick less sure; independent rows hardly do."""
    random = np.random.default_rng(0)
    alike, apart = (source(drawn(random, 20, 0.15, rows=400, weather=each)) for each in (0.0, 0.5))
    alike_low, alike_high = (alike.upper(0.005, each) for each in ("none", "measured"))
    apart_low, apart_high = (apart.upper(0.005, each) for each in ("none", "measured"))

    assert alike_high == pytest.approx(alike_low, rel=0.05)
    assert isinstance(apart_low, float)
    assert isinstance(apart_high, float)
    assert apart_high > 1.15 * apart_low
    assert alike.intraclass < 0.01 < apart.intraclass


def test_bad_weather_that_lasts_makes_a_source_less_sure() -> None:
    """The same days say less of the risk in an order in which they follow each other."""
    random = np.random.default_rng(8)
    days = drawn(random, 30, 0.15, rows=300, weather=0.3)
    mixed, lasting = source(days), source(sorted(days, key=lambda day: float(day.mean())))

    assert lasting.mean == pytest.approx(mixed.mean)
    assert mixed.day_error is not None
    assert lasting.day_error is not None
    assert lasting.day_error > 2 * mixed.day_error
    assert lasting.intraclass > 2 * mixed.intraclass


def test_the_intraclass_correlation_is_bounded_from_above() -> None:
    """The 95 % bound lies below the true intraclass correlation in at most one source of twenty."""
    random = np.random.default_rng(9)
    between, within = 0.01, 0.1
    true = between**2 / (between**2 + within**2)
    missed = 0
    for _ in range(200):
        days = [
            (0.5 + random.normal(0, between) + random.normal(0, within, 50)).clip(0, 1) for _ in range(15)
        ]
        missed += source(days).intraclass < true

    assert at_most(missed, 200, 0.05)
    assert missed > 0


@pytest.mark.parametrize(
    ("known", "days", "reason"),
    [
        ([np.full(50, 0.1)], [np.full(50, 0.1)], "of one day"),
        ([np.full(2, 0.1), np.full(2, 0.4)], [np.full(50, 0.1)], "too few"),
        ([np.full(50, 0.1), np.full(50, 0.2)], [], "no labelled rows in production"),
    ],
)
def test_no_evidence_is_no_verdict(known: list[Floats], days: list[Floats], reason: str) -> None:
    """A source or a production that cannot be judged by says why."""
    found = verdict(source(known), blocks(days), ConceptDrift())

    assert isinstance(found, NoData)
    assert reason in found.reason


def test_a_source_without_labels_is_no_source() -> None:
    """An empty holdout is NoData."""
    found = Source.of(Truth(np.empty((0, 1)), np.empty(0), np.empty(0, dtype=np.int64)), SPEC)

    assert found == NoData("the reference has no labelled rows")


def test_a_source_survives_json() -> None:
    """What is read back is what was kept."""
    known = source(drawn(np.random.default_rng(0), 5, 0.2))

    assert Source.from_record(json.loads(json.dumps(known.to_record()))) == known
