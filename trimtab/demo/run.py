"""Run the demo: start everything, let the year go by, say what happened."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event
from time import monotonic

import httpx
import pandas as pd
from rich.console import Console
from rich.live import Live

from monitors.results.store import Store
from retraining import adopt
from retraining.registry import Registry
from spec import ModelSpec, Problem, SettingsError, Unavailable, pick, set_clock
from trimtab.demo import comparison, report
from trimtab.demo.champion import notebook_model, notebook_split
from trimtab.demo.flights import load_flights, sample
from trimtab.demo.live import LiveView, plain
from trimtab.demo.outcome import Outcome
from trimtab.demo.timeline import Clocks, slack_messages
from trimtab.demo.traffic import Replay
from trimtab.slack import messages_file
from trimtab.stack import Stack, prepare

MODEL = "flights"
MARCH = datetime(2013, 3, 1, tzinfo=UTC)
SCRAPE_INTERVAL = timedelta(seconds=1)
WATCHERS = ("prometheus", "alertmanager")
LOADING_S = 180.0
POLL_S = 0.2
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
    start, until
        First day and end of the replay; None for the end of the year. The champion is trained on January
        and February; what came after and before `start` is history that a retrain has at hand.
    trees
        Size of the first champion's forest.
    """

    home: Path
    models: Path
    one_in: int = 4
    day_seconds: float = 1.5
    start: datetime = MARCH
    until: datetime | None = None
    trees: int = 100


@contextmanager
def fresh_stack(plan: Plan, console: Console) -> Iterator[Stack]:
    """Prepare a stack in an emptied home; on the way out stop all that was started."""
    _empty(plan.home, console)
    speed = timedelta(days=1).total_seconds() / plan.day_seconds
    stack = prepare(
        plan.home,
        plan.models,
        replay=True,
        speed=speed,
        scrape_interval=SCRAPE_INTERVAL,
        announce=console.print,
    )
    set_clock(plan.home / "clock", plan.start)
    try:
        yield stack
    finally:
        console.print("stopping the stack")
        stack.stop()


def demo(plan: Plan, console: Console) -> Outcome:
    """Replay the flights through a fresh stack and report."""
    started = datetime.now(UTC)
    with fresh_stack(plan, console) as stack:
        flights = load_flights()
        first = bring_up(plan, stack, flights, console)
        console.print(stack.addresses(), soft_wrap=True)
        outcome = replay(plan, stack, flights, first, console, started)
        console.print(stack.addresses(), soft_wrap=True)
        return outcome


def bring_up(plan: Plan, stack: Stack, flights: pd.DataFrame, console: Console) -> str:
    """Start every process, with the first champion in slot blue; return its version.

    The champion is trained while Airflow starts. Prometheus and Alertmanager come last: a stack that is
    starting is not an incident.
    """
    os.environ.update(stack.environment())
    spec = pick(stack.specs, MODEL)
    console.print("starting MLflow and Airflow; training the first champion meanwhile")
    stack.start([name for name in stack.processes if _comes_first(name)], owned=True)
    past = flights[flights["scheduled_departure"] < plan.start].drop(columns="landed")
    history = Path(stack.settings.location(str(spec.data.history)))
    history.parent.mkdir(parents=True, exist_ok=True)
    past.to_parquet(history)
    train, test = notebook_split(past[past["scheduled_departure"] < MARCH])
    model = notebook_model(train, trees=plan.trees)
    stack.wait_ready(names=["mlflow"])
    version = adopt(spec, stack.settings, model, train, test)
    size = Registry(stack.settings).onnx(MODEL, version).stat().st_size
    console.print(f"the first champion is version {version}, {size / 1e6:.0f} MB as ONNX")
    stack.start([name for name in stack.processes if name not in WATCHERS], owned=True)
    stack.wait_ready(names=[name for name in stack.processes if name not in WATCHERS])
    _wait_for_champion(stack)
    stack.start(owned=True)
    stack.wait_ready()
    return version


def replay(
    plan: Plan, stack: Stack, flights: pd.DataFrame, first: str, console: Console, started: datetime
) -> Outcome:
    """Let the year go by; from here on nothing is triggered, only traffic, labels and the clock move."""
    spec = pick(stack.specs, MODEL)
    clocks = Clocks()
    traffic = Replay(spec, stack.settings, live_flights(plan, flights), plan.day_seconds)
    view = LiveView(spec, stack.settings, traffic.progress, clocks)
    asyncio.run(_watch(traffic, view, clocks, console))
    outcome = _outcome(spec, stack, traffic, clocks, first, started)
    report.print_all(console, outcome, traffic.progress, started)
    return outcome


def live_flights(plan: Plan, flights: pd.DataFrame) -> pd.DataFrame:
    """Return the flights that the plan sends."""
    departure = flights["scheduled_departure"]
    live = flights[departure >= plan.start]
    if plan.until is not None:
        live = live[live["scheduled_departure"] < plan.until]
    return sample(live, plan.one_in)


def _empty(home: Path, console: Console) -> None:
    """Remove what an earlier demo left in `home`; anything else there is not ours to remove."""
    if not home.is_dir() or not any(home.iterdir()):
        return
    earlier = Stack.open_if_there(home, console.print)
    if earlier is None or not earlier.layout.replay:
        must = "must be empty, missing, or the home of an earlier demo"
        raise SettingsError([Problem(str(home), must, hint="Name another folder with --home")])
    earlier.stop()
    shutil.rmtree(home)


def _comes_first(process: str) -> bool:
    return process == "mlflow" or process.startswith("airflow")


def _wait_for_champion(stack: Stack) -> None:
    """Return when the gateway answers with the champion; a forest of this size takes seconds to load."""
    url = f"{stack.settings.gateway_url}/v2/models/{MODEL}/ready"
    deadline = monotonic() + LOADING_S
    while True:
        answer = httpx.get(url, trust_env=False)
        if answer.is_success:
            return
        if monotonic() > deadline:
            msg = f"slot blue has no model after {LOADING_S:.0f} s: {answer.text}"
            raise Unavailable(msg)
        Event().wait(POLL_S)


async def _watch(traffic: Replay, view: LiveView, clocks: Clocks, console: Console) -> None:
    """Replay while the view follows: a terminal gets the live view, anything else a line an event."""
    tell = plain(view, console.print)
    sending = asyncio.create_task(traffic.run())
    with Live(console=console, auto_refresh=False, transient=True) as live:
        while not sending.done():
            clocks.mark(traffic.progress.now)
            if console.is_terminal:
                live.update(await asyncio.to_thread(view.render), refresh=True)
            else:
                await asyncio.to_thread(tell)
            await asyncio.wait({sending}, timeout=_VIEW_S)
    await sending


def _outcome(
    spec: ModelSpec, stack: Stack, traffic: Replay, clocks: Clocks, first: str, started: datetime
) -> Outcome:
    with Store(stack.settings.results_url) as store:
        rollouts = [event for event in store.events(spec.model) if event.kind == "rollout"]
    promoted = [str(event.payload["version"]) for event in rollouts if event.payload["outcome"] == "promoted"]
    compared = [comparison.compare(spec, stack.settings, first, version) for version in promoted]
    sent = traffic.progress
    return Outcome(
        promoted=promoted,
        comparisons=[found for found in compared if found is not None],
        events=slack_messages(messages_file(stack.home), clocks),
        answered=sum(sent.answers.values()),
        failed=sent.failed,
        first_failure=sent.first_failure,
        took=datetime.now(UTC) - started,
    )
