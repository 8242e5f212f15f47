"""What an experiment's tasks do, on the library functions; no Airflow here, and heavy imports inside."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dags import scheduler
from spec import ModelSpec, Settings
from spec.experiment import Experiment

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rollout.experiment.report import Report
    from rollout.routers import Router

NAME = "report"
_SUFFIXES = (".json", ".md", ".html")


def load(spec: ModelSpec, settings: Settings, version: str | None, terms: Experiment) -> dict[str, Any]:
    """Load a version into the idle slot; return what the next tasks need to know of the experiment.

    Raises
    ------
    NotFound
        No version was named and there is no challenger, or the model has no champion.
    Refused
        The version is the champion, or a rollout or another experiment of the model is under way.
    """
    from dags.steps import load_challenger

    found = load_challenger(spec, settings, version)
    return found | {"terms": terms.model_dump(mode="json", by_alias=True)}


def begin(spec: ModelSpec, settings: Settings, found: dict[str, Any]) -> dict[str, str]:
    """Set the split; return since when it holds, on the wall and on the clock (ISO 8601). Safe to repeat."""
    from dags import steps
    from rollout.experiment.plan import plan

    return steps.begin(plan(spec, _terms(found)), settings, 0, found)


def look(
    spec: ModelSpec,
    settings: Settings,
    found: dict[str, Any],
    since: Mapping[str, str],
    alive: Callable[[Settings], datetime] = scheduler.now,
) -> Report:
    """Look at an experiment once and keep what is shown; the lease is renewed only by who sees.

    Nothing is kept of a look that is blind, or that finds the traffic gone: it says nothing of the split.
    `alive` is as of `dags.steps.look`.

    Raises
    ------
    Refused
        The lease was lost: the guard, or a person, has returned the traffic.
    """
    from rollout import leases
    from rollout.evidence import collect
    from rollout.experiment.plan import plan
    from rollout.experiment.report import report
    from rollout.judge import judge

    terms = _terms(found)
    held = plan(spec, terms)
    evidence = collect(
        held,
        settings,
        found["challenger"],
        found["champion"],
        datetime.fromisoformat(since["wall"]),
        datetime.fromisoformat(since["clock"]),
        terms.share,
        pairs_since=datetime.fromisoformat(found["began"]),
    )
    seen = report(evidence, judge(evidence, held, terms.share), held, terms)
    if not evidence.blind:
        leases.renew(_router(settings), spec.model, alive(settings) + spec.rollout.lease)
        keep(settings, found, seen)
    return seen


def give_back(spec: ModelSpec, settings: Settings) -> str:
    """Return all traffic to the champion; one line for people. Safe to repeat."""
    from rollout import leases

    back = leases.release(_router(settings), spec.model)
    return f"all traffic is back at the champion in slot {back.champion}"


def finish(spec: ModelSpec, settings: Settings, found: dict[str, Any], end: str) -> str:
    """Write the report of the last look and keep it with the version; return it in a line. Safe to repeat.

    Parameters
    ----------
    end
        Why the experiment ended.

    Raises
    ------
    Unavailable
        The registry did not answer; the files are in the home.
    """
    from retraining.registry import Registry

    seen = _read(folder(settings, spec.model) / _run(found) / f"{NAME}.json")
    if seen is None:
        return f"version {found['challenger']}: nothing was seen before the experiment ended. {end}"
    files = keep(settings, found, seen.model_copy(update={"end": end}))
    registry = Registry(settings)
    registry.attach(spec.model, found["challenger"], files, f"experiments/{_run(found)}")
    text = f"{seen.headline()} {end}"
    registry.tag(spec.model, found["challenger"], "experiment", text)
    return text


def newest(settings: Settings, model: str) -> Report | None:
    """Return the report of the model's newest experiment, also while it goes on; None where there is none."""
    found = sorted(folder(settings, model).glob(f"*/{NAME}.json"))
    return _read(found[-1]) if found else None


def folder(settings: Settings, model: str) -> Path:
    """Return where the reports of a model are, in a folder for each experiment, named by its begin."""
    return settings.home / "experiments" / model


def keep(settings: Settings, found: dict[str, Any], seen: Report) -> tuple[Path, ...]:
    """Write a report as JSON, Markdown and HTML in place of the last look's; return the files."""
    from dags.experiment_document import document
    from retraining.card import markdown, page

    told = document(seen)
    texts = (seen.model_dump_json(indent=1, by_alias=True), markdown.render(told), page.render(told))
    where = folder(settings, seen.model) / _run(found)
    where.mkdir(parents=True, exist_ok=True)
    files = tuple(where / f"{NAME}{suffix}" for suffix in _SUFFIXES)
    for file, text in zip(files, texts, strict=True):
        draft = file.with_name(f".{file.name}")
        draft.write_text(text, "utf-8")
        os.replace(draft, file)
    return files


def _run(found: Mapping[str, Any]) -> str:
    return f"{datetime.fromisoformat(found['began']).astimezone(UTC):%Y-%m-%dT%H%M%SZ}"


def _read(file: Path) -> Report | None:
    from rollout.experiment.report import Report

    return Report.model_validate_json(file.read_text("utf-8")) if file.is_file() else None


def _terms(found: Mapping[str, Any]) -> Experiment:
    return Experiment.model_validate(found["terms"])


def _router(settings: Settings) -> Router:
    from rollout.routers import connect
    from spec import load_folder

    return connect(settings, load_folder(settings.models))
