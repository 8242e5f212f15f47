"""Why a request came, by what routers say of it."""

import pytest

from serving.origin import Origin, origin_of


@pytest.mark.parametrize(
    ("host", "tester", "origin"),
    [
        (b"tides.example", b"", Origin.LIVE),
        (b"", b"", Origin.LIVE),
        (b"tides.example-shadow", b"", Origin.MIRRORED),
        (b"tides.example-shadow:8080", b"", Origin.MIRRORED),
        (b"shadow.example:8080", b"", Origin.LIVE),
        (b"tides.example", b"challenger", Origin.TESTER),
        (b"tides.example-shadow", b"challenger", Origin.MIRRORED),
    ],
)
def test_origin_is_told_by_the_router(host: bytes, tester: bytes, origin: Origin) -> None:
    """A copy is a copy whatever else its request carried; a tester's request is neither live nor a copy."""
    assert origin_of(host, tester) is origin


@pytest.mark.parametrize("tester", [b"", b"challenger"])
def test_a_copy_by_its_port_needs_no_host(tester: bytes) -> None:
    """What came by the port for copies is one, whatever its headers say."""
    assert origin_of(b"", tester, is_copy=True) is Origin.MIRRORED


def test_readers_of_two_kinds_leave_the_third_out() -> None:
    """Labels and the log's values differ for each origin; a tester's is null, which no comparison finds."""
    assert [origin.label for origin in Origin] == ["false", "true", "tester"]
    assert [origin.shadow for origin in Origin] == [False, True, None]
