"""What one monitor says of one window."""

from __future__ import annotations

from dataclasses import dataclass

from monitors.results.records import Measurement, Status


@dataclass(frozen=True, slots=True)
class NoData:
    """Why a number does not exist. Never a pass, never a zero, never NaN."""

    reason: str

    def measurement(self, feature: str | None = None, method: str | None = None) -> Measurement:
        """Return the reason as a row of the results store, under the name ``no_data``."""
        return Measurement("no_data", 1.0, feature=feature, method=method, text=self.reason)


@dataclass(frozen=True, slots=True)
class Finding:
    """A monitor's verdict on `rows` rows, with the numbers behind it."""

    status: Status
    measurements: tuple[Measurement, ...]
    rows: int
