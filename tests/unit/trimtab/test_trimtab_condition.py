from __future__ import annotations

import io
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from monitors.results.records import Event, Measurement, MonitorName, Status, WindowResult
from monitors.results.store import Store
from monitors.triage import Action, Cause, TrainingWindow, Triage, episodes
from monitors.windows import Window
from spec import ModelSpec, NotFound, Settings, loads
from trimtab import condition
from trimtab.cli import cli
from trimtab.condition.next_action import next_action

YAML = """
model: shop
task: binary
data: {inference_log: log, labels: labels, id: id, time: t, target: {name: y, delay: 1d}}
features: {amount: numeric, country: {type: categorical, protected: true}}
monitor: {data_drift: {over: 1}, performance: {over: 1}, slices: [country]}
retrain: {cooldown: 2d, budget: 2/week, give_up_after: 2}
"""
SPEC = loads(YAML)
DAY = timedelta(days=1)
NOW = datetime(2024, 5, 10, 12, tzinfo=UTC)
END = datetime(2024, 5, 10, tzinfo=UTC)


def triage(action: Action, cause: Cause, **more: Any) -> Triage:
    """A decision on version 1."""
    return Triage("shop", "1", action, cause, END, "Labels show harm.", ("The loss has risen.",), **more)


def event(kind: str, outcome: str, ago: timedelta, **payload: Any) -> Event:
    """Something that happened to the shop before now."""
    return Event("shop", kind, f"{kind} {outcome}", NOW - ago, {"outcome": outcome, **payload})


def told(*events: Event, spec: ModelSpec = SPEC, cause: Cause = Cause.PERFORMANCE) -> str:
    """What happens next to a model that is to be retrained."""
    return next_action(spec, triage(Action.RETRAIN, cause), events, NOW)


def result(
    monitor: MonitorName, *numbers: Measurement, status: Status = "ok", end: datetime = END
) -> WindowResult:
    """A result of version 1 in the day before `end`."""
    start = end - DAY
    return WindowResult("shop", "1", monitor, start, end, 900, status, numbers, NOW, 0.1, None, "abc")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A home with a clock that stands still, and a folder of models."""
    clock = tmp_path / "clock"
    clock.write_text(NOW.isoformat())
    models = tmp_path / "models"
    models.mkdir()
    (models / "shop.yaml").write_text(YAML)
    return Settings.from_env(
        {"TRIMTAB_HOME": str(tmp_path), "TRIMTAB_MODELS": str(models), "TRIMTAB_CLOCK": str(clock)}
    )


def fill(settings: Settings, *results: WindowResult, decided: Triage | None = None) -> None:
    """Store what monitors found, and a decision an hour before now."""
    with Store(settings.results_url) as store:
        for one in results:
            store.save(one)
        if decided is not None:
            episodes.save(store, decided, DAY, NOW - DAY / 24, 0.1)


def screen(settings: Settings) -> str:
    """The screen in a terminal of 100 columns."""
    file = io.StringIO()
    console = Console(file=file, width=100, color_system=None, highlight=False)
    condition.draw(console, SPEC, condition.look(SPEC, settings))
    return file.getvalue()


def lines_of(settings: Settings, name: str) -> tuple[str, ...]:
    """What is said of one monitor."""
    return next(one.lines for one in condition.look(SPEC, settings).findings if one.name == name)


def test_nothing_in_the_way_means_that_the_alert_retrains() -> None:
    """A wanted retrain with no cooldown and no run under way is only a delivery away."""
    assert "starts a retrain as soon as" in told()


def test_what_is_under_way_comes_first() -> None:
    """A retrain or rollout that began and has not ended is what happens next; one that ended is not."""
    began = event("retrain", "started", DAY / 24)
    ended = event("retrain", "accepted", DAY / 48)
    rolls = event("rollout", "started", DAY / 96)

    assert told(began).startswith("A retrain is under way since 2024-05-10 11:00")
    assert "under way" not in told(began, ended)
    assert told(began, ended, rolls).startswith("A rollout is under way")


def test_a_cooldown_tells_its_end() -> None:
    """Two days after the last retrain was asked for, by the clock of its request."""
    asked = {"reason": "performance", "requested_at": (NOW - DAY).isoformat()}
    events = event("retrain", "started", DAY, request=asked), event("retrain", "accepted", DAY / 2)

    assert told(*events).startswith("The cooldown ends at 2024-05-11 12:00")


def test_budget_circuit_breaker_and_spec_hold_a_retrain_back() -> None:
    """Each says why: the week's retrains are spent, candidates lost in a row, a cause that is not wanted."""
    spent = [
        one
        for days in (6, 4)
        for one in (
            event("retrain", "started", days * DAY, request={"reason": "manual"}),
            event("retrain", "accepted", days * DAY),
        )
    ]
    lost = [
        one
        for days in (20, 10)
        for one in (event("retrain", "started", days * DAY), event("retrain", "rejected", days * DAY))
    ]
    unwanted = loads(YAML.replace("retrain: {", "retrain: {on: [harmful_drift], "))

    assert "The budget of 2/week" in told(*spent)
    assert "2 candidates of shop in a row" in told(*lost)
    assert "trimtab retrain shop" in told(spec=unwanted)
    assert "Nobody retrains by itself" in told(spec=unwanted)


@pytest.mark.parametrize(
    ("action", "words"),
    [
        (Action.FIX_DATA, "repairs the source"),
        (Action.FIX_INFRA, "looks at the service"),
        (Action.COLLECT_LABELS, "trimtab labels append shop FILE"),
        (Action.WATCH, "another look"),
        (Action.NONE, "Nothing."),
    ],
)
def test_every_decision_has_a_next_step(action: Action, words: str) -> None:
    """What is not retrained says who does what."""
    assert words in next_action(SPEC, triage(action, Cause.QUALITY), (), NOW)


def test_the_calendar_is_told() -> None:
    """A model that is well and retrained by the calendar tells its next date: Mondays at three."""
    spec = loads(YAML.replace("retrain: {", 'retrain: {on: [{schedule: "0 3 * * 1"}], '))

    assert next_action(spec, None, (), NOW) == (
        "Nothing; the calendar asks for a retrain at 2024-05-13 03:00."
    )


def test_what_is_missing_says_why(settings: Settings) -> None:
    """Before the first window, every monitor is told as unknown, and why; nothing is called well."""
    seen = screen(settings)

    assert "NOTHING KNOWN" in seen
    assert "no window is judged yet; labels come 1d later" in lines_of(settings, "realised")
    assert "ALL WELL" not in seen
    assert condition.look(SPEC, settings).needs_somebody


def test_a_reason_for_no_data_is_passed_on(settings: Settings) -> None:
    """What a monitor gives as its reason is what the screen says."""
    reason = Measurement("no_data", 1.0, text="12 labelled rows; 200 are needed")
    fill(settings, result("performance", reason, status="no_data"))

    assert lines_of(settings, "realised") == ("12 labelled rows; 200 are needed",)


def test_figures_stand_beside_their_limits(settings: Settings) -> None:
    """Performance with interval, limit and label coverage; the estimate with its band; p99 and objective."""
    fill(
        settings,
        result(
            "performance",
            Measurement("performance", 0.71, method="roc_auc", low=0.69, high=0.73, limit=0.74, n=880),
            Measurement("labels_available_ratio", 0.98, n=900),
            Measurement("label_delay_seconds", 5400.0, method="p50"),
            status="alarm",
        ),
        result(
            "estimate",
            Measurement(
                "estimated_performance", 0.72, method="roc_auc", low=0.7, high=0.74, limit=0.74, text="cbpe"
            ),
        ),
        result("latency", Measurement("latency_seconds", 0.012, method="p99")),
    )

    assert lines_of(settings, "realised") == (
        "roc_auc 0.7100 [0.6900, 0.7300], at least 0.7400",
        "98% of 900 predictions labelled, half of them within 90 min",
    )
    assert lines_of(settings, "estimated") == ("roc_auc 0.7200 [0.7000, 0.7400], at least 0.7400, by cbpe",)
    assert lines_of(settings, "service") == ("p99 12 ms, objective 50 ms, 900 requests",)


def test_drift_names_what_costs_most_and_since_when(settings: Settings) -> None:
    """The row of alarms began two windows ago; the costliest feature comes first with its distance."""
    numbers = (
        Measurement("feature_drift_score", 0.3, "amount", "wasserstein", limit=0.1),
        Measurement("feature_drift_score", 0.15, "country", "psi", limit=0.1),
        Measurement("feature_drift_cost", 0.8, "amount"),
        Measurement("feature_drift_cost", 0.2, "country"),
        Measurement("drifted_features_ratio", 1.0, limit=0.5),
    )
    before = result("drift", numbers[-1], status="ok", end=END - 2 * DAY)
    drifted = (result("drift", *numbers, status="alarm", end=END - days * DAY) for days in (1, 0))
    fill(settings, before, *drifted)

    head, first, second = lines_of(settings, "drift")

    assert head == "100% of 2 features drifted, alarm from 50%, since 2024-05-08"
    assert first == "amount: 80% of the cost, wasserstein 0.3 of 0.1"
    assert second.startswith("country")


def test_faults_and_groups_are_named(settings: Settings) -> None:
    """Violations, the slice that became worse, the worst declared one, and the group beyond its limit."""
    fill(
        settings,
        result(
            "quality", Measurement("violations", 90, "amount", "null_rate", text="10% null"), status="alarm"
        ),
        result(
            "slices",
            Measurement("worst_slice", 0.1, "country=fr", "brier", text="country=fr: brier 0.3 now"),
            Measurement("slice_performance", 0.6, "country=fr", "roc_auc", low=0.5, high=0.7),
            Measurement("slice_performance", 0.9, "country=de", "roc_auc", low=0.8, high=1.0),
            Measurement("fairness", 0.2, "country", "equalized_odds", low=0.15, high=0.25, limit=0.1),
            status="alarm",
        ),
    )
    marks = {one.name: one.status for one in condition.look(SPEC, settings).findings}

    assert lines_of(settings, "data") == ("amount: 10% null",)
    assert lines_of(settings, "slices") == (
        "country=fr: brier 0.3 now",
        "the worst declared is country=fr: roc_auc 0.6000 [0.5000, 0.7000]",
    )
    assert lines_of(settings, "fairness") == (
        "equalized_odds by country 0.200 [0.1500, 0.2500], at most 0.100",
    )
    assert (marks["data"], marks["slices"], marks["fairness"]) == ("alarm", "alarm", "alarm")


def test_the_screen_begins_with_the_decision(settings: Settings) -> None:
    """Decision, cause, reason, evidence, training window and next step fit one screen, in this order."""
    window = Window(END - DAY, END)
    training = TrainingWindow(END - 3 * DAY, 1.0, (window,), "The old concept is dropped.")
    loss = Measurement("concept_drift", 0.2, method="risk_test", limit=0.1)
    fill(
        settings,
        result("concept", loss, status="alarm"),
        decided=triage(Action.RETRAIN, Cause.PERFORMANCE, training=training),
    )

    seen = screen(settings)
    order = ["RETRAIN", "Labels show harm.", "The loss has risen.", "train on", "next", "✗ concept"]

    assert sorted(order, key=seen.index) == order
    assert "events from 2024-05-07, without 1 faulty window. The old concept is dropped." in seen
    assert len(seen.splitlines()) <= 40
    assert max(map(len, seen.splitlines())) <= 100


def test_a_model_with_everything_wrong_fits_one_screen(settings: Settings) -> None:
    """Whatever was found is cut to the gravest, so that 40 lines of 100 columns hold it."""
    long = (
        "The loss rose by 0.021 [0.015, 0.027]; most of it because the relation changed where amount > 120."
    )
    names = [f"feature {number}" for number in range(20)]
    numbers: dict[MonitorName, list[Measurement]] = {
        "performance": [Measurement("performance", 0.7, method="roc_auc", low=0.6, high=0.8, limit=0.9)],
        "estimate": [Measurement("estimated_performance", 0.7, method="roc_auc", text="pape")],
        "concept": [
            Measurement("concept_drift", 0.2, method="risk_test"),
            Measurement("risk", 0.2),
            Measurement("onset_timestamp_seconds", END.timestamp(), text=long),
        ],
        "drift": [
            *(Measurement("feature_drift_cost", 0.05, name) for name in names),
            *(Measurement("feature_drift_score", 0.3, name, "psi", limit=0.1) for name in names),
            Measurement("drifted_features_ratio", 1.0),
        ],
        "quality": [Measurement("violations", 9, name, "null_rate", text="10% null") for name in names],
        "latency": [Measurement("latency_seconds", 0.2, method="p99")],
        "slices": [Measurement("worst_slice", 0.1, name, "brier", text=long) for name in names],
    }
    training = TrainingWindow(END - 3 * DAY, 1.0, (), long)
    decided = replace(triage(Action.RETRAIN, Cause.PERFORMANCE, training=training), evidence=(long,) * 9)
    fill(settings, *(result(name, *told, status="alarm") for name, told in numbers.items()), decided=decided)

    seen = screen(settings)

    assert "and 17 more" in seen
    assert len(seen.splitlines()) <= 40


def test_a_decision_on_a_version_that_is_gone_says_nothing(settings: Settings) -> None:
    """After a promotion the old version's decision is not the new champion's."""
    fill(settings, result("quality"), decided=triage(Action.FIX_DATA, Cause.QUALITY))
    slots = settings.home / "slots"
    slots.mkdir()
    (slots / "shop-blue.json").write_text('{"version": "2"}')

    seen = condition.look(SPEC, settings)

    assert (seen.decision, seen.champion and seen.champion.version) == (None, "2")


def test_a_champion_tells_since_when_and_whence(settings: Settings) -> None:
    """The events of its retrain and its promotion say so."""
    fill(settings, result("quality"))
    with Store(settings.results_url) as store:
        made = {"outcome": "accepted", "version": "1", "request": {"reason": "performance"}}
        store.record_event("shop", "retrain", "made", NOW - 3 * DAY, made)
        store.record_event(
            "shop", "rollout", "all traffic", NOW - 2 * DAY, {"outcome": "promoted", "version": "1"}
        )

    champion = condition.look(SPEC, settings).champion

    assert champion == condition.Champion("1", NOW - 2 * DAY, "retrained for performance")


def test_monitors_that_lag_are_a_warning(settings: Settings) -> None:
    """A model whose newest verdict is five windows old is not well, whatever the verdict was."""
    fill(settings, result("quality", end=END - 5 * DAY))

    seen = condition.look(SPEC, settings)

    assert ["no window is judged since 2024-05-05 00:00"] == [text.split(",")[0] for text in seen.warnings]
    assert seen.needs_somebody


def test_a_silent_slot_with_traffic_is_a_warning(settings: Settings) -> None:
    """Nobody answers at the champion's address: that needs somebody; the idle slot may be silent."""
    nowhere = dict.fromkeys(("blue", "green"), "http://127.0.0.1:9")
    fill(settings, result("quality"))

    seen = condition.look(SPEC, replace(settings, slots={"shop": nowhere}))

    assert seen.warnings == ("slot blue gets 100 % of the traffic and does not answer",)
    assert seen.needs_somebody


@pytest.mark.parametrize(("action", "code"), [(Action.WATCH, 0), (Action.FIX_DATA, 1), (Action.RETRAIN, 1)])
def test_the_exit_code_tells_whether_somebody_must_act(settings: Settings, action: Action, code: int) -> None:
    """0 for a model that is well or watched, 1 otherwise; the JSON has the decision and the figures."""
    fill(settings, result("quality"), decided=triage(action, Cause.QUALITY))

    outcome = _status(settings, "shop", "--json")
    plain = json.loads(outcome.output)

    assert outcome.exit_code == code
    assert (plain["decision"]["triage"]["action"], plain["judged_until"]) == (action, END.isoformat())
    assert {one["name"] for one in plain["findings"]} >= {"realised", "estimated", "drift", "data"}


def test_an_unknown_model_is_bad_input(settings: Settings) -> None:
    """The error names the models that there are."""
    with pytest.raises(NotFound, match="shop"):
        _status(settings, "shoop", catch_exceptions=False)


def test_a_home_that_is_none_is_bad_input(settings: Settings) -> None:
    """A mistyped folder is told, and not made."""
    nowhere = settings.home / "typo"

    with pytest.raises(NotFound, match="typo"):
        _status(settings, "shop", "--home", str(nowhere), catch_exceptions=False)

    assert not nowhere.exists()


def _status(settings: Settings, *args: str, catch_exceptions: bool = True) -> Result:
    environment = {
        "TRIMTAB_MODELS": str(settings.models),
        "TRIMTAB_CLOCK": str(settings.home / "clock"),
        "TRIMTAB_RESULTS_URL": settings.results_url,
    }
    arguments = ["status", "--home", str(settings.home), *args]
    return CliRunner().invoke(cli, arguments, env=environment, catch_exceptions=catch_exceptions)
