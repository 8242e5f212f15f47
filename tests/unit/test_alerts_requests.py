from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.requests import Notification, RetrainRequest, attempt_of, episode, run_id
from spec import RequestError

START = datetime(2026, 11, 22, 8, tzinfo=UTC)
GROUP = '{}/{action="retrain"}:{action="retrain", model="flights"}'


def alert(
    model: str = "flights", status: str = "firing", starts: str = "2026-11-22T08:00:00Z", **labels: str
) -> Any:
    """Make one alert of a webhook body."""
    names = {"alertname": "TrimtabRetrainNeeded", "model": model, "version": "3"}
    return {
        "status": status,
        "labels": names | {"action": "retrain", "cause": "performance"} | labels,
        "annotations": {"summary": "worse", "description": "0.61 below 0.68"},
        "startsAt": starts,
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus/graph",
        "fingerprint": "ab",
    }


def body(*alerts: Any, **changed: Any) -> bytes:
    """Make a webhook body as Alertmanager sends it."""
    whole = {"version": "4", "groupKey": GROUP, "status": "firing", "alerts": alerts, "truncatedAlerts": 0}
    return json.dumps(whole | changed).encode()


def test_a_body_is_read_and_unknown_keys_are_ignored() -> None:
    """What newer Alertmanagers add does not stop a delivery."""
    read = Notification.read(body(alert(), notification_reason="first notification"))

    assert read.group_key == GROUP
    assert read.alerts[0].starts_at == START


def test_nanoseconds_are_read() -> None:
    """Alertmanager's times have nine decimals."""
    read = Notification.read(body(alert(starts="2026-11-22T08:00:00.123456789Z")))

    assert read.alerts[0].starts_at == START + timedelta(microseconds=123_456)


def test_all_problems_of_a_body_are_told_at_once() -> None:
    """A bad body is refused with every problem, each with its place and what was found."""
    bad = alert(status="perhaps", starts="2026-11-22T08:00:00")
    with pytest.raises(RequestError) as caught:
        Notification.read(body(bad, groupKey="", version="3"))

    places = {problem.where for problem in caught.value.problems}
    assert places == {"version", "groupKey", "alerts.0.status", "alerts.0.startsAt"}
    assert "found 'perhaps'" in str(caught.value)


@pytest.mark.parametrize("text", [b"", b"no json", b"[]", b"{}", b'{"alerts": []}', b"\xff\xfe"])
def test_what_is_no_notification_is_refused(text: bytes) -> None:
    """Nothing but a notification is ever taken for one."""
    with pytest.raises(RequestError):
        Notification.read(text)


def test_only_firing_alerts_with_the_action_ask_for_a_retrain() -> None:
    """Resolved alerts and alerts that only tell people start nothing."""
    told = alert(action="tell")
    read = Notification.read(body(alert(status="resolved"), told, alert("fares")))

    assert list(read.retrains()) == ["fares"]


def test_a_model_is_solved_when_none_of_its_alerts_fires() -> None:
    """A model with one resolved and one firing alert still waits for its retrain."""
    half = [alert(), alert(status="resolved", version="2")]
    read = Notification.read(body(*half, alert("fares", status="resolved")))

    assert read.solved() == {"fares"}


def test_the_oldest_firing_alert_speaks_for_its_model() -> None:
    """The request tells the oldest alert, whatever the order of delivery."""
    late, early = alert(starts="2026-11-22T09:00:00Z", version="9"), alert()
    alerts = Notification.read(body(late, early)).retrains()["flights"]

    assert RetrainRequest.of(GROUP, alerts, START).version == "3"


def test_an_episode_stays_when_its_first_alert_is_resolved() -> None:
    """Of two alerts the later one fires on: it speaks, and no second run is started for it."""
    late = alert(starts="2026-11-22T09:00:00Z", version="9")
    other = alert("fares", status="resolved", starts="2026-11-22T07:00:00Z")
    told = alert(starts="2026-11-22T06:00:00Z", action="tell")
    both, half = (
        RetrainRequest.of(GROUP, Notification.read(body(late, one, other, told)).retrains()["flights"], START)
        for one in (alert(), alert(status="resolved"))
    )

    assert both.episode == half.episode == episode(GROUP, START)
    assert (both.version, half.version) == ("3", "9")


def test_the_conf_is_what_the_dag_declares() -> None:
    """The run is told why, of what, and when by the clock; all of it JSON."""
    now = datetime(2013, 6, 1, 12, tzinfo=UTC)
    request = RetrainRequest.of(GROUP, Notification.read(body(alert())).retrains()["flights"], now)

    assert json.loads(json.dumps(request.conf())) == {
        "schema_version": 1,
        "model": "flights",
        "reason": "performance",
        "alert": "TrimtabRetrainNeeded",
        "version": "3",
        "requested_at": "2013-06-01T12:00:00+00:00",
        "summary": "worse",
        "description": "0.61 below 0.68",
        "episode": request.episode,
    }


def test_an_episode_is_its_group_and_start_alone() -> None:
    """A growing group, a repeat and a changed text stay one episode; a new start is a new one."""
    one = Notification.read(body(alert())).retrains()["flights"]
    grown = Notification.read(body(alert(starts="2026-11-22T10:00:00Z", version="4"), alert())).retrains()[
        "flights"
    ]
    again = Notification.read(body(alert(starts="2026-11-22T10:00:00Z"))).retrains()["flights"]

    first, second, third = (RetrainRequest.of(GROUP, alerts, START).episode for alerts in (one, grown, again))
    assert first == second != third


def test_an_episode_does_not_depend_on_the_zone_its_start_is_written_in() -> None:
    """The same instant is the same episode."""
    berlin = datetime.fromisoformat("2026-11-22T09:00:00+01:00")

    assert episode(GROUP, berlin) == episode(GROUP, START) == "3f47ddae4d575013"


@given(attempt=st.integers(1, 10_000), group=st.text(min_size=1))
def test_run_ids_are_airflows_and_tell_their_attempt(attempt: int, group: str) -> None:
    """Every run id is one that Airflow accepts, and its attempt can be read back from it alone."""
    of = episode(group, START)
    name = run_id(of, attempt)

    assert name.replace("-", "").replace(".", "").isalnum()
    assert len(name) <= 250
    assert attempt_of(name, of) == attempt
    assert attempt_of(name, episode(group + "x", START)) == 0


@pytest.mark.parametrize(
    "other", ["manual__2026", "alert-", "alert-0123456789abcdef.x", "alert-0123456789abcdef2"]
)
def test_other_runs_are_no_attempt(other: str) -> None:
    """A run of a person, a schedule or another episode is no attempt of this one."""
    assert attempt_of(other, "0123456789abcdef") == 0
