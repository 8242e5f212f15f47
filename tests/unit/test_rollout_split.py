"""The split, its steps and its leases."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError

import rollout
from rollout.routers.memory import MemoryRouter
from rollout.split import Split, parse
from rollout.steps import at_step, name, percent, promoted
from spec import SHADOW, DataError, NotFound, Refused, SpecError

SOON = datetime.now(UTC) + timedelta(hours=1)
PAST = datetime.now(UTC) - timedelta(seconds=1)


def test_untouched_split_is_all_blue() -> None:
    """A split that says nothing sends everything to the champion in blue."""
    split = Split()

    assert (split.weights, split.mirror, split.settled) == ({"blue": 100, "green": 0}, None, True)


def test_json_round_trip() -> None:
    """A split reads back from its JSON as it was."""
    split = Split(champion="green", weights={"green": 75, "blue": 25}, mirror="blue", lease_until=SOON)

    assert split == parse(split.model_dump_json(), "x")


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"weights": {"blue": 60, "green": 39}, "lease_until": SOON}, "must sum to 100, not 99"),
        ({"weights": {"blue": 99.5, "green": 0.5}, "lease_until": SOON}, "valid integer"),
        ({"weights": {"blue": 110, "green": -10}, "lease_until": SOON}, "less than or equal to 100"),
        ({"weights": {"blue": 100, "red": 0}}, "'blue' or 'green'"),
        ({"weights": {"blue": 95, "green": 5}}, "needs a lease"),
        ({"mirror": "green"}, "needs a lease"),
        ({"mirror": "blue", "lease_until": SOON}, "already takes all live traffic"),
        ({"lease_until": datetime(2030, 1, 1)}, "timezone"),  # noqa: DTZ001 - the point
        ({"weigths": {}}, "not permitted"),
    ],
)
def test_impossible_splits_are_refused(fields: dict[str, object], says: str) -> None:
    """A split that no router could or should carry out cannot be made."""
    with pytest.raises(ValidationError, match=says):
        Split.model_validate(fields)


def test_bad_file_names_its_place() -> None:
    """A state file that is no split raises an input error that names the file and every bad field."""
    text = '{"champion": "red", "mirror": "pink"}'

    with pytest.raises(DataError) as caught:
        parse(text, "routes/flights.json")

    assert {problem.where for problem in caught.value.problems} >= {
        "routes/flights.json: champion",
        "routes/flights.json: mirror",
    }


def test_lapse_is_at_the_lease_not_before() -> None:
    """A lease lapses at its time, not a moment earlier, and a settled split never does."""
    split = Split(mirror="green", lease_until=SOON)

    assert not split.lapsed(SOON - timedelta(microseconds=1))
    assert split.lapsed(SOON)
    assert not Split().lapsed(SOON)


@pytest.mark.parametrize(
    ("step", "weights", "mirror"),
    [
        (SHADOW, {"blue": 0, "green": 100}, "blue"),
        (0.05, {"blue": 5, "green": 95}, "blue"),
        (0.29, {"blue": 29, "green": 71}, "blue"),
        (1.0, {"blue": 100, "green": 0}, "green"),
    ],
)
def test_steps_mean_weights_and_a_mirror(step: float, weights: dict[str, int], mirror: str) -> None:
    """Each step gives the challenger its share and keeps the other version scoring by the mirror."""
    split = at_step("green", step, SOON)

    assert (split.weights, split.mirror, split.champion) == (weights, mirror, "green")


@pytest.mark.parametrize("step", [0.0, 0.005, 0.125, 1.01])
def test_shares_that_no_weight_can_carry(step: float) -> None:
    """A share that is no whole percent from 1 to 100 is refused, not rounded."""
    with pytest.raises(SpecError, match="whole percents"):
        percent(step)


def test_names_of_steps() -> None:
    """Steps are named as the YAML spells them."""
    steps = (SHADOW, 0.05, 1.0)

    assert [name(step) for step in steps] == ["shadow", "5%", "100%"]


def test_split_reads_as_words() -> None:
    """A split's text says where the traffic goes."""
    assert str(at_step("blue", 0.05, SOON)) == "blue 95 %, green 5 %, mirrored to green"
    assert str(promoted(at_step("blue", 1.0, SOON))) == "green 100 %"


@pytest.fixture
def router() -> MemoryRouter:
    """A router of one model."""
    return MemoryRouter(["flights"])


def test_a_rollout_by_its_leases(router: MemoryRouter) -> None:
    """From begin over advance and renewal to promotion the challenger's slot becomes the champion's."""
    rollout.begin(router, "flights", at_step("blue", SHADOW, SOON))
    rollout.advance(router, "flights", at_step("blue", 0.5, SOON))
    later = SOON + timedelta(minutes=1)
    rollout.renew(router, "flights", later)

    assert router.read("flights") == at_step("blue", 0.5, later)

    rollout.advance(router, "flights", at_step("blue", 1.0, SOON))
    for _ in range(2):
        rollout.promote(router, "flights", "green")

    assert router.read("flights") == Split(champion="green")


def test_lost_lease_is_not_renewed(router: MemoryRouter) -> None:
    """Whoever renews or advances after the traffic was returned is refused, and none is sent again."""
    rollout.begin(router, "flights", at_step("blue", 0.05, SOON))
    rollout.release(router, "flights")

    with pytest.raises(Refused, match="lease of flights's canary was lost"):
        rollout.renew(router, "flights", SOON)
    with pytest.raises(Refused, match="was lost"):
        rollout.advance(router, "flights", at_step("blue", 0.25, SOON))
    assert router.read("flights") == Split()


def test_expired_lease_is_lost_before_the_guard_comes(router: MemoryRouter) -> None:
    """A lease that ran out cannot be renewed, even if the guard has not acted on it yet."""
    router.apply("flights", at_step("blue", 0.05, PAST))

    with pytest.raises(Refused, match="ran out at"):
        rollout.renew(router, "flights", SOON)
    with pytest.raises(Refused, match="ran out at"):
        rollout.promote(router, "flights", "green")


def test_one_rollout_at_a_time(router: MemoryRouter) -> None:
    """A second rollout cannot begin while one holds its lease; it can once that lapsed."""
    rollout.begin(router, "flights", at_step("blue", SHADOW, SOON))

    with pytest.raises(Refused, match="is under way"):
        rollout.begin(router, "flights", at_step("blue", SHADOW, SOON))

    router.apply("flights", at_step("blue", SHADOW, PAST))
    rollout.begin(router, "flights", at_step("blue", SHADOW, SOON))

    assert router.read("flights").lease_until == SOON


def test_champion_that_moved_is_not_overruled(router: MemoryRouter) -> None:
    """A rollout planned for another champion slot is refused."""
    with pytest.raises(Refused, match="in slot blue by now"):
        rollout.begin(router, "flights", at_step("green", SHADOW, SOON))


def test_promotion_needs_all_traffic(router: MemoryRouter) -> None:
    """A challenger is promoted from 100 % only."""
    rollout.begin(router, "flights", at_step("blue", 0.5, SOON))

    with pytest.raises(Refused, match="only be promoted from 100 %"):
        rollout.promote(router, "flights", "green")


def test_unknown_model_lists_the_known(router: MemoryRouter) -> None:
    """A model that does not exist is reported with those that do."""
    with pytest.raises(NotFound, match="Did you mean 'flights'"):
        router.read("flight")


def test_public_names_are_there() -> None:
    """Every public name of the room can be imported, and no other."""
    assert all(getattr(rollout, public) is not None for public in rollout.__all__)
    with pytest.raises(AttributeError, match="nothing"):
        _ = rollout.nothing  # type: ignore[attr-defined]


def test_reading_a_split_is_light() -> None:
    """Neither SciPy nor MLflow nor Evidently is loaded to read a split."""
    code = "import sys, rollout; rollout.Split; print({'scipy', 'mlflow', 'evidently'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "set()"
