"""How a candidate was made, and what serving it costs."""

from __future__ import annotations

from collections.abc import Iterator

from retraining.card.document import Block, Items, Table, Text
from retraining.card.evidence import Evidence
from retraining.records import Candidate, Variant

_MOST_VARIANTS = 12
_WH = 3600  # joules


def made(told: Evidence) -> Iterator[Block]:
    """Yield how a candidate was made: the search, the learner, the passes and the other variants."""
    choice, records = told.records.choice, told.records
    candidate = _candidate(told)
    trials = sum({found.learner: found.trials for found in records.tuning.found}.values())
    params = ", ".join(f"{name} {_number(value)}" for name, value in candidate.params.items())
    search = (
        f"{trials} trials on {records.tuning.folds} folds forward in time, {records.tuning.seconds:.0f} s"
    )
    parity = f"{candidate.parity_difference:.2g} on {candidate.parity_rows:,} rows"
    yield Items(
        (
            f"Search: {search}; seed {told.spec.retrain.search.seed}.",
            f"Learner: {candidate.learner.value}, trained on the window {candidate.window!r}, with {params}.",
            f"Passes: {', '.join(choice.chosen.passes) or 'none; as trained'}. {choice.why}.",
            f"Before the passes, the graph answers as the fitted pipeline does: largest difference {parity}.",
            *_trees(choice.chosen),
        )
    )
    variants = sorted(choice.variants, key=lambda variant: (not variant.chosen, variant.loss))
    rows = (
        (
            variant.name,
            f"{variant.loss:.5f}",
            f"{variant.latency_p50 * 1e6:,.0f}",
            f"{variant.size / 1e3:,.1f}",
            "chosen" if variant.chosen else "; ".join(variant.reasons),
        )
        for variant in variants[:_MOST_VARIANTS]
    )
    yield Table(("variant", "loss", "p50 µs", "kB", "why not"), tuple(rows), numbers=range(1, 4))
    if len(variants) > _MOST_VARIANTS:
        yield Text(f"{_MOST_VARIANTS} of {len(variants)} variants; variants.html has all, and every refusal.")
    if records.found.refused:
        yield Text("Candidates that could not be served:")
        yield Items(tuple(f"{name}: {reason}" for name, reason in records.found.refused.items()))


def _trees(chosen: Variant) -> Iterator[str]:
    if chosen.trees is not None:
        yield f"Trees: {chosen.trees:,} rounds, written short by compact_trees, which changes no sum."


def costs(told: Evidence) -> Iterator[Block]:
    """Yield what serving it takes, beside the budgets of the spec."""
    chosen, within = told.records.choice.chosen, told.spec.optimize.within
    cpu, joules, price = chosen.cpu_per_million, chosen.joules_per_million, chosen.price_per_million
    http = None if chosen.served_p99 is None else chosen.served_p99 * 1e3
    p99 = None if within.latency_p99 is None else f"{within.latency_p99.total_seconds() * 1e3:g} ms"
    budget_cpu = None if within.cpu_per_million is None else f"{within.cpu_per_million.total_seconds():g} s"
    rows = [
        ("size", f"{chosen.size / 1e3:,.1f} kB", _bytes(within.size)),
        ("one row, median", f"{chosen.latency_p50 * 1e6:,.0f} µs", ""),
        ("one row, 99th percentile", f"{chosen.latency_p99 * 1e6:,.0f} µs", p99 or ""),
        ("one request over HTTP, 99th percentile", _measured(http, "{:,.2f} ms"), ""),
        ("requests of 256 rows", _measured(chosen.rows_per_second, "{:,.0f} rows/s"), ""),
        ("cold start of the model server", _measured(chosen.cold_start_seconds, "{:.2f} s"), ""),
        ("memory of the model server", _bytes(chosen.memory) or "not measured", _bytes(within.memory)),
        ("CPU time of a million predictions", _measured(cpu, "{:.3g} s"), budget_cpu or ""),
        ("energy of a million predictions", _measured(joules and joules / _WH, "{:.3g} Wh"), ""),
    ]
    if price is not None:
        currency = told.spec.monitor.cost.currency
        rows.append(("price of a million predictions", f"{price:.3g} {currency}", ""))
    yield Table(("", "this model", "budget"), tuple(rows), numbers=range(1, 3))
    yield Text(
        "Measured in a model server of its own. Energy is the machine's own count where it can be read, else "
        "the power of a busy core and of memory, codecarbon's method; disks, network and the supply's losses "
        "are not in it."
    )


def _candidate(told: Evidence) -> Candidate:
    chosen = told.records.choice.chosen
    return next(item for item in told.records.found.candidates if item.onnx == chosen.candidate)


def _number(value: float | str) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _measured(value: float | None, form: str) -> str:
    return "not measured" if value is None else form.format(value)


def _bytes(value: int | None) -> str:
    return "" if value is None else f"{value / 1e6:,.1f} MB"
