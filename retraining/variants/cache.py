"""What a pass did, kept in the run's folder, so that a retried stage does not do it again."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import onnx

from retraining.fitted import Fitted
from retraining.records import Params, Record
from retraining.workspace import Workspace
from spec import Refused
from spec.retrain import Learner

FOLDER = "variants"


class Done(Record):
    """The outcome of a pass; its graph lies beside it."""

    plan: dict[str, Any] | None = None
    learner: Learner | None = None
    params: Params | None = None
    refused: str | None = None
    """Why there is none."""


class Cache:
    """Outcomes of passes by everything that they depend on.

    Parameters
    ----------
    about
        What all passes of the run depend on: the rows and the spec.
    """

    def __init__(self, work: Workspace, about: str) -> None:
        self._work = work
        self._about = about

    def outcome(
        self,
        model: Fitted,
        by: str,
        inputs: str,
        run: Callable[[], tuple[dict[str, Any], Fitted]],
    ) -> tuple[dict[str, Any], Fitted, str]:
        """Return the plan of a pass, the model it made, and its file; an earlier try's if there was one.

        Parameters
        ----------
        model
            What the pass is applied to.
        by, inputs
            The pass, and what else it depends on.
        run
            Does it.

        Raises
        ------
        Refused
            The pass refused, now or in the earlier try.
        """
        key = self._key(model, by, inputs)
        file = f"{FOLDER}/{key}.onnx"
        done = self._load(key)
        if done is None:
            done = self._do(key, file, run)
        if done.plan is None or done.learner is None or done.params is None:
            raise Refused(done.refused or "the earlier try left nothing")
        graph = onnx.load(self._work.path(file))
        made = replace(
            model, learner=done.learner, params=done.params, graph=graph, passes=(*model.passes, by)
        )
        return done.plan, made, file

    def _do(self, key: str, file: str, run: Callable[[], tuple[dict[str, Any], Fitted]]) -> Done:
        try:
            plan, made = run()
        except Refused as error:
            done = Done(refused=str(error))
        else:
            self._work.put(file, made.graph.SerializeToString(deterministic=True))
            done = Done(plan=plan, learner=made.learner, params=made.params)
        self._work.put(_name(key), done.model_dump_json(indent=1).encode())
        return done

    def _load(self, key: str) -> Done | None:
        try:
            return Done.model_validate_json(self._work.path(_name(key)).read_text("utf-8"))
        except FileNotFoundError:
            return None

    def _key(self, model: Fitted, by: str, inputs: str) -> str:
        told = "\n".join((self._about, model.learner.value, repr(sorted(model.params.items())), by, inputs))
        graph = model.graph.SerializeToString(deterministic=True)
        return hashlib.sha256(told.encode() + b"\0" + graph).hexdigest()[:24]


def _name(key: str) -> str:
    return f"{FOLDER}/{key}.json"
