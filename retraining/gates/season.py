"""The season that returns: better on the newest rows is not enough for what was learnt a season ago.

The candidate's *proxy* answers, which has seen neither the rows of the season before nor the newest ones.
Where the champion was fitted on those rows, that speaks for the champion: the gate errs on the side of what
is served.
"""

from __future__ import annotations

from retraining.gates import non_inferiority
from retraining.gates.exam import Exam
from retraining.records import Gate
from spec import DataError

NAME = "season"


def judge(exam: Exam | None) -> Gate:
    """Judge by the rows of a season ago; passes where there are none yet, or none to compare with.

    Parameters
    ----------
    exam
        None without rows of the season.
    """
    if exam is None:
        return Gate(name=NAME, passed=True, reason="there are no rows from a season ago yet")
    if exam.against is None:
        return Gate(name=NAME, passed=True, reason="there is no champion that could know the season better")
    try:
        found = non_inferiority.measure(exam)
    except DataError as error:
        return Gate(name=NAME, passed=True, reason=f"a season ago does not tell: {error.problems[0].found}")
    if found.upper is None:
        reason = f"a season ago has {found.days} days with labels, too few to tell (validate.min_days)"
        return Gate(name=NAME, passed=True, reason=reason, rows=found.rows, days=found.days)
    gate = non_inferiority.judge(exam, found, NAME)
    return gate if gate.passed else gate.model_copy(update={"reason": f"a season ago: {gate.reason}"})
