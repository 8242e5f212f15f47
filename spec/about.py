"""What people say of a model: for whoever reads its card."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from spec.record import Record

_Text = Annotated[str, Field(min_length=1, max_length=2000)]


class About(Record):
    """What no number tells."""

    purpose: _Text | None = None
    """What the model is for, and who decides what with its answers."""
    limits: _Text | None = None
    """What it must not be used for, and whom it does not know."""
    owner: _Text | None = None
    """Who answers for it: a person, a team, an address."""
