"""CloudEvents in their three content modes."""

import base64
import json
from typing import Any

import pytest

from serving.payloads.event import Event, parse
from spec import RequestError

HEADERS = {
    "ce-specversion": "1.0",
    "ce-id": "42",
    "ce-source": "http://localhost:9081/",
    "ce-type": "org.kubeflow.serving.inference.request",
    "ce-time": "2024-02-29T12:00:00.123456789Z",
    "ce-inferenceservicename": "tides",
    "ce-namespace": "harbour",
    "ce-endpoint": "",
}
STRUCTURED = {name[3:]: value for name, value in HEADERS.items()}


def read(body: bytes, **headers: str) -> list[Event | RequestError]:
    """Parse a delivery as an ASGI server hands it on."""
    return parse([(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()], body)


def only(events: list[Event | RequestError]) -> Event:
    """The one good event."""
    (event,) = events
    assert isinstance(event, Event)
    return event


def structured(**more: Any) -> bytes:
    """An event as JSON."""
    return json.dumps(STRUCTURED | more).encode()


def problems(error: RequestError | None) -> dict[str, str]:
    """What is wrong, by place."""
    assert error is not None
    return {problem.where: problem.found for problem in error.problems}


def test_a_binary_event_is_its_headers_and_its_body() -> None:
    """Attributes come from the headers, empty ones are none, and the content type is the caller's own."""
    body = b'{"instances": [[1]]}'
    event = only(read(body, **HEADERS, content_type="application/x-www-form-urlencoded"))

    assert event.data == body
    assert event.id == "42"
    assert event.attributes["inferenceservicename"] == "tides"
    assert "endpoint" not in event.attributes
    assert event.time == 1_709_208_000_123_456


def test_header_values_may_be_percent_encoded() -> None:
    """What HTTP headers cannot hold comes percent-encoded, as the standard says."""
    event = only(read(b"", **(HEADERS | {"ce-annotations": "%7B%22port%22: %22K%C3%B8ge%22%7D"})))

    assert event.attributes["annotations"] == '{"port": "Køge"}'


@pytest.mark.parametrize(
    "data",
    [
        {"data": {"instances": [[1]]}},
        {"data": '{"instances":[[1]]}'},
        {"data_base64": base64.b64encode(b'{"instances":[[1]]}').decode()},
    ],
    ids=["json", "text", "bytes"],
)
def test_a_structured_event_holds_its_data(data: dict[str, Any]) -> None:
    """Data may be JSON, text, or base64 of bytes: the same event as in binary mode."""
    event = only(read(structured(**data), content_type="application/cloudevents+json; charset=utf-8"))

    assert event.data == b'{"instances":[[1]]}'
    assert event.attributes == {name: value for name, value in STRUCTURED.items() if value}


def test_a_batch_tells_good_events_from_bad_ones() -> None:
    """Each event of a batch stands for itself."""
    batch = [STRUCTURED, 7, STRUCTURED | {"id": ""}, STRUCTURED | {"data_base64": "?"}]
    good, number, nameless, garbled = read(
        json.dumps(batch).encode(), content_type="application/cloudevents-batch+json"
    )

    assert isinstance(good, Event)
    assert isinstance(number, RequestError)
    assert problems(number) == {"[1]": "an integer"}
    assert isinstance(nameless, RequestError)
    assert problems(nameless) == {"[2].id": "none"}
    assert isinstance(garbled, RequestError)
    assert list(problems(garbled)) == ["[3].data_base64"]


def test_everything_that_is_wrong_is_told_at_once() -> None:
    """A request that is no event at all is refused with all that it lacks."""
    with pytest.raises(RequestError) as caught:
        read(b"{}", content_type="application/json", ce_time="noon")

    wrong = problems(caught.value)
    assert list(wrong) == [f"header ce-{name}" for name in ("id", "source", "type", "specversion", "time")]


@pytest.mark.parametrize("time", ["2024-02-29T12:00:00", "1969-12-31T23:59:59Z", "2262-01-01T00:00:00Z", "x"])
def test_a_time_has_a_zone_and_fits_the_log(time: str) -> None:
    """Times without a zone, or beyond what the log can hold, are refused."""
    with pytest.raises(RequestError) as caught:
        read(b"{}", **(HEADERS | {"ce-time": time}))

    assert problems(caught.value) == {"header ce-time": repr(time)}


@pytest.mark.parametrize("kind", ["application/cloudevents+json", "application/cloudevents-batch+json"])
@pytest.mark.parametrize("body", [b"{", b"\xff", b'"text"'])
def test_a_body_that_is_no_event_is_refused(kind: str, body: bytes) -> None:
    """Neither broken JSON nor JSON of another shape gets through."""
    try:
        (found,) = read(body, content_type=kind)
    except RequestError as error:
        found = error

    assert isinstance(found, RequestError)
    assert list(problems(found)) == ["body"]
