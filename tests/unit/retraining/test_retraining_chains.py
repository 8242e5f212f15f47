from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest

from retraining.fitted import Fitted
from retraining.passes import PASSES, REFITS, TUNES, effort
from retraining.passes.optimization_pass import Judged, NotApplicable, Trial
from retraining.variants.cache import Cache
from retraining.variants.chains import Chains, Link, Origin, Stopped
from retraining.workspace import Workspace
from spec import ModelSpec, Settings
from spec.retrain import Learner

SECONDS = {0: 1.0, 1: 5.0, 2: 100.0}
"""What a stand-in pass takes by its effort."""


class Clock:
    """Seconds that pass only where something takes them."""

    now = 0.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


class StandIn:
    """A pass that takes its time and halves the graph's text; `spoils` ruins the model instead."""

    def __init__(self, name: str, clock: Clock, spoils: bool) -> None:
        self.name, self.clock, self.spoils = name, clock, spoils

    def plan(self, _: Trial) -> dict[str, Any]:
        """Take time, and decide nothing."""
        self.clock.now += SECONDS[effort(self.name)]
        return {}

    def apply(self, _spec: Any, model: Fitted, _fit: Any, _plan: Any) -> Fitted:
        """Halve the text."""
        if self.name == "half":
            msg = "it has no layers"
            raise NotApplicable(msg)
        graph = onnx.ModelProto()
        graph.CopyFrom(model.graph)
        graph.doc_string = model.graph.doc_string[: len(model.graph.doc_string) // 2]
        graph.producer_name = "spoilt" if self.spoils else model.graph.producer_name
        graph.domain += self.name[-1]
        return model.changed(self.name, graph)


Grown = list[tuple[int, Link | Stopped]]


@pytest.fixture
def grow(
    tmp_path: Path, shop: Callable[..., ModelSpec], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Grown]:
    """Search with stand-ins for passes; a spoilt model is over the budget."""
    monkeypatch.setattr(
        Trial, "judged", lambda _, model: Judged("spoilt" not in model.graph.producer_name, 0.5, "")
    )
    monkeypatch.setattr(Trial, "loss", lambda *_: 0.5)

    def search(
        passes: tuple[str, ...],
        sizes: tuple[int, ...] = (1000,),
        most: int = 1000,
        seconds: float = 1e9,
        spoils: tuple[str, ...] = (),
    ) -> Grown:
        clock = Clock()
        monkeypatch.setattr(
            "retraining.variants.chains.named", lambda name: StandIn(name, clock, name in spoils)
        )
        origins = []
        for index, size in enumerate(sizes):
            model = Fitted(Learner.MLP, {"index": index}, onnx.ModelProto(doc_string="x" * size))
            origins.append(Origin(Trial(shop(), model, None, None, 1.0), Link(model, "f", (), 0.5)))
        cache = Cache(Workspace(Settings.from_env({"TRIMTAB_HOME": str(tmp_path)}), "r"), "about")
        return list(Chains(origins, cache, passes, clock).grow(most, seconds))

    return search


def tried(grown: Grown) -> list[tuple[int, tuple[str, ...]]]:
    """Return candidate and passes of each step, a refused one's too."""
    return [
        (index, step.model.passes if isinstance(step, Link) else (*step.passes, step.by))
        for index, step in grown
        if not (isinstance(step, Stopped) and "not tried" in step.reason)
    ]


def test_a_slow_pass_takes_no_time_from_quick_ones(grow: Callable[..., Grown]) -> None:
    """With time for one slow pass only, every quick pass was tried on every candidate all the same."""
    passes = ("distil", "prune_trees", "low_rank", "quantize")

    done = tried(grow(passes, sizes=(1000, 1000), seconds=50))

    quick = [(index, (name,)) for name in ("prune_trees", "quantize", "low_rank") for index in (0, 1)]
    assert [*quick, (0, ("distil",))] == done


def test_passes_alone_come_before_chains(grow: Callable[..., Grown]) -> None:
    """Each pass is tried alone first, the slow one too; what is tried after is longer."""
    lengths = [len(passes) for _, passes in tried(grow(tuple(PASSES)))]

    assert lengths[: len(PASSES)] == [1] * len(PASSES)
    assert min(lengths[len(PASSES) :]) == 2


def test_chains_grow_from_the_smallest_model(grow: Callable[..., Grown]) -> None:
    """Of two candidates the one that is smaller after its pass is taken further first."""
    longer = [
        step for step in tried(grow(("prune_trees", "quantize"), sizes=(1000, 400))) if len(step[1]) > 1
    ]

    assert [(1, ("prune_trees", "quantize")), (0, ("prune_trees", "quantize"))] == longer


def test_what_is_over_the_budget_is_not_taken_further(grow: Callable[..., Grown]) -> None:
    """A spoilt model is yielded, so that its reason is told, and nothing is tried on it."""
    done = tried(grow(("prune_trees", "quantize"), spoils=("prune_trees",)))

    assert [(0, ("prune_trees",)), (0, ("quantize",))] == done


def test_a_refusal_takes_no_place_of_a_variant(grow: Callable[..., Grown]) -> None:
    """Of two places both go to models, though a pass between them refused; all else is told as not tried."""
    grown = grow(("prune_trees", "half", "quantize", "distil"), most=2)

    made = [step.model.passes for _, step in grown if isinstance(step, Link)]
    reasons = {step.by: step.reason for _, step in grown if isinstance(step, Stopped) and not step.passes}
    assert [("prune_trees",), ("quantize",)] == made
    told = "not tried: optimize.max_variants is used up"
    assert {"half": "it has no layers", "distil": told} == reasons


def test_every_chain_is_tried_once_and_in_one_order(grow: Callable[..., Grown]) -> None:
    """Without a limit all chains that may be are tried, none twice, and again in the same order."""
    first = tried(grow(tuple(PASSES), sizes=(1000, 500)))

    assert len(first) == len(set(first))
    assert len([one for one in first if one[0] == 0]) > 50
    assert first == tried(grow(tuple(PASSES), sizes=(1000, 500)))


def test_every_pass_has_its_effort() -> None:
    """Passes that fit again, and that tune, are known by name; what is left changes the graph alone."""
    assert set(PASSES) >= REFITS | TUNES
    assert {"prune_trees", "half", "quantize"} == {name for name in PASSES if effort(name) == 0}
    assert {2} == {effort(name) for name in REFITS}
