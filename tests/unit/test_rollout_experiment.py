"""What an experiment shows and when it ends, from evidence; and what people read of it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dags.experiment_document import document
from retraining.card import markdown, page
from rollout.experiment.comparison import Comparison, Word
from rollout.experiment.plan import plan
from rollout.experiment.report import Report, report
from rollout.gates.levels import chances
from rollout.judge import judge
from rollout.observations import Arms, Business, Crossing, DayShortfall, Evidence, Share, Slower
from spec import ModelSpec, SpecError, loads
from spec.experiment import Experiment

T0 = datetime(2026, 3, 1, tzinfo=UTC)
BOOKED = "{name: booked, kind: ratio, promql: 'b{slot}', of: 's{slot}', better: higher, margin: 1%}"
BASKET = "{name: basket, kind: bounded, promql: 'b{slot}', between: [0, 10], better: higher, margin: 1}"


def spec_of(rollout: str = "", experiment: str = "") -> ModelSpec:
    """A model whose rollout and experiment are as given."""
    return loads(f"""
model: flights
task: binary
data: {{inference_log: log, labels: labels, id: id, time: t, target: {{name: late}}}}
features: {{x: numeric}}
rollout: {{{rollout}}}
experiment: {{{experiment}}}
""")


def arms(ours: int, of: int, theirs: int, among: int, copies: Share | None = None) -> Arms:
    """Hits of the challenger and of the champion."""
    return Arms(challenger=Share(hits=ours, of=of), champion=Share(hits=theirs, of=among), mirrored=copies)


def seen(spec: ModelSpec, lasted: timedelta = timedelta(days=1), **known: object) -> Report:
    """The report of one look at what is named and nothing else."""
    told = {"model": "flights", "challenger": "7", "champion": "6", "step": spec.experiment.share}
    evidence = Evidence.model_validate(told | {"began": T0, "at": T0 + lasted} | known)
    held = plan(spec, spec.experiment)
    return report(evidence, judge(evidence, held, evidence.step), held, spec.experiment)


def one(told: Report, name: str) -> Comparison:
    """One gate of a report."""
    return next(found for found in told.comparisons if found.name == name)


@pytest.mark.parametrize(
    ("errors", "word"),
    [
        (arms(5, 20_000, 400, 20_000), Word.BETTER),
        (arms(200, 20_000, 200, 20_000), Word.WITHIN),
        (arms(400, 20_000, 200, 20_000), Word.WORSE),
        (arms(20, 20_000, 300, 3_000), Word.BETTER),
        (arms(900, 200_000, 200, 200_000), Word.SLIGHTLY),
        (arms(10, 600, 10, 600), Word.OPEN),
        (arms(0, 100, 100, 100), Word.OPEN),
        (None, Word.OPEN),
    ],
)
def test_each_word_is_shown_by_its_interval(errors: Arms | None, word: Word) -> None:
    """Better, no worse, both, worse and not shown; too little and nothing show nothing, however clear."""
    found = one(seen(spec_of(), errors=errors), "errors")

    assert word is found.word
    if errors is not None:
        assert found.low is not None
        assert found.high is not None
        assert found.low <= (found.difference or 0.0) <= found.high


def test_harm_that_only_the_gate_sees_is_worse() -> None:
    """The gate's test is sharper than the interval, and its word counts."""
    found = one(seen(spec_of(), errors=arms(57, 2_000, 25, 2_000)), "errors")

    assert found.low is not None
    assert found.low < 0
    assert Word.WORSE is found.word
    assert "57 failures" in found.why


def test_copies_of_requests_narrow_the_interval() -> None:
    """Mirrored requests of the version count with its own, in the value as in the interval."""
    alone = one(seen(spec_of(), errors=arms(10, 1_000, 10, 1_000)), "errors")
    both = one(seen(spec_of(), errors=arms(10, 1_000, 10, 1_000, Share(hits=5, of=1_000))), "errors")

    assert (2_000, 0.0075) == (both.n, both.challenger)
    assert (both.high or 1) - (both.low or -1) < (alone.high or 1) - (alone.low or -1)


def test_where_higher_is_better_the_difference_keeps_its_sign() -> None:
    """A ratio is told as it was asked for: a tenth more bookings is +10 points and better."""
    spec = spec_of(f"gates: {{metrics: [{BOOKED}, {BASKET}]}}")
    metrics = (
        Business(name="booked", arms=arms(4_000, 5_000, 4_500, 5_000)),
        Business(name="basket", worse=(0.4, 0.6) * 300, champion=4.5, wanted=600),
    )
    told = seen(spec, metrics=metrics)
    booked, basket = one(told, "booked"), one(told, "basket")

    assert (0.1, 0.2) == pytest.approx((booked.champion, booked.challenger))
    assert pytest.approx(0.1) == booked.difference
    assert Word.BETTER is booked.word
    assert (booked.low or 0) > 0.05
    assert (4.5, 4.0, -0.5) == pytest.approx((basket.champion, basket.challenger, basket.difference))
    assert Word.SLIGHTLY is basket.word
    assert (basket.high or 0) < 0


def test_a_metric_with_gaps_shows_nothing() -> None:
    """Half of the times must have a value, as the gate asks; without any there is nothing to tell."""
    spec = spec_of(f"gates: {{metrics: [{BOOKED}, {BASKET}]}}")
    told = seen(spec, metrics=(Business(name="basket", worse=(0.0,) * 200, champion=1.0, wanted=401),))

    assert [Word.OPEN] * 2 == [one(told, name).word for name in ("basket", "booked")]
    assert "values are needed" in one(told, "basket").why


@pytest.mark.parametrize(
    ("days", "difference", "word"),
    [(20, 0.0, Word.WITHIN), (20, -0.05, Word.BETTER), (20, 0.05, Word.WORSE), (6, 0.0, Word.OPEN)],
)
def test_quality_by_days(days: int, difference: float, word: Word) -> None:
    """Days of labelled pairs tell both versions' metric; fewer than the gate asks for show nothing."""
    shortfalls = tuple(
        DayShortfall(day=T0.date(), rows=100, difference=difference + 0.001 * (-1) ** day, champion=0.7)
        for day in range(days)
    )
    found = one(seen(spec_of(), days=shortfalls), "quality")

    assert word is found.word
    assert (days, "days", "higher") == (found.n, found.counted, found.better)
    assert (0.7, 0.7 - difference) == pytest.approx((found.champion, found.challenger))


def test_quality_without_labels_may_be_shown_to_be_kept() -> None:
    """Versions that cannot differ by more than the limit are no worse, before a label has come."""
    spec = spec_of().model_copy()
    days = tuple(DayShortfall(day=T0.date(), rows=100, difference=1e-5 * (1 + n % 2)) for n in range(30))
    found = one(seen(spec, worst=days), "quality")

    assert Word.WITHIN is found.word
    assert "whatever the labels" in found.why


def test_the_whole_of_the_latencies_is_told_at_its_widest_edge() -> None:
    """The edge was chosen by what was seen, so a difference at it is never called better."""
    spec = spec_of("gates: {latency_shift: 10%}")
    edges = (
        Slower(edge=0.01, arms=arms(4_000, 5_000, 2_500, 5_000)),
        Slower(edge=0.02, arms=arms(50, 5_000, 50, 5_000)),
    )
    assert Word.WORSE is one(seen(spec, durations=edges), "latency_shift").word
    fast = (Slower(edge=0.01, arms=arms(50, 5_000, 2_500, 5_000)),)
    assert Word.WITHIN is one(seen(spec, durations=fast), "latency_shift").word
    assert Word.OPEN is one(seen(spec), "latency_shift").word


def test_its_tests_share_the_level_of_one_step() -> None:
    """An experiment has one step, so each of its gates may use more of alpha than in a rollout of five."""
    spec = spec_of()

    assert 5 == chances(plan(spec, spec.experiment))
    assert chances(spec) > 5


@pytest.mark.parametrize(
    ("lasted", "errors", "end"),
    [
        (timedelta(days=13), arms(10, 5_000, 10, 5_000), ""),
        (timedelta(days=14), arms(10, 5_000, 10, 5_000), "Its time is over: 2w."),
        (timedelta(hours=1), arms(500, 5_000, 10, 5_000), "Harm is shown: errors."),
        (timedelta(days=14), arms(500, 5_000, 10, 5_000), "Harm is shown: errors."),
    ],
)
def test_what_ends_it(lasted: timedelta, errors: Arms, end: str) -> None:
    """Harm at once, time when it is over, and nothing else of its own accord."""
    assert end == seen(spec_of(), lasted, errors=errors).end


def test_an_early_end_needs_every_answer() -> None:
    """Where it may end early it does so once nothing is left open, gates held against a limit among them."""
    spec = spec_of("gates: {quality: 0.1}", "early: true")
    days = tuple(
        DayShortfall(day=T0.date(), rows=9, difference=1e-4 * (n % 2), champion=0.7) for n in range(20)
    )
    known: dict[str, Any] = {
        "errors": arms(10, 20_000, 10, 20_000),
        "latency": arms(10, 20_000, 10, 20_000),
        "disagreement": Share(hits=10, of=5_000),
        "crossings": (Crossing(at="0.5", ours=10, theirs=10, of=5_000),),
        "days": days,
    }

    assert "Each gate and metric has its answer." == seen(spec, **known).end
    assert "" == seen(spec_of("gates: {quality: 0.1}"), **known).end
    for missing in known:
        assert "" == seen(spec, **{name: value for name, value in known.items() if name != missing}).end


@pytest.mark.parametrize(
    ("rollout", "ours", "told"),
    [
        ("", 5_000, "as drawn: 50 % was set"),
        ("", 3_000, "Find out why before you believe the rest"),
        ("sticky: {header: x-user-id}", 3_000, "50 % of the users were meant to meet it"),
    ],
)
def test_the_split_is_held_against_what_was_set(rollout: str, ours: int, told: str) -> None:
    """Drawn requests must divide as they were meant to; those of users who keep their version need not."""
    text = markdown.render(document(seen(spec_of(rollout), errors=arms(0, ours, 0, 5_000))))

    assert told in text
    assert ("header x-user-id" in text) == bool(rollout)


def test_a_report_is_read_back_as_it_was_written() -> None:
    """What is kept of a look is a report again, with its terms by the YAML's names."""
    told = seen(spec_of(f"gates: {{metrics: [{BASKET}]}}"), errors=arms(10, 5_000, 10, 5_000))
    text = told.model_dump_json(by_alias=True)

    assert told == Report.model_validate_json(text)
    assert '"for":"2w"' in text


def test_people_read_what_is_shown_and_nothing_is_markup() -> None:
    """Values, interval, counts and word are in the table; what outside systems said is escaped."""
    spec = spec_of(f"gates: {{metrics: [{BOOKED}]}}, requests_per_user: 3")
    told = seen(spec, errors=arms(30, 60_000, 33, 60_000), missing=("<script>alert(1)</script> | `x`",))
    text, html = markdown.render(document(told)), page.render(document(told))

    row = next(line for line in text.splitlines() if line.startswith("| errors"))
    assert "| 0.055 % | 0.05 % | -0.005 pp |" in row
    assert row.endswith("| 60,000 requests | no worse within the margin |")
    assert "Counts weigh 1/3" in text
    assert "misses has a chance of up to 20 %" in text
    assert "\\<script\\>" in text
    assert "&lt;script&gt;" in html
    assert "<script" not in html
    assert "It goes on" in html


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"share": "0%"}, "experiment.share: must be a whole percent"),
        ({"share": "100%"}, "experiment.share: must be a whole percent"),
        ({"share": "12.5%"}, "experiment.share: must be a whole percent"),
        ({"for": "soon"}, "experiment.for: must be a duration"),
        ({"for": "85d"}, "experiment.for: must be at most 84d"),
    ],
)
def test_impossible_terms_are_named(wrong: dict[str, object], told: str) -> None:
    """Whoever asks for an experiment that cannot be is told which of its terms it is."""
    with pytest.raises(SpecError, match=told):
        Experiment().but(**wrong)


def test_terms_that_are_not_given_are_the_models() -> None:
    """What a person leaves out is as the YAML says."""
    terms = spec_of(experiment="share: 10%, for: 7d").experiment.but(share=None, early=True, **{"for": "3d"})

    assert (0.1, timedelta(days=3), True) == (terms.share, terms.lasts, terms.early)
