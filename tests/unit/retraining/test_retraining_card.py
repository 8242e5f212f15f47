from __future__ import annotations

import itertools
import math
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pandas as pd
import pytest

from retraining.card import markdown, page
from retraining.card.document import Bars, Document, Items, Section, Table, Text
from retraining.card.explanation import mean_abs_shap, shap_values


@pytest.fixture(scope="module")
def inputs() -> pd.DataFrame:
    """Inputs as the served graph gets them: float32 with nulls, and strings."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "amount": np.where(rng.random(400) < 0.1, np.nan, rng.normal(size=400)),
            "weight": rng.normal(size=400),
        }
    ).astype("float32")
    text = pd.Series(rng.choice(["de", "fr", ""], 400)).astype(object)
    return frame.assign(country=text, noise=frame["weight"] * 0)


def answer(rows: pd.DataFrame) -> Any:
    """Answer by an interaction of two features and a third one; `noise` does nothing."""
    assert [np.float32, np.float32, object, np.float32] == list(rows.dtypes)
    twice = np.where(rows["country"] == "de", 2.0, 1.0)
    return np.asarray(rows["amount"].fillna(0) * twice + rows["weight"] ** 2, "float64")


def shapley(row: pd.Series[Any], background: pd.DataFrame) -> list[float]:
    """Return Shapley's values by their definition, over every coalition."""
    names = list(background.columns)

    def value(coalition: tuple[str, ...]) -> float:
        mixed = background.copy()
        for name in coalition:
            mixed[name] = pd.Series([row[name]] * len(mixed), mixed.index, background[name].dtype)
        return float(answer(mixed).mean())

    values = []
    for name in names:
        others = [other for other in names if other != name]
        total = 0.0
        for size in range(len(names)):
            weight = math.factorial(size) * math.factorial(len(names) - size - 1) / math.factorial(len(names))
            for some in itertools.combinations(others, size):
                total += weight * (value((*some, name)) - value(some))
        values.append(total)
    return values


def test_shap_values_are_shapleys(inputs: pd.DataFrame) -> None:
    """For a model of pairwise interactions the estimate is the definition's value, for every row."""
    rows, background = inputs.iloc[20:25], inputs.head(6)

    found = shap_values(answer, rows, background, np.random.default_rng(3))[:, :, 0]

    expected = [shapley(row, background) for _, row in rows.iterrows()]
    assert np.allclose(expected, found, atol=1e-9)


def test_shap_values_sum_to_the_answer(inputs: pd.DataFrame) -> None:
    """Whatever the interactions, a row's values add up to what sets its answer apart; for each class."""

    def odd(rows: pd.DataFrame) -> Any:
        product = answer(rows) * rows["weight"].to_numpy("float64") ** 3
        return np.stack([product, -2 * product], axis=1)

    rows, background = inputs.iloc[20:60], inputs.head(6)

    found = shap_values(odd, rows, background, np.random.default_rng(3))

    assert (40, 4, 2) == found.shape
    assert np.allclose(odd(rows) - odd(background).mean(axis=0), found.sum(axis=1))


def test_the_summary_ranks_what_matters(inputs: pd.DataFrame) -> None:
    """The largest comes first, what does nothing has nothing, and the same seed gives the same numbers."""
    found = mean_abs_shap(answer, inputs, 1)

    assert ["amount", "noise"] == sorted([next(iter(found)), list(found)[-1]]) or "weight" == next(
        iter(found)
    )
    assert 0.0 == found["noise"]
    assert sorted(found.values(), reverse=True) == list(found.values())
    assert found == mean_abs_shap(answer, inputs, 1)


def test_the_work_is_bounded(inputs: pd.DataFrame) -> None:
    """With many features fewer rows are explained, so that the graph is fed five million values at most."""
    wide = pd.concat([inputs[["weight"]].add_suffix(str(index)) for index in range(300)], axis=1)
    asked: list[int] = []

    def counted(rows: pd.DataFrame) -> Any:
        asked.append(len(rows))
        return rows["weight0"].to_numpy("float64")

    found = mean_abs_shap(counted, wide)

    assert sum(asked) * 300 <= 5_000_000
    assert "weight0" == next(iter(found))


DOCUMENT = Document(
    "Card: a|b",
    "One *sentence*.",
    (
        Section("First & last", (Text("a < b, [link](http://x) <script>alert(1)</script>"), Items(("one",)))),
        Section(
            "Numbers",
            (Table(("name", "n"), (("x|y", "1"),), range(1, 2)), Bars("units", {"a": 2.0, "b": 1.0})),
        ),
        Section("Nothing", (Bars("all zero", {"a": 0.0}), Bars("none", {}))),
    ),
)


class _Text(HTMLParser):
    """Collects the text and the tags of a page, without its style."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep the tag."""
        del attrs
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        """Keep the text."""
        if self.tags[-1:] != ["style"]:
            self.texts.append(data)


def test_the_page_shows_words_as_they_were_written() -> None:
    """What people wrote is text there, never markup; bars are as long as their values."""
    made = page.render(DOCUMENT)
    parser = _Text()
    parser.feed(made)

    assert "script" not in parser.tags
    assert "a < b, [link](http://x) <script>alert(1)</script>" in parser.texts
    assert {"x|y", "First & last", "one", "units"} <= set(parser.texts)
    assert 'width="400.0"' in made
    assert 'width="200.0"' in made
    assert 'width="0.0"' in made


def test_markdown_shows_words_as_they_were_written() -> None:
    """No word becomes a link, a tag or another column."""
    made = markdown.render(DOCUMENT)

    assert made.startswith("# Card: a\\|b\n\nOne \\*sentence\\*.\n")
    assert "a \\< b, \\[link\\](http://x) \\<script\\>alert(1)\\</script\\>" in made
    assert "| name | n |\n| --- | ---: |\n| x\\|y | 1 |" in made
    assert "| a | 2 | ████████████████████████ |\n| b | 1 | ████████████ |" in made
