"""What a model server's power and time are worth; what nobody states is not reckoned."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from spec.record import Record

_Price = Annotated[float, Field(ge=0)]
_Power = Annotated[float, Field(gt=0)]
JOULES_A_KWH = 3_600_000
_SECONDS_AN_HOUR = 3_600


class Cost(Record):
    """What serving is taken to draw where no counter measures it, and what that costs."""

    watts_per_core: _Power = 4.0
    """Power of one busy core, where the machine shows no energy counter; codecarbon's figure for any CPU."""
    watts_per_gib: _Power = 0.375
    """Power of a GiB of memory, where no counter measures it; codecarbon's 3 W for 8 GiB."""
    price_per_kwh: _Price | None = None
    """Price of a kilowatt hour; null where energy is not paid for by itself."""
    price_per_cpu_hour: _Price | None = None
    """Price of an hour of one core's time, such as a cloud's; null where it is not paid for by itself."""
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] = "EUR"
    """Of the prices."""
    carbon_g_per_kwh: _Price | None = None
    """Grams of CO2 equivalent of a kilowatt hour, where the machine stands; null where not known."""

    def price(self, joules: float, cpu_seconds: float) -> float | None:
        """Return what an amount costs, in `currency`; None where no price is stated."""
        amounts = (
            (self.price_per_kwh, joules / JOULES_A_KWH),
            (self.price_per_cpu_hour, cpu_seconds / _SECONDS_AN_HOUR),
        )
        stated = [price * amount for price, amount in amounts if price is not None]
        return sum(stated) if stated else None
