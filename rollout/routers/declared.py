"""Routers on Kubernetes: the split stands on the object that a controller carries out."""

from __future__ import annotations

import random
import secrets
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rollout.routers import Change
from rollout.routers.kubernetes import Conflict, Kind, Objects, Session
from rollout.split import Split, parse
from spec import DataError, ModelSpec, NotFound, Problem, Refused, Settings, Unavailable, did_you_mean

SPLIT = "trimtab/split"
UNCONFIRMED = "trimtab/unconfirmed"
MODEL = "trimtab/model"
"""Label that says whose object this is; the chart sets it."""
CONFIRM_S = 10.0
CONFLICTS_S = 10.0
_POLL_S = (0.02, 0.25)  # the first and the longest wait between two looks
_YIELD_S = 0.05

Item = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Record:
    """What an object's annotations say: the split, and the one before as long as it is not confirmed.

    `token` names the write that waits; it is empty once the controller confirmed it.
    """

    split: Split
    token: str
    confirmed: Split

    @classmethod
    def of(cls, item: Item, called: str) -> Record:
        """Read it; `DataError` where an annotation is not ours any more."""
        notes = item["metadata"].get("annotations") or {}
        text, waiting = notes.get(SPLIT), notes.get(UNCONFIRMED)
        split = Split() if text is None else parse(text, f"{called}: {SPLIT}")
        if waiting is None:
            return cls(split, "", split)
        token, _, before = str(waiting).partition(" ")
        return cls(split, token, parse(before, f"{called}: {UNCONFIRMED}"))

    @property
    def seen(self) -> Split:
        """What readers are told: a canary from its first write on, its end only once it is confirmed."""
        return self.confirmed if self.split.settled else self.split

    @property
    def fallback(self) -> Split:
        """What a write on top of this one goes back to."""
        return self.split if self.split.settled else self.confirmed


class DeclaredRouter(ABC):
    """A router whose routes are one object a model; see `rollout.routers.Router`.

    One write carries split and routes together, on the condition that nobody wrote since they were read. Then
    the controller's status is awaited. Who is killed meanwhile leaves a canary that everybody sees and whose
    lease the guard ends, or an end of one that the guard confirms.
    """

    kind: Kind

    def __init__(self, settings: Settings, specs: Mapping[str, ModelSpec]) -> None:
        self._settings = settings
        self._specs = specs
        self._objects = Objects(settings, self.kind)

    @abstractmethod
    def _change(self, model: str, item: Item, before: Split, after: Split) -> dict[str, Any]:
        """Return the merge patch that makes the object's routes those of `after`; empty where they are."""

    @abstractmethod
    def _in_force(self, model: str, item: Item, split: Split) -> bool:
        """Whether the controller says that the object, as it is, is in force; `Refused` if it will not be."""

    def read(self, model: str) -> Split:
        """Return the model's split."""
        self._known(model)
        with self._objects.session() as session:
            return self._look(session, model)[1].seen

    def apply(self, model: str, split: Split) -> None:
        """Put `split` in force within ten seconds."""
        self.amend(model, lambda _: split)

    def amend(self, model: str, change: Change) -> Split:
        """Put ``change(split)`` in force; where only the lease differs, no route is touched."""
        self._known(model)
        deadline = time.monotonic() + CONFLICTS_S
        with self._objects.session() as session:
            while True:
                item, record = self._look(session, model)
                after = change(record.split)
                try:
                    token = self._write(session, model, item, record, after)
                except Conflict as error:
                    if time.monotonic() >= deadline:
                        msg = f"{error} Others kept writing it for {CONFLICTS_S:g} s; nothing was changed."
                        raise Unavailable(msg) from error
                    time.sleep(random.uniform(0, _YIELD_S))  # noqa: S311 - so that writers do not meet again
                    continue
                if token:
                    self._confirm(session, model, token, record.fallback)
                return after

    def _known(self, model: str) -> None:
        if model not in self._specs:
            msg = f"There is no model {model!r}. {did_you_mean(model, self._specs)}"
            raise NotFound(msg)

    def _name(self, model: str) -> str:
        return self._settings.routes.get(model, model.replace("_", "-"))

    def _look(self, session: Session, model: str) -> tuple[Item, Record]:
        name = self._name(model)
        item, called = session.get(name), session.called(name)
        label = (item["metadata"].get("labels") or {}).get(MODEL)
        if label != model:
            found = f"its label {MODEL} is {label!r}" if label else f"it has no label {MODEL}"
            msg = (
                f"{called} is not the object of {model}: {found}. Set it to {model} if Trimtab may write it."
            )
            raise Refused(msg)
        try:
            return item, Record.of(item, called)
        except DataError as error:
            hint = f"Remove the annotation from {called} to start again with all traffic at slot blue"
            where = (Problem(one.where, one.must, one.found, hint) for one in error.problems)
            raise DataError(where) from error

    def _write(self, session: Session, model: str, item: Item, record: Record, after: Split) -> str:
        """Write the split; return the token of a write that must be confirmed, else nothing."""
        change = self._change(model, item, record.split, after)
        if not change and not record.token and after.same_routes(record.split):
            if after != record.split:
                session.patch(self._name(model), item, _noted({SPLIT: after.model_dump_json()}))
            return ""
        token = secrets.token_hex(8)
        notes = {
            SPLIT: after.model_dump_json(),
            UNCONFIRMED: f"{token} {record.confirmed.model_dump_json()}",
        }
        session.patch(self._name(model), item, _noted(notes, change))
        return token

    def _confirm(self, session: Session, model: str, token: str, before: Split) -> None:
        """Wait until the write `token` is in force; `Refused` and `Unavailable` after going back."""
        deadline, pause = time.monotonic() + CONFIRM_S, _POLL_S[0]
        while True:
            item, record = self._look(session, model)
            if record.token != token:  # a later write replaced this one, and waits for itself
                return
            try:
                if self._in_force(model, item, record.split):
                    session.patch(self._name(model), item, _noted({UNCONFIRMED: None}))
                    return
            except Conflict:
                pause = 0.0  # the controller's status, or a lease, came between
            except Refused:
                self._withdraw(session, model, token, before)
                raise
            if time.monotonic() >= deadline:
                self._withdraw(session, model, token, before)
                called = session.called(self._name(model))
                msg = f"No controller confirmed {called} within {CONFIRM_S:g} s: {self._why(item)}"
                raise Unavailable(msg)
            time.sleep(pause)  # waiting for the event would need one verb more, `watch`
            pause = min(max(2 * pause, _POLL_S[0]), _POLL_S[1])

    def _withdraw(self, session: Session, model: str, token: str, before: Split) -> None:
        """Undo the write `token`. An end of a canary stays: a gateway that comes back must not find it."""
        deadline = time.monotonic() + CONFLICTS_S
        while True:
            item, record = self._look(session, model)
            if record.token != token or record.split.settled:
                return
            change = self._change(model, item, record.split, before)
            notes = {SPLIT: before.model_dump_json(), UNCONFIRMED: None}
            try:
                session.patch(self._name(model), item, _noted(notes, change))
            except Conflict:
                if time.monotonic() >= deadline:
                    raise
            else:
                return

    @abstractmethod
    def _why(self, item: Item) -> str:
        """Return what the status says of a delay, for people."""


def _noted(notes: Mapping[str, str | None], change: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return a merge patch with these annotations; None removes one."""
    more = dict(change or {})
    metadata = dict(more.pop("metadata", {}))
    metadata["annotations"] = dict(metadata.get("annotations", {})) | dict(notes)
    return {**more, "metadata": metadata}
