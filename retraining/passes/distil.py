"""Let a small model learn what a large one answers: knowledge distillation.

The student learns targets that are half the label and half the teacher's answer (Hinton, Vinyals, Dean 2015,
Distilling the Knowledge in a Neural Network). A teacher knows the rows that it was fitted on too well, so
each row's answer comes from a teacher that was fitted without the row's day.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from retraining.dataset.rows import FloatArray
from retraining.fitted import Fitted, Rows
from retraining.graphs import usage
from retraining.graphs.export import to_onnx
from retraining.graphs.parity import NotFaithful, check
from retraining.passes import students
from retraining.passes.optimization_pass import NotApplicable, Plan, Trial
from retraining.passes.out_of_fold import answers
from retraining.passes.refit import require
from spec import ModelSpec, Task
from spec.retrain import Learner

_SOFT = 0.5


class Distil:
    """Replace a model by a small one that it taught: a network of few units, or an ensemble of few trees."""

    name = "distil"

    def __init__(self) -> None:
        self._taught: tuple[Fitted, Rows, FloatArray] | None = None

    def plan(self, trial: Trial) -> Plan:
        """Return ``{"learner": …, "params": {…}}`` of the student with the lowest loss.

        Only students that are smaller than the model count.
        """
        found: list[tuple[float, Plan, Fitted]] = []
        for learner, params in students.options(len(trial.fit)):
            plan: Plan = {"learner": learner.value, "params": params}
            try:
                student = self.apply(trial.spec, trial.model, trial.fit, plan)
            except NotFaithful:
                continue  # another student may be served as it was trained
            if student.graph.ByteSize() < trial.model.graph.ByteSize():
                found.append((trial.loss(student), plan, student))
        if not found:
            msg = "no student is smaller than the model"
            raise NotApplicable(msg)
        _, plan, best = min(found, key=lambda item: item[0])
        judged = trial.judged(best, looks=len(found))
        if not judged.kept:
            msg = f"the best student's {judged.told}"
            raise NotApplicable(msg)
        return plan

    def apply(self, spec: ModelSpec, model: Fitted, fit: Rows, plan: Plan) -> Fitted:
        """Teach the plan's student; it looks at no feature that the model does not look at."""
        require(model)
        seen = set(usage.used(model.graph))
        features = {name: feature for name, feature in spec.features.items() if name in seen}
        narrow = spec.model_copy(update={"features": features})
        targets = _hard(spec, fit) * (1 - _SOFT) + self._soft(narrow, model, fit) * _SOFT
        learner, params = Learner(plan["learner"]), dict(plan["params"])
        pipeline = students.fitted(narrow, learner, params, fit, targets)
        graph = to_onnx(spec, pipeline)
        check(spec, pipeline, graph.SerializeToString(), fit.inputs, spec.retrain.search.seed)
        return replace(model, learner=learner, params=params, graph=graph, passes=(*model.passes, self.name))

    def _soft(self, spec: ModelSpec, model: Fitted, fit: Rows) -> FloatArray:
        """Return the teacher's answers, kept for the next student of the same teacher and rows."""
        if self._taught is None or self._taught[0] is not model or self._taught[1] is not fit:
            self._taught = model, fit, answers(spec, model.learner, model.params, fit)
        return self._taught[2]


def _hard(spec: ModelSpec, fit: Rows) -> FloatArray:
    """Return the labels as `retraining.passes.out_of_fold.answers` gives the teacher's answers."""
    if spec.task is Task.MULTICLASS:
        columns: FloatArray = np.eye(len(spec.data.target.classes or ()))[np.asarray(fit.truth, "int64")]
        return columns
    return fit.truth.astype("float64").reshape(-1, 1)
