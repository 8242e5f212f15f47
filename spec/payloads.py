"""KServe's payload log as a source of the inference log."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import Field

from spec.record import Record
from spec.units import Duration


class Payloads(Record):
    """What the receiver of KServe's payloads must know."""

    service: Annotated[str, Field(pattern=r"^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$")] | None = None
    """Name of the InferenceService; null: as `TRIMTAB_ROUTES` says where KServe divides the traffic, else the
    model's with `-` for `_`."""
    version: Annotated[str, Field(min_length=1, coerce_numbers_to_str=True)] | None = None
    """The version of answers that name none; null turns them away."""
    patience: Duration = timedelta(minutes=10)
    """How long a request or a response waits for its other half, before it is dropped and counted."""
