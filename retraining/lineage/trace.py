"""The lineage of a version, or of a retrain that ended without one."""

from __future__ import annotations

import json
import tempfile
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from monitors.results.store import Store
from retraining.lineage.chain import chain, run_of
from retraining.lineage.links import Link
from retraining.lineage.stage_records import StageRecords
from retraining.registry import Registry, Reign, Rejection, Version
from spec import ModelSpec, NotFound, Settings, did_you_mean


@dataclass(frozen=True, slots=True)
class Lineage:
    """The story of one version, or of a retrain that ended without one.

    Parameters
    ----------
    version
        None of a retrain that ended without one.
    source
        What made it: ``retrain/<run>`` or ``adopt-<hash>``.
    reigns
        When it was challenger and champion.
    """

    model: str
    version: str | None
    status: str
    source: str
    mlflow_run: str
    reigns: tuple[Reign, ...]
    links: tuple[Link, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the record as JSON types; times as ISO 8601."""
        plain = asdict(self)
        plain["links"] = {
            link.name: {"told": list(link.told), "facts": dict(link.facts)} for link in self.links
        }
        told: dict[str, Any] = json.loads(json.dumps(plain, default=_iso))
        return told


def lineage(
    spec: ModelSpec, settings: Settings, version: str | None = None, *, run: str | None = None
) -> Lineage:
    """Return the lineage of a version; of the champion by default.

    Parameters
    ----------
    run
        Instead of a version, the name of a retrain: of its version, or up to what refused it.

    Raises
    ------
    NotFound
        There is no such version or run, or no champion.
    Unavailable
        The registry, or the results store, did not answer.
    """
    registry = Registry(settings)
    found = _found(registry, spec.model, version) if run is None else _of_run(registry, spec.model, run)
    with tempfile.TemporaryDirectory() as folder:
        files = {file.name: file for file in registry.records(found.run_id, Path(folder))}
        records = StageRecords(files)
        with Store(settings.results_url) as store:
            events = store.events(spec.model, kinds=("triage", "retrain", "rollout"))
        links = tuple(chain(spec.model, found, records, events))
    named = found.version if isinstance(found, Version) else None
    return Lineage(
        model=spec.model,
        version=named,
        status=found.status if isinstance(found, Version) else "rejected",
        source=found.source,
        mlflow_run=found.run_id,
        reigns=tuple(reign for reign in registry.history(spec.model) if reign.version == named),
        links=links,
    )


def _found(registry: Registry, model: str, version: str | None) -> Version:
    wanted = version or registry.version(model, "champion")
    if wanted is None:
        msg = f"{model} has no champion yet; name a version, or adopt a model with `trimtab adopt {model}`"
        raise NotFound(msg)
    known = {item.version: item for item in registry.versions(model)}
    if wanted not in known:
        msg = f"{model} has no version {wanted!r} in the registry. {did_you_mean(wanted, known)}"
        raise NotFound(msg)
    return known[wanted]


def _of_run(registry: Registry, model: str, run: str) -> Version | Rejection:
    """Return the version that a run made, which may have been tried again, or else its rejection."""
    known: dict[str, Version | Rejection] = {}
    ended: tuple[Version | Rejection, ...] = (*registry.rejections(model), *registry.versions(model))
    for found in ended:
        made_by = run_of(found)
        if made_by is not None:
            known[made_by] = found
    if run not in known:
        msg = (
            f"{model} has no retrain {run!r} that made a version or was rejected. {did_you_mean(run, known)}"
        )
        raise NotFound(msg)
    return known[run]


def _iso(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
