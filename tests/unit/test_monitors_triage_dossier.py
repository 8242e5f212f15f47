"""What a decision takes with it: the rows most worth a label, and why the loss changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from monitors import references
from monitors.held import Held
from monitors.known_version import KnownVersion
from monitors.memory import Memory
from monitors.results.records import Measurement, Status, WindowResult
from monitors.results.store import Store
from monitors.tables import labels
from monitors.triage import Action, Cause, Triage
from monitors.triage.dossier import Dossier
from monitors.triage.watch import Watch
from monitors.windows import EPOCH, Window
from spec import ModelSpec, Settings, loads

DAY = timedelta(days=1)
START = datetime(2024, 5, 1, tzinfo=UTC)
NOW = START + 5 * DAY
DAYS, ROWS = 2, 300
Floats = npt.NDArray[np.float64]


def model(task: str = "binary") -> ModelSpec:
    """A model whose verdicts pool two days; one of its features has the name of the file's last column."""
    return loads(
        f"{{model: shop, task: {task}, features: {{x: numeric, worth: numeric}}, "
        "monitor: {report: null, performance: {over: 2, min_labels: 100}}, "
        "data: {inference_log: log, labels: labels, id: order, time: t, target: {name: y, delay: 1d}}}"
    )


def score(rows: pd.DataFrame) -> Floats:
    """P(positive): one half in every second row of a day, else nearly sure."""
    return np.where(np.arange(len(rows)) % 2 == 0, 0.5, 0.98)


def drawn(random: np.random.Generator, rows: int = ROWS, moved: float = 0.0) -> pd.DataFrame:
    """Rows of which the second half lies elsewhere, and `worth` is noise."""
    x = random.normal(0, 1, rows) + np.where(np.arange(rows) >= rows / 2, moved, 0.0)
    return pd.DataFrame({"x": x, "worth": random.normal(0, 1, rows)})


class Shop:
    """Two days of answers, the inputs of half of them moved, and a version's reference."""

    def __init__(
        self, home: Path, write_log: Callable[..., None], *, held: bool = True, task: str = "binary"
    ) -> None:
        self._write_log = write_log
        self.spec = model(task)
        self.settings = Settings.from_env({"TRIMTAB_HOME": str(home)})
        self.dossier = Dossier(self.spec, self.settings)
        random = np.random.default_rng(3)
        self.days = [drawn(random, moved=4.0) for _ in range(DAYS)]
        for day, rows in enumerate(self.days):
            self.log(day, [f"{day}-{row}" for row in range(ROWS)], rows)
        usual = drawn(random, 2_000)
        happened = (random.random(2_000) < score(usual)).astype(float)
        if task == "regression":  # ten times as far off where `worth` is positive
            happened = score(usual) + random.normal(0, np.where(usual["worth"] > 0, 1.0, 0.1))
        references.publish(
            self.spec,
            self.settings,
            "1",
            usual.assign(prediction=score(usual), y=happened),
            importances={"x": 1.0},
            performance={},
            window=(START - 60 * DAY, START - 30 * DAY),
            held=Held(usual, score(usual)[:, None], happened, _spread_over(30, 2_000)) if held else None,
        )
        self.known = KnownVersion(self.spec, references.load(self.spec, self.settings, "1"))

    def log(self, day: int, ids: Sequence[str], rows: pd.DataFrame, version: str = "1") -> None:
        """Answer rows on a day."""
        times = [START + (day + row / len(rows)) * DAY for row in range(len(rows))]
        answers = rows.add_prefix("f_").assign(
            prediction_id=ids, event_time=times, version=version, scores=score(rows)[:, None].tolist()
        )
        self._write_log(self.spec, self.settings, answers.to_dict("records"))

    def label(self, ids: Sequence[str], truth: Sequence[bool]) -> None:
        """Say what came true."""
        labels.append(self.spec, self.settings, pd.DataFrame({"order": ids, "y": truth}))

    def asked(self, triage: Triage, faulty: Sequence[Window] = ()) -> tuple[Triage, pd.DataFrame]:
        """Complete a decision; return it with the file that it names."""
        told = self.dossier.complete(triage, self.known, faulty, self.settings.clock.now())
        return told, pd.read_csv(_file(self.settings))


@pytest.fixture
def make_shop(tmp_path: Path, write_log: Callable[..., None]) -> Callable[..., Shop]:
    """Make the shop, which has no labels."""
    return partial(Shop, tmp_path, write_log)


@pytest.fixture
def shop(make_shop: Callable[..., Shop]) -> Shop:
    """A shop with held-out rows."""
    return make_shop()


def decision(action: Action = Action.COLLECT_LABELS, cause: Cause = Cause.UNSURE, day: int = DAYS) -> Triage:
    """A decision as the rules make it."""
    return Triage("shop", "1", action, cause, START + day * DAY, "So it is.")


def _spread_over(days: int, rows: int) -> npt.NDArray[np.int64]:
    first = (START - EPOCH - days * DAY) / timedelta(microseconds=1)
    return np.linspace(first, first + days * 86_400e6 - 1, rows).astype(np.int64)


def _file(settings: Settings) -> Path:
    (file,) = (settings.home / "labelling" / "shop").iterdir()
    return file


def test_the_file_has_a_hundred_rows_by_id_features_and_worth_and_nothing_else(shop: Shop) -> None:
    """Who labels sees what the model saw, under the columns' own names, and the decision names the file."""
    told, asked = shop.asked(decision())
    answered = pd.concat(shop.days, ignore_index=True)
    answered.index = pd.Index([f"{day}-{row}" for day in range(DAYS) for row in range(ROWS)])

    assert _file(shop.settings).read_text().splitlines()[0] == "order,x,worth,worth"
    assert len(asked) == asked["order"].nunique() == 100
    assert np.allclose(asked[["x", "worth"]], answered.loc[asked["order"]])
    assert (asked["worth.1"] > 0).all()
    sentence = f"The 100 rows most worth a label: {_file(shop.settings)}."
    assert told.why == f"So it is. {sentence}"
    assert (told.evidence, told.dossier) == ((sentence,), (sentence,))


def test_unsure_rows_of_the_drifted_region_come_first(shop: Shop) -> None:
    """Of four kinds of rows, those that are both unsure and where the inputs moved to lead the file."""
    _, asked = shop.asked(decision())
    row = asked["order"].str.split("-").str[1].astype(int)
    first = asked.head(40)

    assert (row[:40] % 2 == 0).all()
    assert (first["x"] > 2).mean() > 0.9
    assert asked["worth.1"].iloc[0] == asked["worth.1"].max()
    assert first["worth.1"].min() > asked["worth.1"].tail(20).max() / 2


def test_values_that_may_be_far_off_in_the_drifted_region_come_first(make_shop: Callable[..., Shop]) -> None:
    """Of a regression the loss model tells where errors are large, the density where the inputs moved to."""
    shop = make_shop(task="regression")
    _, asked = shop.asked(decision())
    first = asked.head(40)

    assert (first["worth"] > 0).mean() > 0.8
    assert (first["x"] > 2).mean() > 0.9


def test_values_without_held_out_rows_go_by_density_alone(make_shop: Callable[..., Shop]) -> None:
    """Nothing tells of the errors: every row is as uncertain."""
    _, asked = make_shop(held=False, task="regression").asked(decision())

    assert (asked.head(40)["x"] > 2).mean() > 0.9
    assert 0.3 < (asked.head(40)["worth"] > 0).mean() < 0.7


def test_only_open_rows_are_asked_for_and_each_once(shop: Shop) -> None:
    """Labelled rows, another version's, and those of earlier or faulty windows are left out."""
    shop.log(-1, ["early"], shop.days[0].tail(1))
    shop.log(0, ["other"], shop.days[0].tail(1), version="2")
    shop.log(1, ["1-0"], shop.days[1].head(1))
    known = [f"1-{row}" for row in range(20, ROWS)]
    shop.label(known, [True] * len(known))
    faulty = [Window(START, START + DAY)]

    told, asked = shop.asked(decision(), faulty)

    assert sorted(asked["order"]) == sorted(f"1-{row}" for row in range(20))
    assert "The 20 rows most worth a label" in told.why


def test_labels_that_came_later_are_not_known_yet(shop: Shop) -> None:
    """A decision is the same whenever it is asked again: a label that came after it makes no row known."""
    before = shop.settings.clock.now()
    shop.label([f"{day}-{row}" for day in range(DAYS) for row in range(ROWS)], [True] * ROWS * DAYS)

    told = shop.dossier.complete(decision(), shop.known, (), before)

    assert "100 rows" in told.why


def test_where_every_row_is_labelled_no_file_is_written(shop: Shop) -> None:
    """Nothing is left to ask for: the decision stays as it was."""
    shop.label([f"{day}-{row}" for day in range(DAYS) for row in range(ROWS)], [True] * ROWS * DAYS)

    assert shop.dossier.complete(decision(), shop.known, (), shop.settings.clock.now()) == decision()
    assert not (shop.settings.home / "labelling").exists()


def test_rows_are_named_for_a_version_without_held_out_rows(make_shop: Callable[..., Shop]) -> None:
    """Its reference tells where the inputs moved; only the cause of a loss needs more."""
    shop = make_shop(held=False)
    _, asked = shop.asked(decision())
    harm = decision(Action.RETRAIN, Cause.PERFORMANCE)

    assert len(asked) == 100
    assert shop.dossier.complete(harm, shop.known, (), NOW) == harm


@pytest.mark.parametrize(
    ("action", "cause"),
    [
        (Action.WATCH, Cause.BENIGN),
        (Action.FIX_DATA, Cause.QUALITY),
        (Action.RETRAIN, Cause.HARMFUL_DRIFT),
    ],
)
def test_other_decisions_need_nothing(shop: Shop, action: Action, cause: Cause) -> None:
    """What asks for no labels, and has none to explain a loss with, stays as it was."""
    plain = decision(action, cause)

    assert shop.dossier.complete(plain, shop.known, (), NOW) == plain
    assert not (shop.settings.home / "labelling").exists()


def test_an_unknown_version_is_told_nothing_about(shop: Shop) -> None:
    """Without a reference nothing tells where the inputs moved."""
    assert shop.dossier.complete(decision(), None, (), NOW) == decision()


def test_a_loss_that_rose_is_explained_once_in_words_and_in_numbers(shop: Shop) -> None:
    """The sentence names what is measured, by how much it rose and what carries it; the numbers agree."""
    ids = [f"{day}-{row}" for day in range(DAYS) for row in range(ROWS)]
    shop.label(ids, (np.random.default_rng(5).random(len(ids)) < 0.2).tolist())  # was 0.5 or 0.98

    told = shop.dossier.complete(
        decision(Action.RETRAIN, Cause.PERFORMANCE, day=DAYS + 1), shop.known, (), shop.settings.clock.now()
    )
    total = next(n for n in told.numbers if (n.name, n.method) == ("loss_change", "total"))

    (sentence,) = told.dossier
    assert told.why == f"So it is. {sentence}"
    assert told.evidence == (sentence,)
    assert sentence.startswith(
        f"The Brier score rose by {total.value:.3g} [{total.low:.3g}, {total.high:.3g}]"
    )
    assert "the relation changed" in sentence
    assert total.text == sentence
    assert total.n == 2_000 + len(ids)  # held out, and labelled since


def test_a_loss_that_cannot_be_explained_says_so(shop: Shop) -> None:
    """With too few labelled rows the reason is unknown: told as evidence, and the decision's why is left."""
    shop.label(["0-1", "1-1"], [False, False])
    told = shop.dossier.complete(
        decision(Action.RETRAIN, Cause.PERFORMANCE, day=DAYS + 1), shop.known, (), shop.settings.clock.now()
    )

    assert told.why == "So it is."
    assert told.evidence == told.dossier
    assert told.evidence[0].startswith("Why the loss changed is not known: ")
    assert told.numbers == ()


def found(day: int, status: Status, *numbers: Measurement) -> WindowResult:
    """What performance found on a day."""
    start = START + day * DAY
    return WindowResult(
        "shop", "1", "performance", start, start + DAY, 20, status, numbers, NOW, 0.1, None, "abc"
    )


def missing(day: int) -> WindowResult:
    """A day whose labels have not come."""
    return found(
        day,
        "no_data",
        Measurement("no_data", 1, method="roc_auc", text="20 labelled rows; 100 are needed"),
        Measurement("labels_available_ratio", 0.04, n=600),
    )


def test_an_episode_asks_once_and_repeats_what_it_asked(shop: Shop) -> None:
    """While an episode lasts its file stays as it is, every window names it, and its end does not."""
    with Store(shop.settings.results_url) as store:
        memory = Memory(shop.spec, store)
        watch = Watch(shop.spec, shop.settings, store, memory)

        def look(result: WindowResult) -> Triage:
            store.save(result)
            memory.saw(result)
            told = watch.decide("1", shop.known, shop.settings.clock.now())
            assert told is not None
            return told

        began = look(missing(0))
        file = _file(shop.settings)
        written = file.stat().st_mtime_ns
        shop.label(["0-0"], [True])
        continued = look(missing(1))
        (stored,) = store.latest("shop", "triage")

        sentence = f"The 100 rows most worth a label: {file}."
        assert sentence in began.why
        assert began.dossier == continued.dossier == (sentence,)
        assert continued.evidence.count(sentence) == 1
        assert sentence in [number.text for number in stored.measurements]
        assert (_file(shop.settings), file.stat().st_mtime_ns) == (file, written)

        ended = look(found(2, "ok", Measurement("performance", 0.8, method="roc_auc")))
        assert (ended.action, ended.dossier) == (Action.NONE, ())


def test_why_the_loss_changed_is_said_in_every_window_of_its_episode(shop: Shop) -> None:
    """The explanation is made once, and its numbers and its sentence are stored with each later window."""
    ids = [f"{day}-{row}" for day in range(DAYS) for row in range(ROWS)]
    shop.label(ids, (np.random.default_rng(5).random(len(ids)) < 0.2).tolist())
    worse = Measurement("performance", 0.6, method="roc_auc", low=0.55, high=0.65, limit=0.75, n=600)
    with Store(shop.settings.results_url) as store:
        memory = Memory(shop.spec, store)
        watch = Watch(shop.spec, shop.settings, store, memory)
        store.save(found(2 - shop.spec.monitor.performance.over, "ok"))  # its first windows are over
        told = []
        for day in (2, 3, 4):
            memory.saw(found(day, "alarm", worse))
            store.save(found(day, "alarm", worse))
            told.append(watch.decide("1", shop.known, shop.settings.clock.now()))
        first, *later = (triage for triage in told if triage is not None)

        assert first.cause is Cause.PERFORMANCE
        assert len(first.numbers) >= 5  # total, inputs, relation, new_inputs, moved
        assert len(later) == 2
        for triage in later:
            assert triage.numbers == first.numbers
            assert [sentence for sentence in triage.evidence if sentence in first.dossier] == [*first.dossier]
        assert len(store.events("shop", kinds=["triage"])) == 1
