"""What a request says beside its tensors: ids, event times, and which outputs it wants."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from serving.tensors import json_name
from spec import Problem, did_you_mean

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TIME_END = datetime(2262, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def read(content: Mapping[str, Any], problems: list[Problem]) -> Mapping[str, Any]:
    """Return the request's ``parameters``; unknown ones are ignored, as the protocol says."""
    parameters = content.get("parameters")
    if parameters is None:
        return {}
    if type(parameters) is not dict:
        problems.append(Problem("parameters", "must be an object", json_name(parameters)))
        return {}
    return parameters


def ids(parameters: Mapping[str, Any], rows: int, problems: list[Problem]) -> list[str] | None:
    """Return ``ids``, a prediction id a row, or None where the request gives none."""
    given = parameters.get("ids")
    if given is None:
        return None
    if (
        type(given) is not list
        or not all(type(one) is str and one for one in given)
        or len(set(given)) < len(given)
        or (rows and len(given) != rows)
    ):
        must = f"must be a list of {rows or 'as many'} different non-empty strings, one a row"
        problems.append(Problem("parameters.ids", must, repr(given)[:60]))
        return None
    return given


def ids_of(identity: str, rows: int) -> list[str]:
    """Return the prediction ids of a request that gives none: its own, with the row's number behind it."""
    return [identity] if rows == 1 else [f"{identity}/{row}" for row in range(rows)]


def event_times(parameters: Mapping[str, Any], rows: int, problems: list[Problem]) -> list[int] | None:
    """Return microseconds since the epoch, one a row, or None when the request gives no time."""
    one, many = parameters.get("event_time"), parameters.get("event_times")
    if one is not None and many is not None:
        problems.append(Problem("parameters", "must hold one of event_time and event_times", "both"))
    if many is not None:
        if type(many) is not list or (rows and len(many) != rows):
            must = f"must be a list of {rows or 'as many'} times, one a row"
            problems.append(Problem("parameters.event_times", must, repr(many)[:60]))
            return None
        return [_time(value, f"parameters.event_times[{row}]", problems) for row, value in enumerate(many)]
    if one is not None:
        return [_time(one, "parameters.event_time", problems)] * rows
    return None


def timeout(parameters: Mapping[str, Any], problems: list[Problem]) -> float | None:
    """Return the seconds that the caller waits for its turn: ``timeout``, microseconds as Triton has it."""
    given = parameters.get("timeout")
    if given is None:
        return None
    if type(given) is not int or given <= 0:
        must = "must be a whole number of microseconds above 0"
        problems.append(Problem("parameters.timeout", must, repr(given)[:60]))
        return None
    return given / 1e6


def _time(value: object, where: str, problems: list[Problem]) -> int:
    """Return microseconds since the epoch."""
    hint = 'Like "2013-07-01T08:15:00Z"'
    try:
        time = datetime.fromisoformat(value) if type(value) is str else None
    except ValueError:
        time = None
    if time is None or time.tzinfo is None:
        must = "must be an ISO 8601 time with a time zone"
        problems.append(Problem(where, must, repr(value)[:60], hint))
        return 0
    if not _EPOCH <= time < _TIME_END:
        problems.append(Problem(where, "must lie between the years 1970 and 2261", repr(value), hint))
        return 0
    return (time - _EPOCH) // _MICROSECOND


def outputs(
    requested: object, known: Collection[str], parameters: Mapping[str, Any], problems: list[Problem]
) -> dict[str, bool]:
    """Return which outputs to answer, in the order asked for, and whether as bytes; all of them by default.

    ``binary_data_output`` of the request stands for the ``binary_data`` of outputs that name none.
    """
    usual = _flag(parameters, "binary_data_output", "parameters", problems, usual=False)
    if requested is None:
        return dict.fromkeys(known, usual)
    if type(requested) is not list:
        problems.append(Problem("outputs", "must be a list of {name}", json_name(requested)))
        return {}
    named: dict[str, bool] = {}
    for index, output in enumerate(requested):
        name = output.get("name") if type(output) is dict else None
        if type(name) is not str or name not in known:
            hint = did_you_mean(name if type(name) is str else "", known)
            problems.append(Problem(f"outputs[{index}].name", "must be an output", repr(name), hint))
        elif name in named:
            problems.append(Problem(f"outputs[{index}]: {name}", "must be asked for once", "a second time"))
        else:
            own, where = output.get("parameters"), f"outputs[{index}].parameters"
            named[name] = _flag(own if type(own) is dict else {}, "binary_data", where, problems, usual=usual)
    return named or dict.fromkeys(known, usual)


def _flag(
    parameters: Mapping[str, Any], name: str, where: str, problems: list[Problem], *, usual: bool
) -> bool:
    value = parameters.get(name, usual)
    if type(value) is not bool:
        problems.append(Problem(f"{where}.{name}", "must be true or false", repr(value)[:60]))
        return usual
    return value
