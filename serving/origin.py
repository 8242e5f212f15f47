"""Why a request came to this slot: drawn for it, copied to it, or because its sender named the version."""

from __future__ import annotations

from enum import IntEnum

from spec.routing import TESTER


class Origin(IntEnum):
    """Also the place of the origin's series among those of a version."""

    LIVE = 0
    """A caller's request, sent here by its weight."""
    MIRRORED = 1
    """A copy of a live request; its answer is dropped."""
    TESTER = 2
    """Its sender chose the version: it says nothing of the traffic that the version would get."""

    @property
    def label(self) -> str:
        """Value of the label `shadow`."""
        return ("false", "true", "tester")[self]

    @property
    def shadow(self) -> bool | None:
        """Value of the log's column `shadow`; None is neither, so no reader of either kind gets the row."""
        return (False, True, None)[self]


TESTER_HEADER = TESTER.encode()
COPY_HEADER = b":copy"
"""Stands on what came by a port for copies. No caller can send it: the name of a header holds no colon."""


def origin_of(host: bytes, tester: bytes, *, is_copy: bool = False) -> Origin:
    """Tell it by two headers that routers set, or by the port.

    Envoy sends the mirrored copy with ``-shadow`` behind the host's name; on a request that named its version
    every router sets `spec.routing.TESTER`, and takes it from all others.

    Parameters
    ----------
    host
        Empty where copies come by a port of their own: there it is the caller's word.
    """
    if is_copy or host.endswith(b"-shadow") or b"-shadow:" in host:
        return Origin.MIRRORED
    return Origin.TESTER if tester else Origin.LIVE
