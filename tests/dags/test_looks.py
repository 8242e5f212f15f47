"""How long a judge waits for its next look."""

from __future__ import annotations

from datetime import timedelta

import pytest

from dags import looks


@pytest.mark.parametrize(
    ("lease_s", "first_s", "usual_s"),
    [(120, 7, 6), (600, 30, 30), (40, 7, 2), (8, 2, 0.4)],
)
def test_the_first_look_waits_until_airflow_knows_of_the_deferral(
    lease_s: float, first_s: float, usual_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is as late as a worker's end may be noticed, as far as the lease allows it; those behind are not."""
    monkeypatch.setattr(looks, "FIRST_S", 7.0)

    assert looks.pause(timedelta(seconds=lease_s), first=True) == pytest.approx(first_s)
    assert looks.pause(timedelta(seconds=lease_s), first=False) == pytest.approx(usual_s)


def test_a_heartbeat_of_the_workers_may_pass_before_the_first_look() -> None:
    """Airflow's default is five seconds."""
    assert looks.FIRST_S > 5.0
