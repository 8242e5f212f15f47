"""Run the demo: start everything, let the year go by, say what happened."""

from __future__ import annotations

import asyncio
import os
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
from retraining.registry import Registry
from rich.console import Console
from rich.live import Live

from monitors.results import Store
from retraining import adopt
from spec import ModelSpec, Settings, pick, set_clock
from trimtab.demo import comparison, report
from trimtab.demo.champion import notebook_model
from trimtab.demo.flights import load_flights, sample
from trimtab.demo.live import LiveView, plain
from trimtab.demo.timeline import Clocks, Event, slack_messages
from trimtab.demo.traffic import Replay
from trimtab.stack import Stack, prepare

MODEL = "flights"
FIRST_LIVE_DAY = datetime(2013, 3, 1, tzinfo=UTC)
_REGISTRY = ("mlflow",)
_VIEW_S = 0.5


@dataclass(frozen=True, slots=True)
class Plan:
    """What is replayed, and how fast.

    Parameters
    ----------
    home
        State folder; an earlier demo's is replaced.
    models
        Folder of the model YAML.
    one_in
        Every n-th flight is sent.
    day_seconds
        Wall time of a simulated day.
    until
        End of the replay; None for the end of the year.
    trees
        Size of the first champion's forest.
    """

    home: Path
    models: Path
    one_in: int = 4
    day_seconds: float = 1.2
    until: datetime | None = None
    trees: int = 100


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of the year: the promoted versions, the events, and how the requests fared."""

    promoted: list[str]
    comparisons: list[comparison.Comparison]
    events: list[Event]
    answered: int
    failed: int
    first_failure: str


def demo(plan: Plan, console: Console) -> Outcome:
    """Start a fresh stack, replay the flights, report, and stop all that was started."""
    stack = _fresh_stack(plan, console)
    try:
        return _year(plan, stack, console)
    finally:
        console.print("stopping the stack …")
        stack.stop()


def _fresh_stack(plan: Plan, console: Console) -> Stack:
    if plan.home.exists():
        earlier = Stack.open_if_there(plan.home, announce=console.print)
        if earlier is not None:
            earlier.stop()
        shutil.rmtree(plan.home)
    speed = timedelta(days=1).total_seconds() / plan.day_seconds
    stack = prepare(plan.home, plan.models, replay=True, speed=speed, announce=console.print)
    set_clock(plan.home / "clock", FIRST_LIVE_DAY)
    return stack


def _year(plan: Plan, stack: Stack, console: Console) -> Outcome:
    os.environ.update(stack.environment())
    spec = pick(stack.specs, MODEL)
    started = datetime.now(UTC)
    console.print("starting MLflow and Airflow, training the first champion meanwhile …")
    stack.start([name for name in stack.processes if not _needs_champion(name)], owned=True)
    flights = load_flights()
    first = _first_champion(plan, spec, stack, flights, console)
    stack.start()
    stack.wait_ready()
    announce_addresses(stack, console)
    clocks = Clocks()
    live = flights[flights["scheduled_departure"] >= FIRST_LIVE_DAY]
    if plan.until is not None:
        live = live[live["scheduled_departure"] < plan.until]
    replay = Replay(spec, stack.settings, sample(live, plan.one_in), plan.day_seconds)
    asyncio.run(_watch(replay, LiveView(spec, stack.settings, replay.progress, clocks), clocks, console))
    return _tell(spec, stack.settings, replay, clocks, first, started, console)


def _needs_champion(process: str) -> bool:
    return process.startswith((f"{MODEL}-", "monitor", "exporter"))


def _first_champion(
    plan: Plan, spec: ModelSpec, stack: Stack, flights: pd.DataFrame, console: Console
) -> str:
    """Train on January and February, leave the rows as history, bring the model in as champion."""
    past = flights[flights["scheduled_departure"] < FIRST_LIVE_DAY].drop(columns="landed")
    history = Path(stack.settings.location(str(spec.data.history)))
    history.parent.mkdir(parents=True, exist_ok=True)
    past.to_parquet(history)
    model = notebook_model(past, trees=plan.trees)
    stack.wait_ready(names=_REGISTRY)
    version = adopt(spec, stack.settings, model, past)
    size = Registry(stack.settings).onnx(MODEL, version).stat().st_size
    console.print(f"the first champion is version {version}: a random forest of {size / 1e6:.0f} MB as ONNX")
    return version


def announce_addresses(stack: Stack, console: Console) -> None:
    """Print where people look, and where the passwords are."""
    console.print(stack.addresses())


async def _watch(replay: Replay, view: LiveView, clocks: Clocks, console: Console) -> None:
    """Replay while the view follows; a terminal gets the live view, anything else a line an event."""
    tell = plain(view, console.print)
    with Live(console=console, auto_refresh=False, transient=True) as live:
        sending = asyncio.create_task(replay.run())
        while not sending.done():
            clocks.mark(replay.progress.now)
            if console.is_terminal:
                live.update(await asyncio.to_thread(view.render), refresh=True)
            else:
                await asyncio.to_thread(tell)
            await asyncio.wait({sending}, timeout=_VIEW_S)
    await sending
    tell()


def _tell(
    spec: ModelSpec, settings: Settings, replay: Replay, clocks: Clocks, first: str, started: datetime, console: Console
) -> Outcome:  # fmt: skip
    events = slack_messages(settings.home / "slack" / "messages.jsonl", clocks)
    promotions = [
        e for e in Store(settings.results_url).events(spec.model) if e.payload.get("outcome") == "promoted"
    ]
    promoted = [str(event.payload["version"]) for event in promotions]
    compared = [comparison.compare(spec, settings, first, version) for version in promoted]
    comparisons = [found for found in compared if found is not None]
    report.print_timeline(console, events, started)
    report.print_comparison(console, comparisons)
    sent = replay.progress
    console.print(
        f"{sum(sent.answers.values()):,} requests, {sent.failed} failed; {sent.labelled:,} labels; "
        f"{len(promoted)} closed loops in {datetime.now(UTC) - started}"
    )
    return Outcome(promoted, comparisons, events, sum(sent.answers.values()), sent.failed, sent.first_failure)
