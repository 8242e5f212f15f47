"""Rows that both versions scored: the mirror gives each live request to the other version as well."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from monitors.metrics import shortfall, statistic
from monitors.tables import inference_log, labels
from rollout.observations import DayShortfall, Share
from spec import DataError, ModelSpec, Problem, Settings, Task

Floats = npt.NDArray[np.float64]
_COLUMNS = ("prediction_id", "event_date", "logged_at", "scores", "shadow")


@dataclass(frozen=True, slots=True)
class Pairs:
    """The scores of both versions on the same n predictions, in the order of the challenger's answers.

    `ids` and `days` (``YYYY-MM-DD`` of the event time) have n entries, the scores shape (n, k):
    k is 1 for binary (P(positive)) and regression (the value), else the number of classes.
    """

    ids: pa.Array
    days: pa.Array
    challenger: Floats
    champion: Floats


def collect(spec: ModelSpec, settings: Settings, challenger: str, champion: str, since: datetime) -> Pairs:
    """Pair the rows that two versions answered from `since` on (processing time), by prediction id.

    Events are looked for up to the deadline of a step before that; older ones are no evidence. Which of
    the two versions was live does not matter. A prediction that a version scored twice counts once, with its
    first row. Answers that a tester asked for by version are chosen and make no pair: `shadow` is null there.

    Raises
    ------
    DataError
        A version's rows hold another number of scores than the task has.
    Unavailable
        The inference log did not answer.
    """
    tables = [_answered(spec, settings, version, since) for version in (challenger, champion)]
    tables[0] = tables[0].sort_by([("logged_at", "ascending"), ("prediction_id", "ascending")])
    ours, theirs = (table.take(inference_log.first_of_each(table["prediction_id"])) for table in tables)
    places = pc.index_in(ours["prediction_id"], value_set=theirs["prediction_id"].combine_chunks())
    ours = ours.filter(pc.is_valid(places))
    theirs = theirs.take(pc.drop_null(places))
    return Pairs(
        ids=ours["prediction_id"].combine_chunks(),
        days=theirs["event_date"].combine_chunks(),
        challenger=_scores(spec, ours["scores"]),
        champion=_scores(spec, theirs["scores"]),
    )


def _answered(spec: ModelSpec, settings: Settings, version: str, since: datetime) -> pa.Table:
    oldest = since - spec.rollout.deadline
    rows = inference_log.read(spec, settings, start=oldest, shadow=None, version=version, columns=_COLUMNS)
    late = pc.greater_equal(rows["logged_at"], pa.scalar(since, rows["logged_at"].type))
    return rows.filter(pc.and_(late, pc.is_valid(rows["shadow"])))


def disagreement(spec: ModelSpec, pairs: Pairs, truth: Floats) -> Share | None:
    """Count the pairs on which the decisions differ.

    Binary: on different sides of 1/2. Multiclass: different most probable classes. Regression: further apart
    than the standard deviation of the champion's residuals; None while too few labels tell it.

    Parameters
    ----------
    truth
        What `truths` returned for the pairs.
    """
    ours, theirs = pairs.challenger, pairs.champion
    if spec.task is Task.BINARY:
        differ = (ours[:, 0] >= 0.5) != (theirs[:, 0] >= 0.5)  # noqa: PLR2004 - an even chance
    elif spec.task is Task.MULTICLASS:
        differ = ours.argmax(axis=1) != theirs.argmax(axis=1)
    else:
        residuals = (truth - theirs[:, 0])[np.isfinite(truth)]
        if len(residuals) < spec.rollout.min_requests:
            return None
        differ = np.abs(ours[:, 0] - theirs[:, 0]) > residuals.std(ddof=1)
    return Share(hits=int(differ.sum()), of=len(differ))


def daily_shortfalls(spec: ModelSpec, pairs: Pairs, truth: Floats, now: datetime) -> tuple[DayShortfall, ...]:
    """Measure by day how much worse the challenger's metric is, over the days whose labels are all there.

    A day counts once it is over for `target.delay`, so that no day changes after its first look. Days on
    which the spec's metric is not defined (one class only) are left out.

    Parameters
    ----------
    truth
        What `truths` returned for the pairs.
    now
        Processing time, aware.
    """
    known = np.isfinite(truth)
    names, day = days_of(pairs, known)
    if not len(names):
        return ()
    worse = shortfall(
        spec.performance_metric,
        pairs.challenger[known],
        pairs.champion[known],
        truth[known],
        day,
        quantile=spec.monitor.performance.quantile,
    )
    theirs = statistic(
        spec.performance_metric,
        pairs.champion[known],
        truth[known],
        day,
        quantile=spec.monitor.performance.quantile,
    )(np.eye(len(names)))
    return closed(names, day, worse, now - spec.data.target.delay, theirs)


def days_of(pairs: Pairs, known: npt.NDArray[np.bool_]) -> tuple[npt.NDArray[np.str_], npt.NDArray[np.intp]]:
    """Return the event-time days of the pairs that are `known`, and for each pair which one is its."""
    names, day = np.unique(np.asarray(pairs.days.to_pylist(), dtype=str)[known], return_inverse=True)
    return names, day


def closed(
    names: npt.NDArray[np.str_],
    day: npt.NDArray[np.intp],
    worse: Floats,
    last: datetime,
    champion: Floats | None = None,
) -> tuple[DayShortfall, ...]:
    """Return the days that were over at `last` and have a number, with the champion's metric if given."""
    return tuple(
        DayShortfall(
            day=date.fromisoformat(name),
            rows=int(count),
            difference=float(worse[place]),
            champion=None if champion is None else float(champion[place]),
        )
        for place, (name, count) in enumerate(zip(names, np.bincount(day), strict=True))
        if _ends(name) <= last and np.isfinite(worse[place])
    )


def truths(spec: ModelSpec, settings: Settings, pairs: Pairs) -> Floats:
    """Return the label of each pair as far as it has arrived, shape (n,), NaN where not.

    Binary: 0 or 1. Multiclass: the class's place in `target.classes`. Regression: the value.
    """
    arrived = labels.read(spec, settings, as_of=settings.clock.now(), ids=pairs.ids)
    places = pc.index_in(pairs.ids, value_set=arrived["prediction_id"].combine_chunks())
    column = arrived["label"].take(places).combine_chunks()
    if spec.task is Task.MULTICLASS:
        column = pc.index_in(column, value_set=pa.array(spec.data.target.classes, pa.string()))
    values = pc.cast(column, pa.float64())
    return np.asarray(pc.fill_null(values, float("nan")).to_numpy(zero_copy_only=False), dtype=np.float64)


def _scores(spec: ModelSpec, column: pa.ChunkedArray) -> Floats:
    width = len(spec.data.target.classes or ()) or 1
    flat = np.asarray(pc.list_flatten(column).to_numpy(), dtype=np.float64)
    lengths = pc.unique(pc.list_value_length(column)).to_pylist()
    if lengths not in ([width], []):
        raise DataError([Problem("scores", f"must hold {width} a row", f"{lengths}")])
    return flat.reshape(-1, width)


def _ends(day: str) -> datetime:
    return datetime.combine(date.fromisoformat(day), time(), UTC) + timedelta(days=1)
