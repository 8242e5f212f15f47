"""What a model server takes on, and what it runs the model on."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field, field_validator

from spec.record import Record
from spec.units import Duration, Size

Provider = Literal["cpu", "openvino", "cuda", "tensorrt"]


class Serving(Record):
    """The limits of a model server, and the means it answers with."""

    queue: Annotated[int, Field(ge=1)] = 256
    """Most requests that wait or are worked on at once; one more is answered with 429 and a `Retry-After`."""
    deadline: Duration = timedelta(seconds=10)
    """How long a request may wait for its turn before it is answered with 504; the gateway's own timeout.
    A request may ask for less."""
    rows: Annotated[int, Field(ge=1)] = 100_000
    """Most rows of one request."""
    body: Size = 16 * 2**20
    """Most bytes of one request."""
    batch: Annotated[int, Field(ge=1)] = 16
    """Most waiting requests that are run through the model together, where its own warm-up shows that this
    pays; 1 for each alone. Nobody is made to wait for others to come."""
    cache: Annotated[int, Field(ge=0)] = 0
    """Rows whose answers are kept for the case that the same values come again; 0 for none."""
    threads: Annotated[int, Field(ge=1)] = 1
    """Threads of ONNX Runtime within one run of the model. Small requests are slower with more than one."""
    providers: Annotated[tuple[Provider, ...], Field(min_length=1)] | Literal["auto"] = ("cpu",)
    """What runs the model, the best first; what this ONNX Runtime does not have is passed over with a
    warning, and the CPU always comes last. `auto` measures each that is there and takes the fastest that
    answers as the CPU does."""

    @field_validator("providers")
    @classmethod
    def _names_each_once(cls, value: tuple[Provider, ...] | str) -> tuple[Provider, ...] | str:
        if len(set(value)) != len(value) and not isinstance(value, str):
            msg = "must name each provider once"
            raise ValueError(msg)
        return value
