"""Whole retrains, their passes and their choice, beside what else one could do in the same time.

    python bench/quality/optimize.py [--only TASK ...] [--rows N] [--search S] [--passes S] [--json FILE]
    python bench/quality/optimize.py --flights

Of each task (see `optimize_tasks`): what every pass made of the proxy of every candidate, and the choice
beside the native pipeline of the best candidate, an untouched champion, FLAML and scikit-learn's random
search, which get the seconds that tune, train and optimize took. All on one thread, all on the holdout,
which nothing has seen. One run and one seed a task: differences of a percent are not told from chance.

`--flights` times the retrain of models/flights.yaml by the default budgets instead, registration included.
`overhead` is what prepare, tune and train took of the processor beyond fits and scores, as a part of these.

Targets: the choice >= 4 times as fast a row and >= 75 % smaller than the best candidate's native pipeline
(joblib's bytes) with a loss at most 1 % above it, >= 50 times as fast a row; overhead < 15 %; flights in less
than 180 s.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))  # `bench` is not installed

from bench.peers import environments
from bench.peers.client import Failed
from bench.quality import optimize_figures
from bench.quality.optimize_clock import Clock
from bench.quality.optimize_figures import Figures
from bench.quality.optimize_tasks import TASKS, Task, flights_by_default
from retraining import native
from retraining.dataset.labelled import Rows
from retraining.dataset.stored import HOLDOUT, TRAIN, load_rows
from retraining.flow import retrain
from retraining.optimize import optimize
from retraining.prepare import prepare
from retraining.records import Choice, Search, Variant
from retraining.registry import Registry
from retraining.train import train
from retraining.tune import tune
from retraining.variants.choice import cost
from retraining.workspace import Workspace
from spec import ModelSpec, Settings

RUN = "measured"
FASTER, SMALLER, WORSE, FASTER_NATIVE = 4, 0.75, 0.01, 50
OVERHEAD, WHOLE = 0.15, 180
TRUSTING = 0.501


@dataclass(frozen=True)
class Measured:
    """A task: passes by candidate, the choice and the best native pipeline, peers, and seconds.

    Parameters
    ----------
    rows
        Learnt from, and held out.
    refused
        Passes that the choice did not apply to a candidate, and variants that it rejected, with the reasons.
    untried
        Passes on any chain that the choice had no time for.
    skops
        Bytes of the native pipeline as it is kept beside the version.
    """

    task: str
    rows: tuple[int, int]
    passes: dict[str, list[Figures]]
    refused: dict[str, str]
    untried: int
    chosen: Figures
    native: Figures
    skops: int
    peers: list[Figures]
    clock: Clock

    def targets(self) -> list[tuple[str, bool]]:
        """Return each target with its figure, and whether it is met."""
        faster = self.native.one_row / self.chosen.one_row
        smaller = 1 - self.chosen.size / self.native.size
        worse = self.chosen.loss / self.native.loss - 1
        return [
            (f"{faster:.0f} times as fast a row (>= {FASTER})", faster >= FASTER),
            (f"{smaller:.1%} smaller (>= {SMALLER:.0%})", smaller >= SMALLER),
            (f"loss {worse:+.2%} (<= {WORSE:+.0%})", worse <= WORSE),
            (f"{faster:.0f} times as fast a row (>= {FASTER_NATIVE})", faster >= FASTER_NATIVE),
        ]


def measure(task: Task, search: float, seconds: float, home: Path) -> Measured:
    """Retrain a task in a new home, and hold the choice against the others."""
    spec, settings = task.spec(search=search, optimize=seconds), _settings(home)
    task.rows.to_parquet(home / "history.parquet", index=False)
    clock = Clock()
    with clock.listening():
        for stage in (prepare, tune, train):
            clock.stage(stage.__name__)
            stage(spec, settings, RUN)
        clock.stage("optimize")
    choice = optimize(spec, settings, RUN)
    clock.stage("end")
    work = Workspace(settings, RUN)
    learnt, held = (Rows.of(spec, load_rows(work, part)) for part in (TRAIN, HOLDOUT))
    taken = sum(clock.stages[name] for name in ("tune", "train", "optimize"))
    best = min((variant for variant in choice.variants if not variant.passes), key=lambda item: item.loss)
    folder = next(one.native for one in work.load(Search).candidates if one.onnx == best.candidate)
    if folder is None:
        message = f"{best.name} has no native form"
        raise SystemExit(message)
    file = work.path(folder) / native.FILE
    peers = _peers(spec, learnt, held, taken, home)
    passes, refused = _by_pass(spec, settings, choice, held)
    return Measured(
        task.name,
        (len(learnt), len(held)),
        passes,
        refused,
        sum("not tried" in refusal.reason for refusal in choice.refused),
        optimize_figures.of_graph(spec, f"chosen: {choice.chosen.name}", work.path(choice.chosen.onnx), held),
        optimize_figures.of_pipeline(spec, f"native {best.name}", native.load(file), held),
        file.stat().st_size,
        peers,
        clock,
    )


def _peers(spec: ModelSpec, learnt: Rows, held: Rows, taken: float, home: Path) -> list[Figures]:
    """Measure what else may be fitted to these rows, with as many seconds where it searches."""
    peers = [
        optimize_figures.champion(spec, learnt, held),
        optimize_figures.random_search(spec, learnt, held, taken),
    ]
    try:
        peers.append(optimize_figures.flaml(spec, learnt, held, taken, home))
    except Failed as error:
        print(f"FLAML: not measured: {error}")
    return peers


def _settings(home: Path) -> Settings:
    """Return a new home's settings, its registry set up, which a retrain finds done."""
    settings = Settings.from_env(
        {"TRIMTAB_HOME": str(home), "TRIMTAB_MLFLOW_URI": f"sqlite:///{home / 'mlflow.db'}"}
    )
    Registry(settings).version(RUN, "champion")
    return settings


def _by_pass(
    spec: ModelSpec, settings: Settings, choice: Choice, held: Rows
) -> tuple[dict[str, list[Figures]], dict[str, str]]:
    """Measure the proxies of each candidate: as trained, after each pass alone, and the cheapest chain.

    A pass alone is given hours, and its loss is nearly taken at its word, so that the table shows what it
    does; why the choice did without it is told with the choice's own refusals and reasons.
    """
    work = Workspace(settings, RUN)
    refused = {f"{each.name}: {each.by}": each.reason for each in choice.refused if not each.passes}
    refused |= {one.name: "; ".join(one.reasons) for one in choice.variants if one.rejected}
    variants = {(one.candidate, one.passes): one for one in choice.variants if not one.passes}
    trusting = spec.validation.model_copy(update={"confidence": TRUSTING})
    for name in spec.optimize.passes:
        alone = spec.optimize.model_copy(update={"passes": (name,), "time": timedelta(hours=1)})
        tried = optimize(spec.model_copy(update={"optimize": alone, "validation": trusting}), settings, RUN)
        variants |= {(one.candidate, one.passes): one for one in tried.variants}
    for candidate in {one.candidate for one in choice.variants}:
        if (chain := _cheapest_chain(choice, candidate)) is not None:
            variants[candidate, chain.passes] = chain
    found: dict[str, list[Figures]] = {}
    for (candidate, passes), variant in variants.items():
        told = " + ".join(passes) or "base"
        figures = optimize_figures.of_graph(spec, told, work.path(variant.proxy), held)
        found.setdefault(candidate.rpartition("/")[0], []).append(figures)
    return found, refused


def _cheapest_chain(choice: Choice, candidate: str) -> Variant | None:
    """Return the cheapest chain of several passes within the budget."""
    chains = [one for one in choice.variants if one.candidate == candidate and len(one.passes) > 1]
    return min((one for one in chains if not one.rejected), key=cost, default=None)


def show(one: Measured) -> None:
    """Print the tables of a task and what is met."""
    print(f"\n== {one.task}: {one.rows[0]:,} training rows, {one.rows[1]:,} held out")
    print(f"{one.clock}; overhead {one.clock.overhead:.1%}")
    for candidate, figures in one.passes.items():
        base = figures[0]
        print(f"\n{candidate:<44} {HEADER}")
        for each in figures:
            print(_line(each, f"{each.size / base.size - 1:+.0%}, {base.one_row / each.one_row:.1f}x"))
    print(f"\n{'the choice, on all rows':<44} {HEADER}")
    for each in (one.chosen, one.native, *one.peers):
        ratio = f"{each.one_row / one.chosen.one_row:.0f}x, {each.size / one.chosen.size:.1f}x"
        print(_line(each, ratio))
    print(f"native pipeline as skops: {one.skops / 1e3:,.0f} kB; passes that found no time: {one.untried}")
    for told, met in one.targets():
        print(f"  {'met    ' if met else 'NOT MET'} {told}")
    for told, reason in one.refused.items():
        print(f"  {told}: {reason}")
    sys.stdout.flush()


HEADER = f"{'loss':>9} {'AUC/R²':>7} {'µs a row':>9} {'rows/s':>10} {'kB':>9}"


def _line(each: Figures, note: str) -> str:
    return (
        f"{each.name[:44]:<44} {each.loss:>9.4f} {each.skill:>7.4f} {each.one_row * 1e6:>9.1f} "
        f"{each.rows_per_second:>10,.0f} {each.size / 1e3:>9,.1f}  {note}"
    )


def whole(home: Path) -> dict[str, Any]:
    """Time the retrain of flights with default budgets, from the snapshot to the registered version."""
    spec, rows = flights_by_default()
    settings, clock = _settings(home), Clock()
    rows.to_parquet(home / "history.parquet", index=False)
    with clock.listening():
        outcome = retrain(spec, settings, RUN, tell=clock.stage)
    clock.stage("end")
    seconds = sum(clock.stages.values())
    print(f"\n== retrain of flights, {len(rows):,} rows, every budget as by default")
    print(clock)
    print(outcome.validation.summary(), f"version {outcome.version}")
    print(f"  {_met(seconds < WHOLE)} {seconds:.0f} s in all (< {WHOLE} s)")
    print(f"  {_met(clock.overhead < OVERHEAD)} overhead {clock.overhead:.1%} (< {OVERHEAD:.0%})", flush=True)
    return {"clock": asdict(clock), "overhead": clock.overhead, "rows": len(rows)}


def _met(met: bool) -> str:  # noqa: FBT001 - the one thing that it says
    return "met    " if met else "NOT MET"


def main() -> None:
    """Measure each task in a home of its own."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = [make.__name__ for make in TASKS]
    parser.add_argument("--only", nargs="+", choices=names, default=names)
    parser.add_argument("--rows", type=int, default=40_000, help="most rows of a task")
    parser.add_argument("--search", type=float, default=60, help="seconds of the search")
    parser.add_argument("--passes", type=float, default=90, help="seconds of the search over chains")
    parser.add_argument("--flights", action="store_true", help="time the whole retrain of flights instead")
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    environments.make("flaml")
    found: list[dict[str, Any]] = []
    for name in ["flights"] if arguments.flights else arguments.only:
        with tempfile.TemporaryDirectory() as folder:
            if name == "flights":
                found.append(whole(Path(folder)))
            else:
                task = next(make for make in TASKS if make.__name__ == name)(arguments.rows)
                one = measure(task, arguments.search, arguments.passes, Path(folder))
                show(one)
                found.append(asdict(one) | {"targets": one.targets()})
        if arguments.json:
            arguments.json.write_text(json.dumps(found, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
