"""The report of an experiment for people: the numbers, what they show, and how far they may be trusted."""

from __future__ import annotations

from collections.abc import Iterator

from retraining.card.document import Block, Document, Items, Section, Table, Text
from rollout.experiment.comparison import Comparison
from rollout.experiment.report import Drawn, Report
from rollout.verdict import GateResult, Outcome
from spec import format_duration

_HELD = {Outcome.PASS: "within the limit", Outcome.ROLLBACK: "beyond the limit", Outcome.HOLD: "not shown"}
_SHORT = ("s", "B")
_EXACT = (
    "Exact for independent requests or rows: errors, disagreement, drift, metrics of the kind ratio. Exact "
    "for bounded metrics whose mean difference does not hang on the values before. Approximate: latency, "
    "whose slow requests come in bursts; quality and CPU time, which take the means of days and minutes as "
    "normal. Memory is held against a budget without a test."
)


def document(told: Report) -> Document:
    """Return the report as a document."""
    state = told.end or "It goes on; this is what its last look has shown."
    lead = (
        f"Version {told.challenger} had {_percent(told.terms.share)} of the traffic beside the champion "
        f"{told.champion}. {state}"
    )
    sections = [
        Section("What is shown", tuple(_shown(told))),
        Section("Held against a limit", (_limits(told),)),
        Section("The split", tuple(_split(told))),
        Section("How to read it", (Items(tuple(_reading(told))),)),
    ]
    if told.missing:
        sections.append(Section("What could not be known", (Items(told.missing),)))
    return Document(
        f"Experiment: {told.model} {told.challenger} against {told.champion}", lead, tuple(sections)
    )


def _shown(told: Report) -> Iterator[Block]:
    heads = (
        "",
        f"champion {told.champion}",
        f"version {told.challenger}",
        "difference",
        "interval",
        "margin",
        "counted",
        "shown",
    )
    yield Table(heads, tuple(map(_row, told.comparisons)), range(1, 6))
    yield Items(tuple(map(_meaning, told.comparisons)))


def _row(one: Comparison) -> tuple[str, ...]:
    counts = f"{one.n:,} {one.counted}" if one.n == one.of_champion else f"{one.of_champion:,} + {one.n:,}"
    counts += "" if one.n == one.of_champion else f" {one.counted}"
    margin = one.margin if one.better == "lower" else -one.margin
    return (
        one.name,
        _value(one.champion, one.unit),
        _value(one.challenger, one.unit),
        _gap(one.difference, one.unit),
        _interval(one.low, one.high, one.unit),
        _gap(margin, one.unit),
        counts if one.n or one.of_champion else "nothing",
        str(one.word),
    )


def _meaning(one: Comparison) -> str:
    what = f"{one.what}; " if one.what else ""
    unit = "" if one.unit in ("share", one.name) else f" in {one.unit}"
    why = f" ({one.why})" if one.why else ""
    return f"{one.name}: {what}{one.better} is better{unit}{why}."


def _limits(told: Report) -> Block:
    heads = ("", "seen", "interval", "limit", "counted", "shown", "")
    return Table(heads, tuple(map(_limit, told.limits)), range(1, 4))


def _limit(gate: GateResult) -> tuple[str, ...]:
    low_high = _bounds(gate.low, gate.high, gate.unit)
    return (
        gate.gate,
        _value(gate.value, gate.unit),
        low_high,
        _value(gate.limit, gate.unit),
        f"{gate.n:,} {gate.counted}",
        _HELD[gate.outcome],
        gate.why,
    )


def _split(told: Report) -> Iterator[Block]:
    asked, drawn = told.terms.share, told.drawn
    lasted = f"It was set at {_time(told.began)} and last looked at {_time(told.at)}"
    yield Text(f"{lasted}, of at most {format_duration(told.terms.lasts)}.")
    if drawn is None:
        yield Text("How the live requests divided is not known.")
    else:
        yield Text(_divided(told, drawn, asked))
    if told.sticky:
        yield Text(f"A user keeps one version, by {told.sticky}. Requests without it were drawn one by one.")
    else:
        yield Text(
            "Each request was drawn by itself, so one user may have met both versions. For an experiment on "
            "users set rollout.sticky to the header or cookie that names them."
        )


def _divided(told: Report, drawn: Drawn, asked: float) -> str:
    seen = f"Version {told.challenger} had {_percent(drawn.share)} of {drawn.of:,} live requests"
    if drawn.low is None or drawn.high is None:
        return (
            f"{seen}; {_percent(asked)} of the users were meant to meet it, who bring as many as they like."
        )
    interval = f"[{_percent(drawn.low)}, {_percent(drawn.high)}]"
    if not drawn.strays(asked):
        return f"{seen} {interval}, as drawn: {_percent(asked)} was set."
    return (
        f"{seen} {interval}, but {_percent(asked)} was set. Find out why before you believe the rest: "
        "requests that were lost, or attempts that the gateway made again, count at one version only."
    )


def _reading(told: Report) -> Iterator[str]:
    sure, together = _percent(1 - told.alpha), min(1.0, told.alpha * len(told.comparisons))
    yield (
        "Differences are the version's value less the champion's; of shares they are percentage points (pp). "
        "A margin is how far the version may lie on the bad side."
    )
    yield (
        f"Each interval holds the truth at all looks together with {sure}: it may be read, and the "
        f"experiment ended, at any time. That is each one's own; that any of the {len(told.comparisons)} "
        f"misses has a chance of up to {_percent(together)}."
    )
    yield "Not shown is no sign of equal: what was seen fits with better and with worse."
    yield _EXACT
    if told.requests_per_user > 1:
        yield (
            f"Counts weigh 1/{told.requests_per_user}: a user's up to {told.requests_per_user} requests may "
            "fail and succeed together (rollout.requests_per_user)."
        )
    else:
        yield (
            "Requests are taken as independent. Where those of one user fail and succeed together, the "
            "intervals are too narrow: set rollout.requests_per_user, or judge by a ratio that counts users."
        )
    yield (
        "Copies of the champion's requests that were mirrored to the version count in errors and latency; "
        "disagreement, drift and quality take all requests, for both versions score them."
    )


def _value(value: float | None, unit: str) -> str:
    if value is None:
        return "–"
    return _percent(value) if unit == "share" else f"{value:.4g}{f' {unit}' if unit in _SHORT else ''}"


def _gap(value: float | None, unit: str) -> str:
    if value is None:
        return "–"
    value += 0.0  # no minus before a zero
    return f"{100 * value:+.3g} pp" if unit == "share" else f"{value:+.3g}"


def _interval(low: float | None, high: float | None, unit: str) -> str:
    if low is None or high is None:
        return "–"
    pp = " pp" if unit == "share" else ""
    return f"[{_gap(low, unit).removesuffix(pp)}, {_gap(high, unit).removesuffix(pp)}]{pp}"


def _bounds(low: float | None, high: float | None, unit: str) -> str:
    if low is None or high is None:
        return "–"
    percent = " %" if unit == "share" else ""
    return f"[{_value(low, unit).removesuffix(percent)}, {_value(high, unit)}]"


def _percent(value: float) -> str:
    return f"{100 * value:.3g} %"


def _time(moment: object) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
