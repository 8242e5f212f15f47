"""Which conversions a stated unit can meet: a temperature is never taken for a distance in other units."""

from __future__ import annotations

TEMPERATURES = frozenset({"degF", "°F", "F", "degC", "°C", "C", "K"})
_OF = {
    "minutes and seconds, or hours and minutes": {"s", "sec", "min", "h"},
    "hours and seconds": {"s", "sec", "h"},
    "days and hours": {"h", "d", "days"},
    "miles and kilometres": {"mi", "miles", "km", "mph", "km/h"},
    "feet and metres": {"ft", "m"},
    "inches and centimetres": {"in", "cm"},
    "inches and millimetres": {"in", "mm"},
    "pounds and kilograms": {"lb", "kg"},
    "knots and km/h": {"kn", "kt", "km/h"},
    "m/s and km/h": {"m/s", "km/h"},
    "mph and m/s": {"mph", "m/s"},
    "inHg and hPa": {"inHg", "hPa", "mbar"},
    "psi and kPa": {"psi", "kPa"},
    "radians and degrees": {"rad", "deg"},
    "gallons and litres": {"gal", "l"},
}
_KNOWN = TEMPERATURES.union(*_OF.values())


def meets(unit: str | None, conversion: str) -> bool:
    """Return whether a number of a unit can be hit by a known conversion; of an unknown unit by any.

    Parameters
    ----------
    conversion
        Its name: of a factor as in `unit_change`, of temperatures such as ``°F to °C``.
    """
    if unit is None or unit not in _KNOWN:
        return True
    if unit in TEMPERATURES:
        return " to " in conversion
    return unit in _OF[conversion] if conversion in _OF else " to " not in conversion
