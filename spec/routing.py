"""Which requests go to which version by what they carry, while a rollout is under way."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from spec.record import Record

_TOKEN = r"^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}$"  # noqa: S105 - RFC 9110's name of a name, no secret
TESTER = "x-trimtab-tester"
"""Header by which a router tells a model server that the request chose its version; only routers set it."""
NO_VERSION = "x-trimtab-no-version"
"""Header of a model server's answer that no version gave, for none is loaded: another slot may be asked."""
LOADING = "loading"
"""Value of `NO_VERSION` while the slot loads one: it may be asked again."""
_OURS = ("host", "cookie", "content-length", "content-type", "x-request-id", TESTER)


def _is_free(name: str) -> str:
    lower = name.lower()
    if lower in _OURS:
        msg = f"must be a header of the caller's own, not one of {', '.join(_OURS)}"
        raise ValueError(msg)
    return lower


HeaderName = Annotated[str, Field(pattern=_TOKEN), AfterValidator(_is_free)]
"""A header's name, in lower case."""
CookieName = Annotated[str, Field(pattern=_TOKEN, max_length=50)]
"""A cookie's name, as long as Envoy's bound on regular expressions lets it be."""


class Sticky(Record):
    """By what the same user keeps the same version while weights grow: one header or one cookie.

    Who has met the challenger goes on meeting it at later steps. A request without it is assigned at random.
    """

    header: HeaderName | None = None
    """Header that names the user, such as `x-user-id`."""
    cookie: CookieName | None = None
    """Cookie that names the user; none is set."""

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if (self.header is None) == (self.cookie is None):
            msg = "must be one header or one cookie"
            raise ValueError(msg)
        return self


class Testers(Record):
    """How a request chooses its version itself: `challenger`, `champion` or a slot in a header or a cookie.

    It goes there at every step, in shadow as well, and any other value is no choice. Such requests are chosen
    and not drawn: no gate, no monitor and no metric of live traffic counts them. Without a rollout under way
    all requests go to the champion.
    """

    header: HeaderName | None = None
    """Header with the choice, such as `x-trimtab-version`."""
    cookie: CookieName | None = None
    """Cookie with the choice; the header goes before it."""

    @model_validator(mode="after")
    def _is_some(self) -> Self:
        if self.header is None and self.cookie is None:
            msg = "must be a header, a cookie or both"
            raise ValueError(msg)
        return self
