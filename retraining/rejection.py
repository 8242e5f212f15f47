"""A retrain that ends without a version is accounted for too: its reasons, card and records go to MLflow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from retraining.records import Choice, Record, Search, Snapshot, Tuning, Validation
from retraining.workspace import Workspace
from spec import DataError, ModelSpec, Refused, Settings, TrimtabError

STAGES = ("prepare", "tune", "train", "optimize", "validate")
"""The stages that may end a retrain, in their order."""
_LEFT: dict[str, type[Record]] = {
    "prepare": Snapshot,
    "tune": Tuning,
    "train": Search,
    "optimize": Choice,
}


@contextmanager
def accounted(
    spec: ModelSpec, settings: Settings, run: str, stage: str, trigger: Mapping[str, Any] | None = None
) -> Iterator[None]:
    """Keep the reasons where a stage refuses to go on; the error goes on its way.

    Refusals are `DataError` and `Refused`: the rows make no retrain, or nothing that was tried can be served.
    What trying again may mend is none. Where the registry does not take the reasons, a note of the error says
    so.
    """
    try:
        yield
    except (DataError, Refused) as error:
        try:
            refused(spec, settings, run, stage, str(error).splitlines(), trigger)
        except TrimtabError as lost:
            error.add_note(f"The refusal was not kept in the registry: {lost}")
        raise


def refused(
    spec: ModelSpec,
    settings: Settings,
    run: str,
    stage: str,
    reasons: Sequence[str],
    trigger: Mapping[str, Any] | None = None,
) -> str:
    """Keep a retrain that one of `STAGES` ended, with a card of what is known; return its MLflow run.

    Doing it again for the same run replaces the first time's.

    Raises
    ------
    Unavailable
        The registry did not answer.
    """
    from retraining.account import put_card, rows_of, stage_files  # noqa: PLC0415 - seconds, seldom needed
    from retraining.card import refusal  # noqa: PLC0415 - as above
    from retraining.registry import Registry  # noqa: PLC0415 - as above
    from retraining.release import Attempt  # noqa: PLC0415 - as above

    work, asked = Workspace(settings, run), trigger or {}
    kinds = tuple(_LEFT[earlier] for earlier in STAGES[: STAGES.index(stage)])
    taken = work.load(Snapshot) if Snapshot in kinds else None
    tuning = work.load(Tuning) if Tuning in kinds else None
    card = put_card(work, refusal.write(spec, run, asked, stage, reasons, taken))
    attempt = Attempt(
        source=f"retrain/{run}",
        tags=_tags(settings, stage, reasons, asked),
        artifacts=(*card, *stage_files(work, kinds, tuning)),
        rows=None if taken is None else rows_of(spec, settings, taken),
    )
    return Registry(settings).keep(spec, attempt)


def rejected(spec: ModelSpec, settings: Settings, run: str, trigger: Mapping[str, Any] | None = None) -> str:
    """Keep a candidate that the gates rejected, with its whole card; return its MLflow run.

    Doing it again for the same run replaces the first time's.

    Raises
    ------
    NotFound
        The run was not validated.
    Unavailable
        The registry did not answer.
    """
    from retraining.account import Account  # noqa: PLC0415 - seconds, seldom needed
    from retraining.registry import Registry  # noqa: PLC0415 - as above
    from retraining.release import Attempt  # noqa: PLC0415 - as above

    verdict, asked = Workspace(settings, run).load(Validation), trigger or {}
    account = Account.of(spec, settings, run)
    account.write_card(asked)
    failed = [gate for gate in verdict.gates if not gate.passed]
    reasons = [f"{gate.name}: {gate.reason}" for gate in failed]
    attempt = Attempt(
        source=f"retrain/{run}",
        tags=_tags(settings, ", ".join(gate.name for gate in failed), reasons, asked),
        artifacts=tuple(account.artifacts()),
        params=account.params(),
        metrics=account.metrics(),
        rows=account.rows(),
        trials=account.trials(),
    )
    return Registry(settings).keep(spec, attempt)


def _tags(settings: Settings, by: str, reasons: Sequence[str], trigger: Mapping[str, Any]) -> dict[str, str]:
    from retraining.release import triggered  # noqa: PLC0415 - as above

    return triggered(trigger) | {
        "status": "rejected",
        "rejected_by": by,
        "rejected_at": settings.clock.now().isoformat(),
        "verdict": "; ".join(reasons),
    }
