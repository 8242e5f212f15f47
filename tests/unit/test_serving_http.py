from collections.abc import Iterable
from typing import Any

import orjson
import pytest

import spec
from serving.http import BODY_LIMIT_BYTES, HttpError, Receive, error_response, read_body


def receiver(*messages: dict[str, Any]) -> Receive:
    """An ASGI receive that gives these messages one after the other."""
    waiting = iter(messages)

    async def receive() -> dict[str, Any]:
        return next(waiting)

    return receive


def chunks(sizes: Iterable[int]) -> list[dict[str, Any]]:
    """A body in parts of these sizes."""
    parts = [{"type": "http.request", "body": b"x" * size, "more_body": True} for size in sizes]
    parts[-1]["more_body"] = False
    return parts


def scope(length: int | None = None) -> dict[str, Any]:
    """A request, with its length declared or not."""
    return {"headers": [] if length is None else [(b"content-length", str(length).encode())]}


async def test_a_body_in_parts_is_put_together() -> None:
    """The body is the parts in order, however it was cut."""
    assert await read_body(scope(6), receiver(*chunks([1, 0, 5]))) == b"x" * 6
    assert await read_body(scope(), receiver(*chunks([3]))) == b"xxx"


async def test_the_limit_is_exact() -> None:
    """A body of just the limit is read, one byte more is a 413."""
    half = BODY_LIMIT_BYTES // 2
    assert len(await read_body(scope(), receiver(*chunks([half, half])))) == BODY_LIMIT_BYTES
    with pytest.raises(HttpError, match="must not be larger") as caught:
        await read_body(scope(), receiver(*chunks([half, half, 1])))

    assert caught.value.status == 413


async def test_a_huge_body_is_not_read_at_all() -> None:
    """A declared length far beyond the limit is refused before the first byte."""
    with pytest.raises(HttpError) as caught:
        await read_body(scope(2**40), receiver())

    assert caught.value.status == 413


async def test_a_body_without_end_is_cut_off() -> None:
    """An undeclared body that goes on and on is refused at last."""
    endless = [{"type": "http.request", "body": bytes(2**20), "more_body": True}] * 100
    with pytest.raises(HttpError) as caught:
        await read_body(scope(), receiver(*endless))

    assert caught.value.status == 413


async def test_a_client_that_leaves_is_noticed() -> None:
    """Half a body is never taken for a whole one."""
    half = {"type": "http.request", "body": b"{", "more_body": True}
    with pytest.raises(HttpError, match="closed the connection"):
        await read_body(scope(), receiver(half, {"type": "http.disconnect"}))


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (spec.RequestError([]), 400),
        (spec.DataError([]), 422),
        (spec.NotFound("x"), 404),
        (spec.Refused("x"), 409),
        (spec.Unavailable("x"), 503),
        (spec.SettingsError([]), 500),
        (spec.TrimtabError("x"), 500),
        (HttpError(405, "x"), 405),
    ],
)
def test_each_error_has_its_status(error: Exception, status: int) -> None:
    """The error tree maps to HTTP; what is the server's own fault is a 5xx."""
    assert error_response(error).status == status


def test_problems_are_one_line() -> None:
    """An error of many problems is one line of text under the key error."""
    error = spec.RequestError([spec.Problem("a", "must be b", "c"), spec.Problem("d", "must be e")])

    assert orjson.loads(error_response(error).body) == {"error": "a: must be b; found c; d: must be e"}
